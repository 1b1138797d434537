//! Compiled code and the folder that keeps it.
//!
//! Compiled code is native code: whoever can write a file here runs code as the user. So the folder is 0700 and ours,
//! or it is not used; a file is ours and written by nobody else, or it is compiled again. Files are keyed by the
//! component's digest and the engine's compatibility key, written under another name and renamed, and this module is
//! the only one that loads them.

use crate::sandbox::engine::compatibility_key;
use runner_model::Digest;
use runner_model::text::shown;
use std::fs::{DirBuilder, Metadata};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Why the folder is not used. The run goes on without it, and compiles every time.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Somebody else's.
    #[error("`{}` belongs to user {owner}, not to user {user}; remove it, or set `XDG_CACHE_HOME`", folder.display())]
    Owner {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Others may enter it.
    #[error("`{}` has mode {mode:04o}; `chmod 700` it", folder.display())]
    Mode {
        /// The folder.
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file or a link.
    #[error("`{}` is not a folder", folder.display())]
    NotAFolder {
        /// What is there.
        folder: PathBuf,
    },
    /// The file system says no.
    #[error("`{}` cannot be used: {source}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A component that the engine does not accept.
#[derive(Debug, thiserror::Error)]
#[error("it is not a valid component: {0}")]
pub struct Invalid(String);

/// Compiles components, and keeps what it compiled.
#[derive(Debug)]
pub struct Compiler {
    engine: Engine,
    folder: Option<PathBuf>,
    key: String,
}

impl Compiler {
    /// A compiler that keeps nothing.
    pub fn without_cache(engine: &Engine) -> Self {
        Self { engine: engine.clone(), folder: None, key: compatibility_key(engine) }
    }

    /// A compiler that keeps compiled code in `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// The folder is not safe to load code from.
    pub fn with_cache(engine: &Engine, folder: &Path) -> Result<Self, Refused> {
        private_folder(folder)?;
        Ok(Self { folder: Some(folder.to_owned()), ..Self::without_cache(engine) })
    }

    /// The engine that the components belong to.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The component of these bytes, whose digest the caller has computed: from the folder, else compiled.
    ///
    /// # Errors
    /// The bytes are not a valid component.
    pub fn component(&self, digest: &Digest, bytes: &[u8]) -> Result<Component, Invalid> {
        let file =
            self.folder.as_ref().map(|folder| folder.join(format!("{}-{}.cwasm", digest.hex(), self.key)));
        if let Some(component) = file.as_deref().and_then(|file| self.load(file)) {
            return Ok(component);
        }
        let component = Component::new(&self.engine, bytes).map_err(|error| Invalid(first_line(&error)))?;
        if let Some(file) = file
            && let Err(error) = keep(&component, &file)
        {
            // A full disk costs time, not the run.
            tracing::warn!("compiled code cannot be kept in `{}`: {error}", file.display());
        }
        Ok(component)
    }

    /// What was compiled earlier; `None` when there is nothing, or it is not certain that it is ours.
    fn load(&self, file: &Path) -> Option<Component> {
        let metadata = std::fs::symlink_metadata(file).ok()?;
        if !metadata.is_file() || metadata.uid() != user() || metadata.mode() & 0o077 != 0 {
            tracing::warn!("`{}` is not ours alone; compiling again", file.display());
            return None;
        }
        #[expect(
            unsafe_code,
            reason = "the file is native code; it lies in a 0700 folder of this user, belongs to this user, and was \
                      written by `keep` under the engine's compatibility key"
        )]
        // SAFETY: see the reason above; wasmtime itself checks version and configuration once more.
        let loaded = unsafe { Component::deserialize_file(&self.engine, file) };
        loaded.inspect_err(|error| tracing::warn!("`{}` is damaged: {error}", file.display())).ok()
    }
}

/// Writes compiled code under another name, and renames it when it is whole and on disk: a reader sees all or nothing.
fn keep(component: &Component, file: &Path) -> Result<(), String> {
    let code = component.serialize().map_err(|error| first_line(&error))?;
    let write = || -> std::io::Result<()> {
        let folder = file.parent().ok_or(std::io::ErrorKind::NotFound)?;
        // A `NamedTempFile` is 0600, and removed when anything below fails.
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(&code)?;
        temporary.as_file().sync_data()?;
        temporary.persist(file).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| error.to_string())
}

