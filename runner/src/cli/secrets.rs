//! `runner secrets edit` and `runner secrets rekey`: encrypted files of secrets, and for whom they are.
//!
//! The text is decrypted into a folder that nobody else may enter, in memory where there is such a place. Nothing of
//! the file is replaced before the new one is whole, is well formed, and can be opened by whoever writes it.

use super::args::SecretsFile;
use super::fail::Fail;
use super::talk;
use crate::secret::Why;
use crate::secret::cipher::{Keys, Recipients, values};
use runner_secret::Value;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use zeroize::Zeroizing;

/// What a new file begins with.
const NEW: &str = "# A line for each secret, in quotes:\n# db-password = \"…\"\n";

pub(crate) fn edit(args: &SecretsFile) -> Result<(), Fail> {
    let file = &args.file;
    let recipients = recipients(file)?;
    let keys = Keys::of_user();
    let before = read(file)?;
    let text = match &before {
        Some(cipher) => keys.open(cipher).map_err(|why| wrong(file, why))?,
        None => Zeroizing::new(NEW.to_owned()),
    };
    let place = Place::new(&text)?;
    run_editor(&place.file)?;
    let edited = place.text()?;
    if *edited == *text {
        talk(&format!("{} is as it was\n", file.display()));
        return Ok(());
    }
    // From here on there is something to lose.
    let put = check(&edited).and_then(|()| {
        if read(file).ok() != Some(before) {
            return Err(Why::new("somebody else has changed it in the meantime")
                .hint("edit it again, and put your changes into what is there now"));
        }
        put(file, &edited, &recipients, &keys)
    });
    match put {
        Ok(()) => {
            talk(&format!("{} is written\n", file.display()));
            Ok(())
        }
        Err(why) => {
            let kept = place.keep();
            let hint = why.hint.clone().unwrap_or_default();
            Err(Fail::usage(format_args!("{} is as it was: {}", file.display(), why.why))
                .detail(format_args!(
                    "what you wrote is in {}, which only you can read; remove it when you are done",
                    kept.display()
                ))
                .hint(hint))
        }
    }
}

pub(crate) fn rekey(args: &SecretsFile) -> Result<(), Fail> {
    let file = &args.file;
    let recipients = recipients(file)?;
    let keys = Keys::of_user();
    let Some(cipher) = read(file)? else {
        return Err(Fail::usage(format_args!("there is no file {}", file.display()))
            .hint(format_args!("make it with `runner secrets edit {}`", file.display())));
    };
    let text = keys.open(&cipher).map_err(|why| wrong(file, why))?;
    put(file, &text, &recipients, &keys).map_err(|why| wrong(file, why))?;
    talk(&format!("{} is encrypted for those in {}\n", file.display(), beside(file).display()));
    Ok(())
}

fn wrong(file: &Path, why: Why) -> Fail {
    Fail::usage(format_args!("{}: {}", file.display(), why.why)).hint(why.hint.unwrap_or_default())
}

/// The file of public keys.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".recipients");
    PathBuf::from(name)
}

fn recipients(file: &Path) -> Result<Recipients, Fail> {
    let beside = beside(file);
    let text = std::fs::read_to_string(&beside).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Fail::usage(format_args!("nobody is named who may open {}", file.display())).hint(format_args!(
                "write the public keys of all who may, one a line, into {0}; to begin with, your own:\n\
                 cp ~/.ssh/id_ed25519.pub {0}",
                beside.display()
            ))
        }
        _ => Fail::usage(format_args!("{} cannot be read: {error}", beside.display())),
    })?;
    Recipients::read(&text).map_err(|why| wrong(&beside, why))
}

/// The file as it is; `None`: there is none.
fn read(file: &Path) -> Result<Option<Vec<u8>>, Fail> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fail::usage(format_args!("{} cannot be read: {error}", file.display()))),
    }
}

