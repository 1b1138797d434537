//! `wkg` and `oras` read what we push, and we read what they push.

#[expect(dead_code, unreachable_pub, reason = "shared by several tests; each uses a part")]
mod support;

use runner_fleet::{Registry, fleet_or_skip};
use runner_registry::{Client, Credentials, Metadata, Overwrite, Reference, Settings};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{COMPONENT, client, settings};

/// A program on the path, or where `./test` installs them.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin");
    std::env::split_paths(&path).chain([tools]).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

async fn pulled(client: &Client, reference: &str) -> (Vec<u8>, String) {
    let reference: Reference = reference.parse().expect("a reference");
    let digest = client.resolve(&reference).await.expect("a digest");
    let module = client.pull(reference.repository(), &digest).await.expect("a module");
    (module.component.to_vec(), digest.to_string())
}

#[tokio::test]
async fn wkg_reads_ours_and_we_read_its() {
    let Some(wkg) = find("wkg") else {
        eprintln!("SKIPPED: there is no wkg (hint: `cargo install wkg`)");
        return;
    };
    let registry = fleet_or_skip!(Registry::builder().user("alice", "secret").start());
    let folder = tempfile::tempdir().expect("a folder");
    let docker = registry.docker_config().expect("logged in");
    let credentials = Credentials::from_files([docker.join("config.json")]);
    let client = Client::new(Settings { credentials, ..settings() }).expect("a client");
    let at = registry.authority();
    let wkg = |arguments: &[&str]| {
        let mut command = Command::new(&wkg);
        command.args(["oci", arguments[0], "--insecure", &at]).args(&arguments[1..]);
        run(command.current_dir(folder.path()).env("DOCKER_CONFIG", &docker).env("HOME", folder.path()))
    };

    let ours: Reference = format!("{at}/ops/ours:1.2.0").parse().expect("a reference");
    let metadata = Metadata { title: "ours".to_owned(), ..Metadata::default() };
    let (repository, tag) = (ours.repository(), ours.tag().expect("a tag"));
    client.push(repository, tag, COMPONENT, &metadata, Overwrite::No).await.expect("pushed");
    wkg(&["pull", &ours.to_string(), "-o", "ours.wasm"]);
    assert_eq!(std::fs::read(folder.path().join("ours.wasm")).expect("pulled"), COMPONENT);

    let theirs = format!("{at}/ops/theirs:1");
    let said = wkg(&["push", &theirs, "ours.wasm"]);
    let (component, digest) = pulled(&client, &theirs).await;
    assert_eq!(component, COMPONENT);
    assert!(said.contains(&digest), "{said}");
}

#[tokio::test]
async fn oras_reads_ours_and_we_read_its() {
    let has_oras = |python: &PathBuf| {
        Command::new(python)
            .args(["-c", "import oras.client"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/python3");
    let Some(python) = find("python3").into_iter().chain([tools]).find(has_oras) else {
        eprintln!("SKIPPED: there is no oras (hint: `pip install oras`)");
        return;
    };
    let registry = fleet_or_skip!(Registry::start_plain());
    let folder = tempfile::tempdir().expect("a folder");
    let at = registry.authority();
    let oras = |script: &str| {
        let script = format!(
            "import oras.client\nclient = oras.client.OrasClient(hostname='{at}', insecure=True)\n{script}\n"
        );
        run(Command::new(&python).args(["-c", &script]).current_dir(folder.path()).env("HOME", folder.path()))
    };

    let ours: Reference = format!("{at}/ops/ours:1.2.0").parse().expect("a reference");
    let metadata = Metadata { title: "ours".to_owned(), ..Metadata::default() };
    let (repository, tag) = (ours.repository(), ours.tag().expect("a tag"));
    client().push(repository, tag, COMPONENT, &metadata, Overwrite::No).await.expect("pushed");
    oras(&format!("client.pull(target='{ours}', outdir='.')"));
    assert_eq!(std::fs::read(folder.path().join("ours.wasm")).expect("pulled"), COMPONENT);

    let theirs = format!("{at}/ops/theirs:1");
    oras(&format!("client.push(target='{theirs}', files=['ours.wasm:application/wasm'])"));
    let (component, _) = pulled(&client(), &theirs).await;
    assert_eq!(component, COMPONENT);
}
