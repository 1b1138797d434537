//! Starting, finding and ending what runs in a fleet.

use crate::Error;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Runs a program to its end; a failure has what it printed.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<Output, Error> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| Error::failed(what, e))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    Err(Error::failed(what, format!("{}: {}", output.status, String::from_utf8_lossy(&said).trim())))
}

/// A program in a session of its own that ends when its stdin does: Ctrl-C in a terminal is for the owner alone, and
/// the end of the owner, however it comes, closes the pipe.
pub(crate) fn dependent(what: &str, argv: &[&str], log: &Path) -> Result<Child, Error> {
    let log = fs::File::create(log).map_err(|e| Error::failed(what, e))?;
    let errors = log.try_clone().map_err(|e| Error::failed(what, e))?;
    Command::new("setsid")
        .arg("--wait")
        .args(argv)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|e| Error::failed(what, e))
}

/// See `keeper.sh`.
pub(crate) fn keeper(folder: &Path, isolated: bool) -> Result<Child, Error> {
    let folder = folder.to_string_lossy();
    let mode = if isolated { "isolated" } else { "plain" };
    dependent(
        "watch over the fleet",
        &["sh", "-c", include_str!("keeper.sh"), "keeper", mode, &folder],
        Path::new("/dev/null"),
    )
}

/// All that a process started and that still runs, generation by generation.
pub(crate) fn descendants(root: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut todo = vec![root];
    while let Some(pid) = todo.pop() {
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            todo.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
        if pid != root {
            found.push(pid);
        }
    }
    found
}

/// Whether a process is the child of another one: what was read from a file may be the number of a stranger by now.
pub(crate) fn is_child(pid: i32, parent: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let ppid = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
    ppid == Some(parent)
}

/// Whether a process says in its command line that it serves this folder.
pub(crate) fn serves(pid: i32, folder: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let folder = folder.as_os_str().as_encoded_bytes();
    !folder.is_empty() && line.windows(folder.len()).any(|part| part == folder)
}

/// The program that a process runs, as far as the kernel keeps its name.
pub(crate) fn program(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

pub(crate) fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a fleet with namespaces the pid files hold numbers that are strangers' out here; in one without, a number may
    /// have become a stranger's.
    #[test]
    fn the_keeper_ends_nobody_who_is_not_of_the_fleet() {
        for isolated in [true, false] {
            let folder = tempfile::tempdir().expect("a folder").keep();
            let mut stranger =
                Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().expect("a stranger");
            let deep = folder.join("host-1/srv/run");
            fs::create_dir_all(&deep).expect("folders");
            for file in [folder.join("host-1/sshd.pid"), deep.join("nginx.pid")] {
                fs::write(file, stranger.id().to_string()).expect("a pid file");
            }
            let mut child = keeper(&folder, isolated).expect("a keeper");
            drop(child.stdin.take());
            child.wait().expect("its end");
            assert!(!folder.exists());
            let pid = i32::try_from(stranger.id()).expect("a pid");
            let sleep = descendants(pid);
            assert!(stranger.try_wait().expect("a status").is_none(), "the stranger is ended");
            assert!(sleep.len() == 1 && program(sleep[0]) == "sleep", "what the stranger started is ended");
            send(sleep[0], Signal::KILL);
            stranger.wait().expect("its end");
        }
    }
}
