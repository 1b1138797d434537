//! A run is done again elsewhere: from one file, without targets, network, clock, folder or user of its own.

use crate::support::{Project, RUNNER, Ran};
use runner_fleet::{Fleet, fleet_or_skip};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program in an empty folder that has it, with nothing of the user but what is given here.
fn elsewhere(folder: &Path, env: &[(&str, &str)], before: &[&str], arguments: &[&str]) -> Output {
    let program = folder.join("runner");
    let mut words = before.iter().copied().chain([program.to_str().unwrap()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(arguments).current_dir(folder).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", folder);
    command.envs(env.iter().copied());
    command.output().unwrap()
}

fn bundle(project: &Project, ran: &Ran) -> PathBuf {
    let exported = project.run(&["runs", "export", ran.run(), "--output", "run.tar"]);
    assert_eq!((exported.code, exported.stdout.as_str()), (Some(0), "run.tar\n"), "{exported}");
    project.path("run.tar")
}

#[test]
fn a_bundle_replays_the_same_anywhere() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    let ran = project.release();
    let bundle = bundle(&project, &ran);
    let again = project.run(&["runs", "export", ran.run(), "--output", "again.tar"]);
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(fs::read(&bundle).unwrap(), fs::read(project.path("again.tar")).unwrap());
    let refused = project.run(&["runs", "export", ran.run(), "--output", "again.tar"]);
    refused.must_say(2, &["`again.tar` is there already"]);

    let here = project.run(&["replay"]);
    assert_eq!(here.code, Some(0), "{here}");
    assert!(here.stdout.contains("invocations done again: all as recorded"), "{here}");
    for step in ["package", "backup", "distribute", "switch", "restart", "smoke-test", "prune"] {
        assert!(
            here.stdout.contains(&format!("\n{step} ")) || here.stdout.starts_with("step"),
            "{step}: {here}"
        );
    }

    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // Another user may not come to where it was built.
    fs::copy(RUNNER, folder.path().join("runner")).unwrap();
    let copy = folder.path().join("of another name.tar");
    fs::copy(&bundle, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).unwrap();
    let copy = copy.to_str().unwrap();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let nowhere = ["unshare", "--net"];
    let zones: [&[(&str, &str)]; 2] = [&[], &[("TZ", "Asia/Kathmandu"), ("LC_ALL", "tr_TR.UTF-8")]];
    let mut tried = 0;
    for env in zones {
        for before in [&[][..], &nowhere[..], &nobody[..]] {
            let there = elsewhere(folder.path(), env, before, &["replay", copy]);
            let errors = String::from_utf8_lossy(&there.stderr);
            assert!(there.status.success(), "{env:?} {before:?}: {errors}");
            assert_eq!(String::from_utf8_lossy(&there.stdout), here.stdout, "{env:?} {before:?}");
            tried += 1;
        }
    }
    eprintln!("replay: the same bytes in {tried} other surroundings");
}

#[test]
fn a_replay_names_what_differs() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    let ran = project.release();
    let json = |arguments: &[&str]| {
        let ran = project.run(arguments);
        (ran.code, serde_json::from_str::<Value>(&ran.stdout).unwrap_or_else(|_| panic!("{ran}")))
    };
    let (code, all) = json(&["replay", "--json", "--step", "switch", "--target", "web-1"]);
    assert_eq!((code, all.as_array().unwrap().len()), (Some(0), 1), "{all}");
    assert_eq!(all[0]["end"], "same");
    let used = &ran.events_of("step-finished").find(|e| e["step"] == "switch").unwrap()["tally"]["fuel"];
    assert_eq!(all[0]["fuel"], *used, "the fuel is that of the run");

    // Another module over the same record: the same one does the same, and one that is no switch does something else.
    let standard = |name: &str| {
        let module = runner_steps::find(name).unwrap();
        fs::write(project.path(&format!("{name}.wasm")), module.bytes).unwrap();
    };
    standard("switch");
    let (code, all) = json(&["replay", "--json", "--step", "switch", "--module", "switch.wasm"]);
    assert_eq!((code, &all[0]["same"]), (Some(0), &Value::Bool(true)), "{all}");
    let text = project.run(&["replay", "--step", "prune", "--module", "switch.wasm"]);
    text.must_say(2, &["the parameters do not fit"]);
    let unknown = project.run(&["replay", "--step", "nothing"]);
    unknown.must_say(2, &["no such invocation"]);
}
