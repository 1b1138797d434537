//! A run is done again elsewhere: from one file, without targets, network, clock, folder or user of its own.

use crate::support::{Project, RUNNER, Ran};
use runner_fleet::{Fleet, fleet_or_skip};
use runner_journal::{Answer, Entry, Payload};
use runner_model::{Failure, FailureKind, StepId};
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
        assert!(here.stdout.contains(&format!("\n{step} ")), "{step}: {here}");
    }
    let began = ran.events_of("step-started").count();
    assert!(here.stdout.contains(&format!("\n{began} invocations done again")), "{began}: {here}");

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

    // Another version of the module over the same record: the same one does the same, and another one something else.
    let standard = |name: &str| {
        let module = runner_steps::find(name).unwrap();
        fs::write(project.path(&format!("{name}.wasm")), module.bytes).unwrap();
        module.bytes
    };
    let switch = standard("switch");
    let (code, all) = json(&["replay", "--json", "--step", "switch", "--module", "switch.wasm"]);
    assert_eq!((code, &all[0]["same"]), (Some(0), &Value::Bool(true)), "{all}");
    fs::write(project.path("other.wasm"), replaced(switch, b"releases/", b"RELEASES/")).unwrap();
    let other = project.run(&["replay", "--step", "switch", "--module", "other.wasm"]);
    let line = |sign: &str, to: &str| {
        other
            .stdout
            .lines()
            .any(|line| line.starts_with(&format!("  {sign} targets.symlink ")) && line.contains(to))
    };
    assert!(line("-", "\"releases/") && line("+", "\"RELEASES/"), "{other}");
    assert_eq!(other.code, Some(4), "{other}");
    assert!(other.stdout.starts_with("switch on web-1, attempt 1\n"), "{other}");
    let text = project.run(&["replay", "--step", "prune", "--module", "switch.wasm"]);
    text.must_say(2, &["the parameters do not fit"]);
    let unknown = project.run(&["replay", "--step", "nothing"]);
    unknown.must_say(2, &["no such invocation"]);
}

/// These bytes with others in the place of some, of the same length: another version of a module.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut other = bytes.to_vec();
    let found: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    assert!(!found.is_empty(), "it has no such bytes");
    for at in found {
        other[at..at + new.len()].copy_from_slice(new);
    }
    other
}

#[test]
fn a_replay_that_differs_names_step_target_call_and_both_sides() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    let ran = project.release();
    let file = project.path(".runner/runs").join(ran.run()).join("journal.jsonl");
    let whole = fs::read(&file).unwrap();
    let is_switch = |step: &StepId| step.as_str() == "switch";
    let tried = |says: &[&str], change: &dyn Fn(&mut Entry)| {
        fs::write(&file, &whole).unwrap();
        project.rewrite(ran.run(), change);
        let again = project.run(&["replay"]);
        assert_eq!(again.code, Some(4), "{again}");
        for part in says {
            assert!(again.stdout.contains(part), "it does not say `{part}`: {again}");
        }
        assert!(again.stdout.contains("recorded: ") && again.stdout.contains("\ngot:      "), "{again}");
        assert!(again.stdout.contains("1 not as recorded"), "{again}");
    };
    tried(&["the fuel of step `switch` on web-1, attempt 1", "recorded: 7\n"], &|entry| {
        if let Entry::InvocationEnded { step, fuel, .. } = entry
            && is_switch(step)
        {
            *fuel = 7;
        }
    });
    tried(
        &["of step `switch` on web-1, attempt 1", "releases/of-another-run", "targets.symlink"],
        &|entry| {
            if let Entry::Intent { key, args: Payload::Inline(args), .. } = entry
                && is_switch(&key.step)
            {
                args["points-to"] = "releases/of-another-run".into();
            }
        },
    );
    tried(&["the end of step `switch` on web-1, attempt 1", "of-another-run"], &|entry| {
        if let Entry::InvocationEnded { step, answer: Answer::Ok(Payload::Inline(outputs)), .. } = entry
            && is_switch(step)
        {
            outputs["release"] = "of-another-run".into();
        }
    });
    // What a call was answered with is what its module goes on with.
    tried(&["of step `restart` on web-1, attempt 1"], &|entry| {
        if let Entry::Call { key, answer, .. } = entry
            && key.step.as_str() == "restart"
        {
            *answer = Answer::Failed(Failure::new(FailureKind::Timeout, "it took too long"));
        }
    });
    fs::write(&file, &whole).unwrap();
    assert_eq!(project.run(&["replay"]).code, Some(0));
}
