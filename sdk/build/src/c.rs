//! Steps in C: any clang that has a libc for WASI makes a core module of the step and the SDK.

use crate::{Error, Language, Project, contract, files, tools};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Small, the same bytes in every folder, and with everything said that a compiler has to say about a step.
const FLAGS: [&str; 9] = [
    "-std=c11",
    "-Os",
    "-Wall",
    "-Wextra",
    "-mexec-model=reactor",
    "-Wl,--strip-all",
    // A MiB, as Rust has it: zig's linker gives sixteen, and each call would pay for them.
    "-Wl,-z,stack-size=1048576",
    "-Wl,--gc-sections",
    "-ffunction-sections",
];

/// Builds the component: of the step's file, what is in its folder, and the SDK.
pub(crate) fn build(project: &Project) -> Result<Vec<u8>, Error> {
    let compiler = Compiler::find(project)?;
    let work = project.target().join("c");
    files::make_folder(&work)?;
    let made = work.join("step.wasm");
    let source = project.source();
    files::read(&source)?;

    let mut command = compiler.command(&work);
    command.args(FLAGS).arg("-I").arg(&project.sdk);
    for (folder, name) in [(&project.folder, "/src"), (&project.sdk, "/sdk")] {
        let mut map = OsString::from("-ffile-prefix-map=");
        map.push(folder);
        map.push("=");
        map.push(name);
        command.arg(map);
    }
    command.args(sources(source.parent().unwrap_or(&project.folder))?).args(sources(&project.sdk)?);
    crate::project::run({
        command.arg("-o").arg(&made);
        command
    })?;
    contract::componentize(&made)
}

/// The `.c` files of a folder, sorted.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |source| Error::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|end| end == "c") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

enum Compiler {
    /// Brings its own libc.
    Zig(PathBuf),
    /// With the libc of the folder, or the system's (Debian's wasi-libc).
    Clang(PathBuf, Option<PathBuf>),
}

impl Compiler {
    fn find(project: &Project) -> Result<Self, Error> {
        if let Some(zig) = tools::zig(project) {
            return Ok(Self::Zig(zig));
        }
        let kit =
            std::env::var_os("WASI_SDK_PATH").map_or_else(|| PathBuf::from("/opt/wasi-sdk"), PathBuf::from);
        let of_kit = kit.join("bin/clang");
        if of_kit.is_file() {
            return Ok(Self::Clang(of_kit, Some(kit.join("share/wasi-sysroot"))));
        }
        let system = Path::new("/usr/include/wasm32-wasi").is_dir();
        match tools::newest("clang").filter(|_| system && tools::newest("wasm-ld").is_some()) {
            Some(clang) => Ok(Self::Clang(clang, None)),
            None => Err(Error::Missing {
                language: Language::C,
                what: "a clang with a libc for WASI".to_owned(),
                how: format!(
                    "{}\n\
                     hint: or on Debian: apt-get install -y clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32\n\
                     hint: or wasi-sdk, in /opt/wasi-sdk or where WASI_SDK_PATH says",
                    tools::GET_ZIG
                ),
            }),
        }
    }

    fn command(&self, work: &Path) -> Command {
        match self {
            Self::Zig(zig) => {
                let mut command = tools::zig_command(zig, work);
                command.args(["cc", "-target", "wasm32-wasi"]);
                command
            }
            Self::Clang(clang, sysroot) => {
                let mut command = Command::new(clang);
                command.arg("--target=wasm32-wasi");
                if let Some(sysroot) = sysroot {
                    let mut flag = OsString::from("--sysroot=");
                    flag.push(sysroot);
                    command.arg(flag);
                }
                command
            }
        }
    }
}
