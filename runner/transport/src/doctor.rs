//! What a run would need of a machine, asked before there is one. Nothing here changes anything there: what can only be
//! known by doing it, such as whether a disk is full in a minute, is left to the run.

use crate::Within;
use crate::listing;
use crate::machine::{Machine, refusal};
use crate::script::{Line, one_line};
use crate::user::User;
use runner_model::{Acting, Failure, FailureKind, RemotePath, UserName};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static SCRIPT: LazyLock<String> = LazyLock::new(|| one_line(include_str!("prelude/doctor.sh")));

/// The programs that verbs need, and a package that has each.
pub const PROGRAMS: [(&str, &str); 21] = [
    ("cat", "coreutils"),
    ("chmod", "coreutils"),
    ("chown", "coreutils"),
    ("cp", "coreutils"),
    ("date", "coreutils"),
    ("dd", "coreutils"),
    ("df", "coreutils"),
    ("head", "coreutils"),
    ("id", "coreutils"),
    ("ln", "coreutils"),
    ("ls", "coreutils"),
    ("mkdir", "coreutils"),
    ("mv", "coreutils"),
    ("readlink", "coreutils"),
    ("rm", "coreutils"),
    ("sha256sum", "coreutils"),
    ("stat", "coreutils"),
    ("wc", "coreutils"),
    ("find", "findutils"),
    ("tar", "tar"),
    ("xargs", "findutils"),
];
/// The programs that make a run faster, with what happens without them.
pub const BETTER: [(&str, &str); 2] =
    [("zstd", "what is sent is packed worse"), ("gzip", "archives are not packed")];

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Examination {
    /// The release root; `None`: the plan makes no release.
    pub root: Option<RemotePath>,
    /// The users that steps act as.
    pub users: Vec<ActsAs>,
}

/// A user that steps act as.
#[derive(Debug, Clone)]
pub struct ActsAs {
    /// The user.
    pub user: UserName,
    /// What is run as that user without a shell: the commands of services.
    pub commands: Vec<Vec<String>>,
}

/// What a machine answered.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Who logged in.
    pub user: String,
    /// The program that runs scripts there.
    pub shell: String,
    /// What it is: `linux x86_64, debian`.
    pub system: String,
    /// Programs that are not there; `mv -T` for one that is too old.
    pub missing: Vec<String>,
    /// By how many seconds its clock is ahead at least; negative: behind. 0: it cannot be told from ours.
    pub ahead: i64,
    /// `MaxSessions`, where its sshd's configuration may be read and says it.
    pub sessions: Option<u32>,
    /// The release root.
    pub root: Option<Root>,
    /// Each user that was asked about: why there is no shell, and the commands that sudo refuses.
    pub users: Vec<(UserName, Option<Failure>, Vec<Vec<String>>)>,
}

/// Where releases are laid out.
#[derive(Debug, Clone, Default)]
pub struct Root {
    /// The nearest folder on the way that exists; empty where something else is in the way.
    pub near: String,
    /// What is in the way and no folder.
    pub blocked: Option<String>,
    /// Whether the login user may write into `near`.
    pub writable: bool,
    /// Why the way there is not safe.
    pub unsafe_way: Option<Failure>,
    /// Free bytes.
    pub free: Option<u64>,
    /// Free inodes; `None` also where the file system does not count them.
    pub inodes: Option<u64>,
    /// The kind of file system.
    pub filesystem: String,
    /// A folder below it that is on another file system, so that nothing can be renamed into place.
    pub elsewhere: Option<String>,
}

impl User {
    pub(crate) async fn do_examine(&self, asked: &Examination) -> Result<Examined, Failure> {
        let what = format!("examine {}", self.machine.name());
        let ready = self.ready(&what).await?;
        let programs = PROGRAMS.iter().map(|(name, _)| *name).chain(BETTER.iter().map(|(name, _)| *name));
        let root = asked.root.as_ref().map_or("", |root| root.as_str());
        let mut line = Line::new("v_doctor").arg("0").arg(root);
        for program in programs {
            line = line.arg(program);
        }
        let before = now();
        let answer = match ready.shell.ask(&format!("{}; ", *SCRIPT), line, self.machine.limits().verb).await
        {
            Ok(answer) => answer,
            Err(lost) => return Err(self.machine.lost(&what, lost, self.machine.limits().verb).await),
        };
        let after = now();
        if answer.status != 0 {
            return Err(refusal(&what, &answer));
        }
        let facts = &ready.facts;
        let text = String::from_utf8_lossy(&answer.out).into_owned();
        let mut examined = Examined {
            user: facts.get("user").to_owned(),
            shell: "unknown".to_owned(),
            system: format!(
                "{} {}, {}",
                facts.get("os").to_lowercase(),
                facts.get("arch"),
                facts.get("distribution")
            ),
            missing: Vec::new(),
            ahead: 0,
            sessions: None,
            root: asked.root.as_ref().map(|_| Root::default()),
            users: Vec::new(),
        };
        read(&mut examined, &text, root, (before, after));
        if let (Some(path), Some(root)) = (&asked.root, &mut examined.root)
            && root.blocked.is_none()
        {
            let within = Within::both(std::slice::from_ref(path));
            // To the folder above it, and then into it, where it is there.
            let way = self.do_disk_free(path, within).await.err();
            let inside = path.join("releases").map_err(|error| Failure::new(FailureKind::Invalid, error))?;
            root.unsafe_way = match way {
                Some(failure) => Some(failure),
                None => self.do_stat(&inside, within).await.err(),
            };
        }
        for one in &asked.users {
            examined.users.push(self.examine_user(&what, one).await?);
        }
        Ok(examined)
    }

