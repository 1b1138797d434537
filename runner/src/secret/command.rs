//! Programs of this machine that print a value: a password manager, a client of a vault.
//!
//! No shell sees the arguments. The environment is cleared but for what such a program needs to find its user's keys and
//! agents; what it prints to stderr is told when it fails, since that is where it says why.

use super::{Fetched, Why};
use runner_secret::LARGEST;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

/// A person may have to touch a key or type a password into an agent.
const LIMIT: Duration = Duration::from_secs(60);
/// How much of stderr is told.
const SAID: usize = 2000;

/// What it gets of the environment of the runner.
const KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TERM",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "GNUPGHOME",
    "GPG_TTY",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "PASSWORD_STORE_DIR",
    "SOPS_AGE_KEY_FILE",
    "RUNNER_AGE_IDENTITY",
];

/// What the variables of key services begin with: clients need them to find their service.
const KEPT_OF: &[&str] = &["AWS_", "AZURE_", "GOOGLE_", "CLOUDSDK_", "SOPS_", "VAULT_", "OP_", "BW_"];

/// What it printed, when it ended well.
pub(super) async fn printed(argv: &[String], folder: &Path) -> Fetched {
    within(argv, folder, LIMIT, LARGEST).await
}

/// The same for a program that prints a whole file of values.
pub(super) async fn printed_file(argv: &[String], folder: &Path) -> Fetched {
    within(argv, folder, LIMIT, 4 << 20).await
}

async fn within(argv: &[String], folder: &Path, limit: Duration, most: usize) -> Fetched {
    let Some((program, arguments)) = argv.split_first() else { return Err(Why::new("no program is named")) };
    let shown = program.escape_debug();
    let is_kept = |name: &str| KEPT.contains(&name) || KEPT_OF.iter().any(|of| name.starts_with(of));
    let kept = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_kept));
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(kept)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Why::new(format_args!("there is no program `{shown}`"))
                .hint("install it where the runner runs, or name it by its path"),
            _ => Why::new(format_args!("`{shown}` cannot be started: {error}")),
        })?;
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    let (mut out, mut err) = (Zeroizing::new(Vec::with_capacity(most.min(LARGEST) + 4)), Vec::new());
    let ended = {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read_out = async {
            if let Some(stdout) = stdout {
                let _ = stdout.take(most as u64 + 3).read_to_end(&mut out).await;
            }
        };
        let read_err = async {
            if let Some(stderr) = stderr {
                let _ = stderr.take(SAID as u64).read_to_end(&mut err).await;
            }
        };
        let all = async {
            tokio::join!(read_out, read_err);
            child.wait().await
        };
        tokio::time::timeout(limit, all).await
    };
    let Ok(status) = ended else {
        // Its group, since it may have started others.
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        return Err(Why::new(format_args!("`{shown}` took longer than {} s", limit.as_secs_f32()))
            .hint("it gets nothing to read: does it wait for a password?"));
    };
    let status = status.map_err(|error| Why::new(format_args!("`{shown}` cannot be waited for: {error}")))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&err);
        let why = Why::new(format_args!("`{shown}` ended with {status}"));
        let said = runner_model::text::shown(said.trim()).into_owned();
        return Err(if said.is_empty() { why } else { why.hint(format_args!("it said: {said}")) });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    async fn run(words: &[&str]) -> Result<String, Why> {
        let printed = printed(&argv(words), Path::new("/")).await?;
        Ok(String::from_utf8(printed.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn what_a_program_prints_is_the_value() {
        assert_eq!(run(&["echo", "$HOME *"]).await.expect("printed"), "$HOME *\n");
        let env = run(&["env"]).await.expect("printed");
        assert!(env.contains("PATH=") && !env.contains("CARGO"), "{env}");
    }

    #[tokio::test]
    async fn a_program_that_fails_says_why() {
        let missing = run(&["no-such-program-here"]).await.expect_err("missing");
        assert_eq!(missing.why, "there is no program `no-such-program-here`");
        let failed = run(&["sh", "-c", "echo locked >&2; exit 3"]).await.expect_err("failed");
        assert_eq!(failed.why, "`sh` ended with exit status: 3");
        assert_eq!(failed.hint.as_deref(), Some("it said: locked"));
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_ended_with_what_it_started() {
        let waits = argv(&["sh", "-c", "sleep 1000 & wait"]);
        let late = within(&waits, Path::new("/"), Duration::from_millis(50), 100).await.expect_err("late");
        assert!(late.why.contains("took longer"), "{late:?}");
    }
}