/// Whether a run could use every value.
fn check(text: &str) -> Result<(), Why> {
    fn each(table: &toml::Table, within: &str) -> Result<(), Why> {
        for (name, value) in table {
            let name = format!("{within}{name}");
            match value {
                toml::Value::Table(inner) => each(inner, &format!("{name}."))?,
                toml::Value::String(text) => {
                    let bytes = Zeroizing::new(text.as_bytes().to_vec());
                    Value::new(bytes)
                        .map_err(|why| Why::new(format_args!("`{}`: {why}", name.escape_debug())))?;
                }
                _ => {}
            }
        }
        Ok(())
    }
    each(&values(text)?, "")
}

/// Encrypts the text and puts it in the place of the file, at once.
fn put(file: &Path, text: &str, recipients: &Recipients, keys: &Keys) -> Result<(), Why> {
    let cipher = recipients.close(text)?;
    keys.open(&cipher).map_err(|_| {
        Why::new(format_args!(
            "you could not open it yourself: no key of yours is in {}",
            beside(file).display()
        ))
        .hint("add your public key to it")
    })?;
    let cannot = |error: std::io::Error| Why::new(format_args!("it cannot be written: {error}"));
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::with_prefix_in(".secrets-", folder).map_err(cannot)?;
    new.write_all(&cipher).and_then(|()| new.as_file().sync_all()).map_err(cannot)?;
    // What is encrypted may be read by all who may read the plan.
    let mode = std::fs::metadata(file).map_or(0o644, |meta| meta.permissions().mode() & 0o777);
    new.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(cannot)?;
    new.persist(file).map(|_| ()).map_err(|error| cannot(error.error))
}

/// A folder for the text, which nobody else may enter; gone with it.
struct Place {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn new(text: &str) -> Result<Self, Fail> {
        let cannot = |error: std::io::Error| {
            Fail::internal(format_args!("there is no place to decrypt to: {error}"))
                .hint("name a folder of yours with TMPDIR")
        };
        // Memory, where it is: what is removed from a disk can be found again.
        let in_memory = tempfile::Builder::new().prefix("runner-secrets-").tempdir_in("/dev/shm");
        let folder = in_memory.or_else(|_| tempfile::Builder::new().prefix("runner-secrets-").tempdir());
        let folder = folder.map_err(cannot)?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).map_err(cannot)?;
        let file = folder.path().join("secrets.toml");
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut open = options.write(true).create_new(true).open(&file).map_err(cannot)?;
        open.write_all(text.as_bytes()).map_err(cannot)?;
        Ok(Self { folder, file })
    }

    fn text(&self) -> Result<Zeroizing<String>, Fail> {
        match std::fs::read_to_string(&self.file) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => Err(Fail::usage(format_args!("what the editor left cannot be read: {error}"))),
        }
    }

    /// Leaves it to the user.
    fn keep(self) -> PathBuf {
        let _ = self.folder.keep();
        self.file
    }
}

/// Lets the user edit a file.
fn run_editor(file: &Path) -> Result<(), Fail> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = match set("VISUAL").or_else(|| set("EDITOR")) {
        Some(editor) => editor,
        None if std::io::stdin().is_terminal() => "vi".to_owned(),
        None => {
            return Err(Fail::usage("there is no editor: neither `VISUAL` nor `EDITOR` is set"));
        }
    };
    let words = shell_words::split(&editor).unwrap_or_default();
    let Some((program, arguments)) = words.split_first() else {
        return Err(Fail::usage(format_args!("`{}` is no editor", editor.escape_debug()))
            .hint("name one in `VISUAL` or `EDITOR`, as in `vim` or `code --wait`"));
    };
    let ended = Command::new(program).args(arguments).arg(file).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(Fail::usage(format_args!("the editor `{}` ended with {status}", program.escape_debug()))
                .hint("nothing was changed"))
        }
        Err(error) => Err(Fail::usage(format_args!(
            "the editor `{}` cannot be started: {error}",
            program.escape_debug()
        ))
        .hint("name another one in `VISUAL` or `EDITOR`")),
    }
}
