//! `std/git-checkout` and `std/build`: from a commit of a real repository to what a target serves.

use crate::support::{Project, version};
use runner_fleet::{Fleet, fleet_or_skip};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository with an application that is built by a script.
struct Repository(PathBuf);

/// Writes down what it can see, and makes the application.
const BUILD: &str = "#!/bin/sh
mkdir dist
{
  env | cut -d= -f1 | sort | tr '\\n' ' '; echo
  for path in \"$1\" \"$2\" /etc/shadow /etc/ssl/private /run /root /home /var; do [ ! -e \"$path\" ] || echo \"sees $path\"; done
  ls -A \"$HOME\"
  ls /sys/class/net 2>/dev/null; tail -n +3 /proc/net/dev | grep -v lo:
  grep CapEff /proc/self/status
  mount -o remount,rw,bind /usr 2>/dev/null && touch /usr/.hostile && echo 'wrote /usr'
  for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /etc/hosts /usr/x /x/y; do
    sh -c ': >> \"$1\"' sh $file 2>/dev/null && echo \"writes $file\"
  done
  unshare -Urm true 2>/dev/null && unshare -Urm sh -c 'mount -o remount,rw,bind /usr && touch /usr/.hostile' 2>/dev/null && echo 'wrote /usr'
  [ \"$(ls -d /proc/[0-9]* | wc -l)\" -lt 12 ] || echo 'sees processes'
} > dist/seen.txt
cp version.txt dist/
";

/// What a repository would run outside, if it could.
const BWRAP: &str = "#!/bin/sh\necho outside > outside\nexec /usr/bin/env \"$@\"\n";

impl Repository {
    fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let repository = Self(folder.to_owned());
        repository.git(&["init", "-q", "-b", "main"]);
        repository
    }

    fn git(&self, words: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(words).current_dir(&self.0);
        let output = git.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
        assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The id of a new commit with this version.
    fn commit(&self, version: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        fs::write(self.0.join("version.txt"), version).unwrap();
        fs::create_dir_all(self.0.join("bin")).unwrap();
        for (name, text) in [("build", BUILD), ("bin/bwrap", BWRAP)] {
            fs::write(self.0.join(name), text).unwrap();
            fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(self.0.join(".gitattributes"), "* text eol=crlf filter=evil\n").unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", version]);
        self.git(&["rev-parse", "HEAD"])
    }
}

fn plan(project: &Project, commit: &str) -> String {
    let here = project.path("").display().to_string();
    let here = here.trim_end_matches('/');
    let home = std::env::home_dir().unwrap();
    format!(
        r#"plan = 1
name = "web"
[modules]
std = "builtin"
[environment.fleet]
inventory = "fleet.toml"
[release]
root = "/srv/app"
artifact = "${{build.artifact}}"
[strategy]
role = "web"
[[prepare]]
id = "sources"
uses = "std/git-checkout"
once = true
with = {{ repository = "file://{here}/repository", commit = "{commit}", to = "{here}/work/sources", artifact = true }}
[[prepare]]
id = "build"
uses = "std/build"
once = true
with = {{ artifact = "${{sources.artifact}}", argv = ["./build", "{here}/plan.lock", "{home}"], folder = "{here}/work/build", result = "dist", env = {{ COLOUR = "red", PATH = "{here}/work/build/work/bin:/usr/bin:/bin", LD_PRELOAD = "/build/no-such.so" }}, isolation = "required" }}
[[stage]]
id = "distribute"
uses = "std/distribute"
with = {{ artifact = "${{release.artifact}}", root = "${{release.root}}" }}
[[rollout]]
id = "switch"
uses = "std/switch"
with = {{ root = "${{release.root}}" }}
[[rollout]]
id = "restart"
uses = "std/restart"
with = {{ unit = "nginx", root = "${{release.root}}" }}
"#,
        home = home.display()
    )
}

fn has_programs() -> bool {
    let missing =
        ["git", "bwrap"].into_iter().find(|name| Command::new(name).arg("--version").output().is_err());
    if let Some(name) = missing {
        eprintln!("SKIPPED: nothing is built from a repository: `{name}` is not installed");
    }
    missing.is_none()
}

#[test]
fn a_commit_is_built_with_nothing_in_reach_and_goes_live() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    if !has_programs() {
        return;
    }
    let (mut project, host) = (Project::new(&fleet), fleet.host(1));
    project.env = vec![
        ("SSH_AUTH_SOCK".to_owned(), "/run/agent".to_owned()),
        ("CI_TOKEN".to_owned(), "not-for-builds".to_owned()),
    ];
    let repository = Repository::new(&project.path("repository"));
    fs::create_dir(project.path("work")).unwrap();
    let first = repository.commit("1.0");
    let second = repository.commit("2.0");
    project.write("plan.toml", &plan(&project, &second));
    // A filter that is configured here and named by the repository.
    let config = "[filter \"evil\"]\n\tclean = touch ran\n\tsmudge = touch ran\n[core]\n\tautocrlf = true\n";
    fs::create_dir(project.path("home")).unwrap();
    project.write("home/.gitconfig", config);
    project.env.push(("HOME".to_owned(), project.path("home").display().to_string()));
    project.release();
    assert_eq!(version(host), "2.0");
    assert_eq!(fs::read(project.path("work/sources/build")).unwrap(), BUILD.as_bytes(), "byte for byte");
    let seen = fs::read_to_string(host.outside(host.root().join("current/seen.txt"))).unwrap();
    let seen: Vec<&str> = seen.lines().map(str::trim).collect();
    let variables: Vec<&str> = seen[0].split(' ').collect();
    for name in &variables {
        let known = ["COLOUR", "HOME", "LANG", "LD_PRELOAD", "PATH", "PWD", "USER", "OLDPWD", "SHLVL", "_"];
        assert!(known.contains(name), "{seen:?}");
    }
    // Neither the lock nor a home, nothing that can be written but the copy, no network, and no rights.
    assert_eq!(seen[1..], ["CapEff:\t0000000000000000"], "{seen:?}");
    assert!(!Path::new("/usr/.hostile").exists());
    assert!(!project.path("work/build/work/outside").exists(), "a program of the copy was taken for `bwrap`");

    // The same again: nothing is fetched, nothing is built, nothing is changed.
    let again = project.exec();
    assert_eq!((again.code, again.effects().len()), (Some(0), 0), "{again}");
    again.must_say(0, &["the last build was the same"]);

    // An earlier commit by its id, although the newest one has another.
    project.write("plan.toml", &plan(&project, &first));
    project.release();
    assert_eq!(version(host), "1.0");

    // What somebody changed by hand is not lost.
    project.write("work/sources/version.txt", "by hand");
    let refused = project.exec();
    refused.must_say(4, &["files in it were changed by hand", "M version.txt", "discard = true"]);
    assert_eq!(fs::read_to_string(project.path("work/sources/version.txt")).unwrap(), "by hand");
    // Nor what somebody added, where a commit has a file of that name.
    project.write("work/sources/version.txt", "1.0");
    project.write("work/sources/new.txt", "mine");
    fs::write(repository.0.join("new.txt"), "theirs").unwrap();
    let third = repository.commit("3.0");
    project.write("plan.toml", &plan(&project, &third));
    project.lock_and_exec().must_say(4, &["new.txt", "would be overwritten by checkout"]);
    assert_eq!(fs::read_to_string(project.path("work/sources/new.txt")).unwrap(), "mine");
    fs::remove_file(project.path("work/sources/new.txt")).unwrap();
    project.release();
    assert_eq!(version(host), "3.0");
}

#[test]
fn what_was_interrupted_is_done_again() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    if !has_programs() {
        return;
    }
    let project = Project::new(&fleet);
    let repository = Repository::new(&project.path("repository"));
    fs::create_dir(project.path("work")).unwrap();
    let commit = repository.commit("1.0");
    project.write("plan.toml", &plan(&project, &commit));
    project.release();
    // A fetch that left the commit and not all of its files, and a checkout that came to none of them.
    let objects = project.path("work/sources.git/objects");
    fs::remove_dir_all(&objects).unwrap();
    fs::create_dir(&objects).unwrap();
    fs::remove_dir_all(project.path("work/sources")).unwrap();
    let healed = project.exec();
    assert_eq!(healed.code, Some(0), "{healed}");
    assert_eq!(fs::read_to_string(project.path("work/sources/version.txt")).unwrap(), "1.0");
    // What somebody else could have made is not git's to read.
    if !is_root() {
        eprintln!("SKIPPED: a repository of another user needs root");
        return;
    }
    std::os::unix::fs::chown(project.path("work/sources.git"), Some(65_534), None).unwrap();
    project.write("work/sources.git/config", "[core]\n\tfsmonitor = touch ran\n\tbare = true\n");
    let refused = project.exec();
    refused.must_say(4, &["sources.git"]);
    assert!(!project.path("work/sources/ran").exists() && !project.path("ran").exists());
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[test]
fn a_build_that_fails_says_what_it_said() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    if !has_programs() {
        return;
    }
    let project = Project::new(&fleet);
    let repository = Repository::new(&project.path("repository"));
    fs::create_dir(project.path("work")).unwrap();
    let commit = repository.commit("1.0");
    project.write("plan.toml", &plan(&project, &commit).replace("\"./build\"", "\"cat\", \"main.c\""));
    project.lock_and_exec().must_say(4, &["the build on `localhost`", "main.c: No such file"]);
    project.write("plan.toml", &plan(&project, &"0".repeat(40)));
    project.lock_and_exec().must_say(4, &["git", "ended with status"]);
    project.write("plan.toml", &plan(&project, "main"));
    project.run(&["check", "plan.toml", "--environment", "fleet"]).must_say(2, &["commit"]);
}
