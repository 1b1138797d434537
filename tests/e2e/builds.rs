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
set -eu
mkdir dist
{
  env | cut -d= -f1 | sort | tr '\\n' ' '; echo
  for path in \"$1\" \"$2\"; do if [ -e \"$path\" ]; then echo sees; else echo blind; fi; done
  ls \"$HOME\" | wc -l
  wc -l < /proc/net/route
} > dist/seen.txt
cp version.txt dist/
";

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
        fs::write(self.0.join("build"), BUILD).unwrap();
        fs::set_permissions(self.0.join("build"), fs::Permissions::from_mode(0o755)).unwrap();
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
with = {{ artifact = "${{sources.artifact}}", argv = ["./build", "{here}/plan.lock", "{home}"], folder = "{here}/work/build", result = "dist", env = {{ COLOUR = "red" }}, isolation = "required" }}
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
    project.release();
    assert_eq!(version(host), "2.0");
    let seen = fs::read_to_string(host.outside(host.root().join("current/seen.txt"))).unwrap();
    let seen: Vec<&str> = seen.lines().map(str::trim).collect();
    // The lock and the home are not there, the home that is has nothing in it, and there is no way out.
    assert_eq!(seen[1..], ["blind", "blind", "0", "1"], "{seen:?}");
    let variables: Vec<&str> = seen[0].split(' ').collect();
    for name in &variables {
        assert!(
            ["COLOUR", "HOME", "LANG", "PATH", "PWD", "USER", "OLDPWD", "SHLVL", "_"].contains(name),
            "{seen:?}"
        );
    }

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
