//! The same plan gives the same artifact and the same effects, whoever runs it, where and when.

use crate::support::{Project, Ran, version};
use runner_fleet::{Fleet, fleet_or_skip};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

/// What all machines must agree on.
fn promises(ran: &Ran) -> (Vec<String>, Vec<String>) {
    let named = ran.events_of("release-named").map(|event| event["release"].to_string()).collect();
    (named, ran.effects())
}

#[test]
fn the_same_plan_has_the_same_artifact_and_effects_in_another_folder_umask_time_zone_and_user() {
    // A fleet for each, so that both find a new machine; the names of the targets are the same.
    let one = fleet_or_skip!(Fleet::start(2));
    let two = fleet_or_skip!(Fleet::start(2));
    let here = Project::new(&one);
    let reference = promises(&here.release());
    assert!(!reference.1.is_empty() && reference.0.len() == 1);
    // The next one also backs up, reuses files and switches from one release to another.
    here.next_version("1.0.1");
    let next = promises(&here.release());

    let parent = tempfile::tempdir().unwrap();
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut there = Project::in_folder(&two, &parent.path().join("a folder with spaces"));
    let cache = there.path("cache").to_str().unwrap().to_owned();
    there.env = vec![
        ("TZ".into(), "Pacific/Kiritimati".into()),
        ("LC_ALL".into(), "C".into()),
        ("XDG_CACHE_HOME".into(), cache),
    ];
    for (file, mode) in [("app/version.txt", 0o600), ("app/style.css", 0o640), ("app/blob.bin", 0o666)] {
        fs::set_permissions(there.path(file), fs::Permissions::from_mode(mode)).unwrap();
    }
    let touch = ["-t", "200001010000", "index.html", "robots.txt"];
    assert!(Command::new("touch").args(touch).current_dir(there.path("app")).status().unwrap().success());
    there.prefix = ["sh", "-c", "umask 0077; exec \"$@\"", "sh"].map(str::to_owned).into();
    if two.isolated() {
        become_nobody(&mut there, &two, parent.path());
    } else {
        eprintln!("SKIPPED: another user: needs root");
    }
    let other = promises(&there.release());
    assert_eq!(reference.0, other.0, "the release, and with it the artifact");
    assert_eq!(reference.1, other.1, "the effects");
    there.next_version("1.0.1");
    let other = promises(&there.release());
    assert_eq!(next.0, other.0, "the next release");
    assert_eq!(next.1, other.1, "the effects of the next release");
    assert!(next.1.iter().any(|effect| effect.contains("-TIME.tar")), "{:?}", next.1);
    for fleet in [&one, &two] {
        assert!(fleet.hosts().iter().all(|host| version(host) == "1.0.1"));
    }
}

/// Lets the user `nobody` run the program, who must own what it writes and be able to read what it needs.
fn become_nobody(project: &mut Project, fleet: &Fleet, parent: &Path) {
    const NOBODY: u32 = 65_534;
    let bin = parent.join("runner");
    fs::copy(&project.program, &bin).unwrap();
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
    project.program = bin;
    for (file, name) in [(fleet.identity(), "identity"), (fleet.known_hosts(), "known_hosts")] {
        fs::copy(&file, project.path(name)).unwrap();
        project.edit("fleet.toml", file.to_str().unwrap(), project.path(name).to_str().unwrap());
        fs::set_permissions(project.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    project.prefix.splice(0..0, nobody.map(str::to_owned));
    project.env.push(("HOME".into(), project.path("").to_str().unwrap().to_owned()));
    give_away(&parent.join("a folder with spaces"), NOBODY);
}

fn give_away(path: &Path, to: u32) {
    chown(path, Some(to), Some(to)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap().flatten() {
            give_away(&entry.path(), to);
        }
    }
}
