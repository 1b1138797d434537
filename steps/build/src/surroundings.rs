//! What a build sees of the machine: the words of `bwrap`, and the grants that are the same words with parameters. See
//! bwrap(1).
//!
//! Nothing of the build may reach `bwrap` itself: its variables are set behind `--`, and `PATH` finds `bwrap` as it was.
//! Where it runs as root there is no user namespace around it, so that its capabilities go, and what of `/proc` only asks
//! for root's number is read-only.

use crate::{Programs, Share};
use runner_sdk::{Command, Effect};

/// The programs of the system, to read, and no more of it than they need.
macro_rules! machine {
    () => {
        "--die-with-parent --new-session --unshare-all --cap-drop ALL \
         --proc /proc --ro-bind-try /proc/sys /proc/sys --ro-bind-try /proc/sysrq-trigger /proc/sysrq-trigger \
         --ro-bind-try /proc/irq /proc/irq --ro-bind-try /proc/bus /proc/bus --dev /dev --tmpfs /tmp \
         --ro-bind-try /usr /usr --ro-bind-try /bin /bin --ro-bind-try /sbin /sbin --ro-bind-try /lib /lib \
         --ro-bind-try /lib32 /lib32 --ro-bind-try /lib64 /lib64 --ro-bind-try /nix /nix \
         --ro-bind-try /etc/alternatives /etc/alternatives --ro-bind-try /etc/ca-certificates /etc/ca-certificates \
         --ro-bind-try /etc/group /etc/group --ro-bind-try /etc/hosts /etc/hosts \
         --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache --ro-bind-try /etc/localtime /etc/localtime \
         --ro-bind-try /etc/nsswitch.conf /etc/nsswitch.conf --ro-bind-try /etc/passwd /etc/passwd \
         --ro-bind-try /etc/pki/ca-trust /etc/pki/ca-trust --ro-bind-try /etc/pki/tls/certs /etc/pki/tls/certs \
         --ro-bind-try /etc/resolv.conf /etc/resolv.conf --ro-bind-try /etc/ssl/certs /etc/ssl/certs \
         --ro-bind-try /etc/ssl/openssl.cnf /etc/ssl/openssl.cnf --setenv HOME /tmp --chdir /build"
    };
}

/// What the step may do. `bwrap` is asked for with each that the plan has of `programs` and `share`.
pub(crate) const GRANTS: &[&str] = &[
    "read:${folder}",
    "write:${folder}",
    concat!("exec-change:bwrap ", machine!(), " --bind ${folder}/work /build -- env ${env...} ${argv...}"),
    concat!(
        "exec-change:bwrap ",
        machine!(),
        " --bind ${folder}/work /build --ro-bind-try /${programs} /${programs} -- env ${env...} ${argv...}"
    ),
    concat!(
        "exec-change:bwrap ",
        machine!(),
        " --bind ${folder}/work /build --share-${share} -- env ${env...} ${argv...}"
    ),
    concat!(
        "exec-change:bwrap ",
        machine!(),
        " --bind ${folder}/work /build --ro-bind-try /${programs} /${programs} --share-${share} -- env ${env...} ${argv...}"
    ),
    "exec-change:HOME=${folder}/home env -C ${folder}/work ${env...} ${argv...}",
    "exec-change:rm -rf -- ${folder}/work",
];

/// The build, as the plan has it: `NAME=value` and then the program.
fn words<'a>(build: &'a crate::Params) -> impl Iterator<Item = String> + 'a {
    let variables = build.env.iter().map(|(name, value)| format!("{name}={value}"));
    variables.chain(build.argv.iter().cloned())
}

/// The command with nothing of the machine in reach but its programs.
pub(crate) fn isolated(folder: &str, build: &crate::Params) -> Command {
    let bwrap = std::iter::once("bwrap").chain(machine!().split_whitespace());
    let mut all: Vec<String> = bwrap.map(str::to_owned).collect();
    all.extend(["--bind".to_owned(), format!("{folder}/work"), "/build".to_owned()]);
    if let Some(Programs::Opt) = build.programs {
        all.extend(["--ro-bind-try", "/opt", "/opt"].map(str::to_owned));
    }
    if let Some(Share::Net) = build.share {
        all.push("--share-net".to_owned());
    }
    all.extend(["--", "env"].map(str::to_owned));
    all.extend(words(build));
    undone(Command::new(all, Effect::Change), folder)
}

/// The command in the copy, with a HOME that has nothing in it. With `env`, a program of the copy is named as it is with
/// `bwrap`: `./build`.
pub(crate) fn bare(folder: &str, build: &crate::Params) -> Command {
    let env = ["env".to_owned(), "-C".to_owned(), format!("{folder}/work")];
    let command = Command::new(env.into_iter().chain(words(build)), Effect::Change);
    undone(command.env("HOME", &format!("{folder}/home")), folder)
}

/// A build begins with a new copy: what it leaves is no use to anybody after a rollback, and twice is as good as once.
fn undone(command: Command, folder: &str) -> Command {
    let work = format!("{folder}/work");
    command.undo_with(Command::new(["rm", "-rf", "--", work.as_str()], Effect::Change)).repeatable()
}
