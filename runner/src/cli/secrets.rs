//! `runner secrets edit` and `runner secrets rekey`: encrypted files of secrets, and for whom they are.
//!
//! The text is decrypted into a folder that nobody else may enter, in memory where there is such a place. Nothing of
//! the file is replaced before the new one is whole, is well formed, and can be opened by whoever writes it.

use super::args::SecretsFile;
use super::fail::Fail;
use super::talk;
use crate::secret::Why;
use crate::secret::cipher::{Keys, LARGEST, Recipients, values};
use runner_secret::Value;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

/// What a new file begins with.
const NEW: &str = "# A line for each secret, in quotes:\n# db-password = \"…\"\n";

pub(crate) fn edit(args: &SecretsFile) -> Result<(), Fail> {
    let file = &whole(&args.file);
    let recipients = recipients(file)?;
    let keys = Keys::of_user();
    let before = read(file)?;
    let text = match &before {
        Some(cipher) => keys.open(cipher).map_err(|why| wrong(file, why))?,
        None => Zeroizing::new(NEW.to_owned()),
    };
    let place = Place::new(&text)?;
    let edited = run_editor(&place.file);
    let left = std::fs::read(&place.file).map(Zeroizing::new);
    if left.as_ref().is_ok_and(|left| left.as_slice() == text.as_bytes()) {
        edited?;
        talk(&format!("{} is as it was\n", file.display()));
        return Ok(());
    }
    // From here on there is something to lose.
    let put = || -> Result<(), Fail> {
        edited?;
        let left =
            left.map_err(|error| Fail::usage(format_args!("what the editor left cannot be read: {error}")))?;
        let text =
            std::str::from_utf8(&left).map_err(|_| Fail::usage("what the editor left is not UTF-8 text"))?;
        let as_it_was = |why: Why| {
            Fail::usage(format_args!("{} is as it was: {}", file.display(), why.why))
                .hint(why.hint.unwrap_or_default())
        };
        check(text).map_err(as_it_was)?;
        if read(file).ok() != Some(before) {
            return Err(as_it_was(
                Why::new("somebody else has changed it in the meantime")
                    .hint("edit it again, and put your changes into what is there now"),
            ));
        }
        put(file, text, &recipients, &keys).map_err(as_it_was)
    };
    match put() {
        Ok(()) => {
            talk(&format!("{} is written, for {}\n", file.display(), keys_of(&recipients, file)));
            Ok(())
        }
        Err(fail) => {
            let kept = place.keep();
            Err(fail.detail(format_args!(
                "what you wrote is in {}, which only you can read; remove it when you are done",
                kept.display()
            )))
        }
    }
}

/// The file itself, where its name is a link to it: it is replaced as a whole.
fn whole(file: &Path) -> PathBuf {
    match file.is_symlink() {
        true => std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()),
        false => file.to_owned(),
    }
}

/// For whom it is now: one that was added by somebody else is to be seen.
fn keys_of(recipients: &Recipients, file: &Path) -> String {
    let keys = if recipients.count() == 1 { "key" } else { "keys" };
    format!("the {} {keys} in {}", recipients.count(), beside(file).display())
}

pub(crate) fn rekey(args: &SecretsFile) -> Result<(), Fail> {
    let file = &whole(&args.file);
    let recipients = recipients(file)?;
    let keys = Keys::of_user();
    let Some(cipher) = read(file)? else {
        return Err(Fail::usage(format_args!("there is no file {}", file.display()))
            .hint(format_args!("make it with `runner secrets edit {}`", file.display())));
    };
    let text = keys.open(&cipher).map_err(|why| wrong(file, why))?;
    put(file, &text, &recipients, &keys).map_err(|why| wrong(file, why))?;
    talk(&format!("{} is encrypted for {}\n", file.display(), keys_of(&recipients, file)));
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
    let text = crate::secret::cipher::read(&beside).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Fail::usage(format_args!("nobody is named who may open {}", file.display())).hint(format_args!(
                "write the public keys of all who may, one a line, into {0}; to begin with, your own:\n\
                 cp ~/.ssh/id_ed25519.pub {0}",
                beside.display()
            ))
        }
        _ => Fail::usage(format_args!("{} cannot be read: {error}", beside.display())),
    })?;
    let text = String::from_utf8(text)
        .map_err(|_| Fail::usage(format_args!("{} is not UTF-8 text", beside.display())))?;
    Recipients::read(&text).map_err(|why| wrong(&beside, why))
}

/// The file as it is; `None`: there is none.
fn read(file: &Path) -> Result<Option<Vec<u8>>, Fail> {
    match crate::secret::cipher::read(file) {
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
    if text.len() as u64 > LARGEST {
        return Err(Why::new("it has more than 4 MiB").hint("what is large belongs into a file of its own"));
    }
    each(&values(text)?, "")
}

/// Encrypts the text and puts it in the place of the file, at once.
fn put(file: &Path, text: &str, recipients: &Recipients, keys: &Keys) -> Result<(), Why> {
    let cipher = recipients.close(text)?;
    keys.open(&cipher).map_err(|why| {
        let keys = beside(file);
        Why::new(format_args!("you could not open it yourself: {}", why.why))
            .hint(format_args!("add your public key to {}", keys.display()))
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
            return Err(Fail::usage("there is no editor: neither `VISUAL` nor `EDITOR` is set")
                .hint("name one, as in `EDITOR=vim runner secrets edit secrets.age`"));
        }
    };
    let words = shell_words::split(&editor).unwrap_or_default();
    let Some((program, arguments)) = words.split_first() else {
        return Err(Fail::usage(format_args!("`{}` is no editor", editor.escape_debug()))
            .hint("name one in `VISUAL` or `EDITOR`, as in `vim` or `code --wait`"));
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fail::internal(format_args!("no editor can be waited for: {error}")))?;
    let ended = runtime.block_on(watched(tokio::process::Command::new(program).args(arguments).arg(file)));
    match ended {
        Ok(Ended::Itself(status)) if status.success() => Ok(()),
        Ok(Ended::Itself(status)) => {
            Err(Fail::usage(format_args!("the editor `{}` ended with {status}", program.escape_debug()))
                .hint("nothing was changed"))
        }
        Ok(Ended::By(code)) => Err(Fail::interrupted(code)),
        Err(error) => Err(Fail::usage(format_args!(
            "the editor `{}` cannot be started: {error}",
            program.escape_debug()
        ))
        .hint("name another one in `VISUAL` or `EDITOR`")),
    }
}

/// How the editor ended.
enum Ended {
    Itself(ExitStatus),
    /// With the runner, which was asked to end; the exit code.
    By(u8),
}

/// Waits for the editor. Ctrl-C and Ctrl-\\ at the terminal are the editor's; whoever ends the runner ends the editor too,
/// so that the text can be removed.
async fn watched(editor: &mut tokio::process::Command) -> std::io::Result<Ended> {
    let (mut interrupt, mut quit) = (signal(SignalKind::interrupt())?, signal(SignalKind::quit())?);
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut child = editor.kill_on_drop(true).spawn()?;
    let code = loop {
        tokio::select! {
            status = child.wait() => return Ok(Ended::Itself(status?)),
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = terminate.recv() => break 143,
            _ = hang_up.recv() => break 129,
        }
    };
    child.kill().await?;
    Ok(Ended::By(code))
}