/// Makes the folder 0700, or checks that it is ours alone.
pub(crate) fn private_folder(folder: &Path) -> Result<(), Refused> {
    let io = |source| Refused::Io { folder: folder.to_owned(), source };
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
    }
    judge(folder, &std::fs::symlink_metadata(folder).map_err(io)?)
}

/// Whether a folder is safe to load code from.
fn judge(folder: &Path, metadata: &Metadata) -> Result<(), Refused> {
    let folder = folder.to_owned();
    if !metadata.is_dir() {
        return Err(Refused::NotAFolder { folder });
    }
    if metadata.uid() != user() {
        return Err(Refused::Owner { folder, owner: metadata.uid(), user: user() });
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(Refused::Mode { folder, mode: metadata.mode() & 0o7777 });
    }
    Ok(())
}

/// Who we are.
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// wasmtime's errors have a chain and a backtrace of wasm; people need the root. It has names of the component in it, and
/// those are its author's.
fn first_line(error: &wasmtime::Error) -> String {
    let root = error.root_cause().to_string();
    shown(root.lines().next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::engine::engine;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn names_in_a_component_are_harmless_in_what_is_said_of_it() {
        let twice = "(component (core module (func (export \"\\1b[2J\")) (func (export \"\\1b[2J\"))))";
        let bytes = wat::parse_str(twice).expect("it parses");
        let compiler = Compiler::without_cache(&engine().expect("an engine"));
        let refused = compiler
            .component(&Digest::of(&bytes), &bytes)
            .map(|_| ())
            .expect_err("no component")
            .to_string();
        assert!(refused.contains("\\u{1b}[2J") && !refused.contains('\u{1b}'), "{refused}");
    }

    fn bytes() -> Vec<u8> {
        wat::parse_str("(component (core module (func (export \"f\"))))").expect("wat")
    }

    fn kept(folder: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    }

    #[test]
    fn compiled_code_is_kept_and_found_again() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("runner/compiled");
        let engine = engine().expect("an engine");
        let bytes = bytes();
        let digest = Digest::of(&bytes);
        let compiler = Compiler::with_cache(&engine, &folder).expect("a new folder is fine");
        compiler.component(&digest, &bytes).expect("compiles");
        let files = kept(&folder);
        assert_eq!(files.len(), 1);
        assert_eq!(std::fs::metadata(&folder).expect("there").permissions().mode() & 0o7777, 0o700);
        assert_eq!(std::fs::metadata(&files[0]).expect("there").permissions().mode() & 0o7777, 0o600);

        // The bytes are not looked at when the digest is known.
        let again = Compiler::with_cache(&engine, &folder).expect("ours");
        again.component(&digest, b"not even wasm").expect("loads");
    }

    #[test]
    fn damaged_or_shared_files_are_compiled_again() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("compiled");
        let engine = engine().expect("an engine");
        let bytes = bytes();
        let digest = Digest::of(&bytes);
        let compiler = Compiler::with_cache(&engine, &folder).expect("a new folder");
        compiler.component(&digest, &bytes).expect("compiles");
        let file = kept(&folder).remove(0);

        let whole = std::fs::read(&file).expect("readable");
        std::fs::write(&file, &whole[..whole.len() / 2]).expect("writable");
        compiler.component(&digest, &bytes).expect("compiles again");
        assert_eq!(std::fs::read(&file).expect("readable").len(), whole.len());

        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).expect("ours");
        assert!(compiler.load(&file).is_none());
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let place = tempfile::tempdir().expect("a folder");
        let engine = engine().expect("an engine");
        let open = place.path().join("open");
        std::fs::create_dir(&open).expect("new");
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).expect("ours");
        assert!(matches!(Compiler::with_cache(&engine, &open), Err(Refused::Mode { mode: 0o755, .. })));

        let link = place.path().join("link");
        std::os::unix::fs::symlink(place.path(), &link).expect("a link");
        assert!(matches!(Compiler::with_cache(&engine, &link), Err(Refused::NotAFolder { .. })));
    }

    #[test]
    fn what_is_not_valid_says_why_in_one_line() {
        let engine = engine().expect("an engine");
        let mut broken = bytes();
        let last = broken.len() - 1;
        broken[last] ^= 0xff;
        let error = Compiler::without_cache(&engine).component(&Digest::of(&broken), &broken);
        let message = error.map(|_| ()).expect_err("broken").to_string();
        assert!(message.starts_with("it is not a valid component: "), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}
