//! What a build sees of the machine: the words of `bwrap`, and the grants that are the same words with parameters. See
//! bwrap(1).

use crate::Share;
use runner_sdk::{Command, Effect};

/// The programs of the system, to read, and no more of it than they need.
macro_rules! machine {
    () => {
        "--die-with-parent --new-session --unshare-all --proc /proc --dev /dev --tmpfs /tmp \
         --ro-bind-try /usr /usr --ro-bind-try /bin /bin --ro-bind-try /sbin /sbin --ro-bind-try /lib /lib \
         --ro-bind-try /lib32 /lib32 --ro-bind-try /lib64 /lib64 --ro-bind-try /opt /opt --ro-bind-try /nix /nix \
         --ro-bind-try /etc/alternatives /etc/alternatives --ro-bind-try /etc/ca-certificates /etc/ca-certificates \
         --ro-bind-try /etc/group /etc/group --ro-bind-try /etc/hosts /etc/hosts \
         --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache --ro-bind-try /etc/localtime /etc/localtime \
         --ro-bind-try /etc/nsswitch.conf /etc/nsswitch.conf --ro-bind-try /etc/passwd /etc/passwd \
         --ro-bind-try /etc/pki /etc/pki --ro-bind-try /etc/resolv.conf /etc/resolv.conf --ro-bind-try /etc/ssl /etc/ssl \
         --setenv HOME /tmp --chdir /build"
    };
}

/// What the step may do.
pub(crate) const GRANTS: &[&str] = &[
    "read:${folder}",
    "write:${folder}",
    concat!("exec-change:${env...} bwrap ", machine!(), " --bind ${folder}/work /build -- ${argv...}"),
    concat!(
        "exec-change:${env...} bwrap ",
        machine!(),
        " --bind ${folder}/work /build --share-${share} -- ${argv...}"
    ),
    "exec-change:HOME=${folder}/home ${env...} env -C ${folder}/work ${argv...}",
    "exec-change:rm -rf -- ${folder}/work",
];

/// The command with nothing of the machine in reach but its programs.
pub(crate) fn isolated(folder: &str, argv: &[String], share: Option<Share>) -> Command {
    let words = std::iter::once("bwrap").chain(machine!().split_whitespace());
    let mut all: Vec<String> = words.map(str::to_owned).collect();
    all.extend(["--bind".to_owned(), format!("{folder}/work"), "/build".to_owned()]);
    if let Some(Share::Net) = share {
        all.push("--share-net".to_owned());
    }
    all.push("--".to_owned());
    all.extend(argv.iter().cloned());
    undone(Command::new(all, Effect::Change), folder)
}

/// The command in the copy, with a HOME that has nothing in it.
pub(crate) fn bare(folder: &str, argv: &[String]) -> Command {
    // With `env`, a program of the copy is named as it is with `bwrap`: `./build`.
    let words = ["env".to_owned(), "-C".to_owned(), format!("{folder}/work")];
    let command = Command::new(words.into_iter().chain(argv.iter().cloned()), Effect::Change);
    undone(command.env("HOME", &format!("{folder}/home")), folder)
}

/// A build begins with a new copy: what it leaves is no use to anybody after a rollback, and twice is as good as once.
fn undone(command: Command, folder: &str) -> Command {
    let work = format!("{folder}/work");
    command.undo_with(Command::new(["rm", "-rf", "--", work.as_str()], Effect::Change)).repeatable()
}