    /// A shell serves everything; without one sudo is asked for each command.
    async fn examine_user(
        &self,
        what: &str,
        asked: &ActsAs,
    ) -> Result<(UserName, Option<Failure>, Vec<Vec<String>>), Failure> {
        let user = asked.user.clone();
        let refused = match self.machine.ready(&Acting::As(user.clone())).await {
            Ok(_) => return Ok((user, None, Vec::new())),
            Err(failure) if failure.kind == FailureKind::Denied => failure,
            Err(failure) => return Err(failure),
        };
        let ready = self.ready(what).await?;
        let mut denied = Vec::new();
        for command in &asked.commands {
            let line = Line::new("v_may").arg(user.as_str()).args(command);
            let limit = self.machine.limits().verb;
            match ready.shell.ask(&format!("{}; ", *SCRIPT), line, limit).await {
                Ok(answer) if answer.status == 0 => {}
                Ok(_) => denied.push(command.clone()),
                Err(lost) => return Err(self.machine.lost(what, lost, limit).await),
            }
        }
        Ok((user, Some(refused), denied))
    }
}

/// Seconds of this machine's clock.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// By how much a clock that showed whole seconds between these two moments is ahead, at least.
fn ahead(there: i64, (before, after): (i64, i64)) -> i64 {
    if there > after {
        there.saturating_sub(after)
    } else if there < before {
        there.saturating_sub(before)
    } else {
        0
    }
}

fn read(examined: &mut Examined, text: &str, path: &str, asked: (i64, i64)) {
    let mut own_device = None;
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "clock" => examined.ahead = rest.parse().map_or(0, |there| ahead(there, asked)),
            "shell" => examined.shell = rest.rsplit('/').next().unwrap_or(rest).to_owned(),
            "missing" => examined.missing.push(rest.to_owned()),
            "sessions" => examined.sessions = rest.parse().ok(),
            _ => {
                let Some(root) = &mut examined.root else { continue };
                match word {
                    "blocked" => root.blocked = Some(rest.to_owned()),
                    "near" => root.near = rest.to_owned(),
                    "writable" => root.writable = true,
                    "space" => root.free = listing::free(rest).map(|kib| kib.saturating_mul(1024)),
                    // A file system without inodes of its own says 0 of 0, or a dash.
                    "inodes" => {
                        let total = rest.split_whitespace().rev().nth(4).unwrap_or("0");
                        root.inodes = listing::free(rest).filter(|_| total != "0" && total != "-");
                    }
                    "filesystem" => root.filesystem = rest.to_owned(),
                    "device" => {
                        let (device, folder) = rest.split_once(' ').unwrap_or((rest, ""));
                        if folder == path {
                            own_device = Some(device.to_owned());
                        } else if own_device.as_deref().is_some_and(|own| own != device) {
                            root.elsewhere = Some(folder.to_owned());
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

impl Machine {
    pub(crate) fn login(self: &Arc<Self>) -> User {
        User { machine: Arc::clone(self), acting: Acting::Login }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_shows_whole_seconds_is_judged_by_what_is_certain() {
        for (there, between, expected) in [
            (100, (100, 100), 0),
            (101, (100, 102), 0),
            (103, (100, 100), 3),
            (103, (100, 101), 2),
            (90, (100, 105), -10),
            (i64::MIN, (100, 105), i64::MIN),
        ] {
            assert_eq!(ahead(there, between), expected, "{there} {between:?}");
        }
    }

    #[test]
    fn whatever_a_target_answers_is_read() {
        let mut examined = Examined {
            user: String::new(),
            shell: String::new(),
            system: String::new(),
            missing: Vec::new(),
            ahead: 0,
            sessions: None,
            root: Some(Root::default()),
            users: Vec::new(),
        };
        let text = "clock 103\nshell /usr/bin/dash\nmissing zstd\nmissing mv -T\nsessions 4\nnear /srv\nwritable yes\n\
            space /dev/disk by label 1000 400 600 40% /srv\ninodes tmpfs 0 0 0 - /srv\nfilesystem ext2/ext3\n\
            device 5 /srv/app\ndevice 6 /srv/app/releases\ngarbage\n\nspace";
        read(&mut examined, text, "/srv/app", (100, 100));
        let root = examined.root.expect("asked for");
        assert_eq!((examined.ahead, examined.shell.as_str(), examined.sessions), (3, "dash", Some(4)));
        assert_eq!(examined.missing, ["zstd", "mv -T"]);
        assert_eq!((root.near.as_str(), root.writable, root.inodes), ("/srv", true, None));
        assert_eq!((root.elsewhere.as_deref(), root.free), (Some("/srv/app/releases"), None));
    }

    #[test]
    fn the_script_is_one_line_without_single_quotes() {
        assert!(!SCRIPT.contains(['\'', '\n']) && !SCRIPT.contains("; ;"), "{}", *SCRIPT);
    }
}
