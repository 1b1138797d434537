//! A run survives a crash of the runner anywhere: it is killed, as SIGKILL does, at every boundary of every effect in
//! turn (before its intent, after it, after the act, after its outcome), and whoever goes on with it comes to where an
//! uninterrupted run comes to.

use crate::support::{Project, restarts, settled, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fleet with two releases on it and a third one ready, which prunes the first.
struct Scene {
    fleet: Fleet,
    project: Project,
    /// The release roots before the run.
    before: tempfile::TempDir,
    /// Boundaries of an uninterrupted run.
    boundaries: u64,
    /// What the hosts have before the run, and after it.
    shapes: (Vec<Shape>, Vec<Shape>),
}

/// All that can be told of a release root, but for times and what the runner keeps there for itself.
type Shape = BTreeMap<String, String>;

impl Scene {
    fn new(fleet: Fleet) -> Self {
        let project = Project::new(&fleet);
        project.edit_plan("keep = 3 # good ones", "keep = 1");
        project.edit_plan("keep = 3 }", "keep = 1 }");
        project.edit_plan("batches = [1, \"50%\", \"100%\"]", "batches = [1, \"100%\"]");
        for number in 0..2 {
            project.next_version(&format!("1.0.{number}"));
            project.release();
        }
        project.next_version("1.0.2");
        project.lock();
        let before = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for host in fleet.hosts() {
            copy(&host.outside(host.root()), &before.path().join(host.name()));
        }
        let mut scene = Self { fleet, project, before, boundaries: 0, shapes: Default::default() };
        scene.shapes.0 = scene.shapes_now();
        scene.project.env = vec![("RUNNER_FAULT".to_owned(), "count".to_owned())];
        let whole = scene.project.exec();
        whole.must_say(0, &["boundaries of effects: "]);
        let count = whole.stderr.split("boundaries of effects: ").nth(1).unwrap();
        scene.boundaries = count.split_whitespace().next().unwrap().parse().unwrap();
        scene.shapes.1 = scene.shapes_now();
        assert_ne!(scene.shapes.0, scene.shapes.1);
        scene
    }

    fn shapes_now(&self) -> Vec<Shape> {
        self.fleet.hosts().iter().map(shape).collect()
    }

    /// Everything as it was before the run.
    fn reset(&self) {
        for host in self.fleet.hosts() {
            let root = host.outside(host.root());
            for entry in fs::read_dir(&root).unwrap().flatten() {
                remove(&entry.path());
            }
            for entry in fs::read_dir(self.before.path().join(host.name())).unwrap().flatten() {
                copy(&entry.path(), &root.join(entry.file_name()));
            }
            host.inside(&[host.servicectl().to_str().unwrap(), "restart", "nginx"]).unwrap();
        }
        let _ = fs::remove_dir_all(self.project.path(".runner"));
    }

    /// Runs it until it is killed at this boundary.
    fn crash(&mut self, boundary: u64) {
        self.project.env = vec![("RUNNER_FAULT".to_owned(), format!("kill@{boundary}"))];
        let killed = self.project.exec();
        assert_eq!(killed.code, None, "it was not killed at {boundary}: {killed}");
        self.project.env.clear();
    }

    /// The run, whose folder is gone.
    fn lost_run(&self) -> String {
        // Without the journal nothing proves that the runner is dead: a person says so.
        self.project.unlock();
        let runs = self.project.path(".runner/runs");
        let run = fs::read_dir(runs).unwrap().flatten().next().unwrap().file_name();
        fs::remove_dir_all(self.project.path(".runner")).unwrap();
        run.to_str().unwrap().to_owned()
    }

    /// What a host has is this.
    fn must_be(&self, boundary: u64, shapes: &[Shape], serves: &str) {
        for (host, expected) in self.fleet.hosts().iter().zip(shapes) {
            let now = shape(host);
            let paths = expected.keys().chain(now.keys());
            for path in paths {
                let (found, wanted) = (now.get(path), expected.get(path));
                assert_eq!(found, wanted, "boundary {boundary}: {}: `{path}`", host.name());
            }
            assert_eq!(version(host), serves, "boundary {boundary}: {}", host.name());
        }
    }
}

#[test]
fn a_run_killed_at_any_boundary_is_resumed_to_where_it_was_going() {
    converges("resume", |_| vec!["resume".to_owned()]);
}

#[test]
fn a_run_killed_at_any_boundary_is_resumed_from_what_its_targets_kept() {
    converges("resume --from-targets", |scene| {
        let knows = |host: &Host| {
            let runs = fs::read_dir(host.outside(host.root().join(".runner/runs"))).unwrap().flatten();
            let here = fs::read_dir(scene.project.path(".runner/runs")).unwrap().flatten().next().unwrap();
            let intents =
                |run: fs::DirEntry| fs::metadata(run.path().join("intents.jsonl")).map_or(0, |m| m.len());
            runs.into_iter().any(|run| run.file_name() == here.file_name() && intents(run) > 0)
        };
        let any = scene.fleet.hosts().iter().any(knows);
        let run = scene.lost_run();
        // A run that came to no effect is begun anew.
        match any {
            true => words(&["resume", &run, "--from-targets", "-e", "fleet"]),
            false => words(&["exec", "-e", "fleet"]),
        }
    });
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Kills a run at each boundary in turn, and goes on with it as `how` says.
fn converges(what: &str, how: impl Fn(&Scene) -> Vec<String>) {
    let mut scene = Scene::new(fleet_or_skip!(Fleet::start(3)));
    let mut converged = 0;
    for boundary in 1..=scene.boundaries {
        scene.reset();
        let restarted: Vec<_> = scene.fleet.hosts().iter().map(restarts).collect();
        scene.crash(boundary);
        let arguments = how(&scene);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let resumed = scene.project.run(&arguments);
        assert_eq!(resumed.code, Some(0), "boundary {boundary}: {resumed}");
        scene.must_be(boundary, &scene.shapes.1, "1.0.2");
        for (host, before) in scene.fleet.hosts().iter().zip(restarted) {
            settled(host);
            // One that is in doubt is asked again.
            let restarts = restarts(host) - before;
            assert!((1..=2).contains(&restarts), "boundary {boundary}: {}: {restarts} restarts", host.name());
        }
        converged += 1;
    }
    eprintln!("{what}: {} boundaries tried, {converged} converged", scene.boundaries);
}

#[test]
fn whoever_goes_on_may_be_killed_too() {
    let mut scene = Scene::new(fleet_or_skip!(Fleet::start(3)));
    let mut converged = 0;
    for what in ["resume", "from-targets"] {
        for (boundary, again) in [(7, 2), (14, 3), (26, 1), (38, 9), (47, 6), (61, 4)] {
            scene.reset();
            scene.crash(boundary);
            let mut first = vec!["resume"];
            let run = match what {
                "resume" => String::new(),
                _ => scene.lost_run(),
            };
            if !run.is_empty() {
                first.extend([run.as_str(), "--from-targets", "-e", "fleet"]);
            }
            scene.project.env = vec![("RUNNER_FAULT".to_owned(), format!("kill@{again}"))];
            let killed = scene.project.run(&first);
            assert_eq!(killed.code, None, "{what}: {boundary}, then {again}: {killed}");
            scene.project.env.clear();
            let resumed = scene.project.run(&["resume"]);
            assert_eq!(resumed.code, Some(0), "{what}: {boundary}, then {again}: {resumed}");
            scene.must_be(boundary, &scene.shapes.1, "1.0.2");
            converged += 1;
        }
    }
    eprintln!("killed twice: {converged} of 12 converged");
}

#[test]
fn a_power_failure_takes_what_was_not_durable_and_the_run_goes_on() {
    let mut scene = Scene::new(fleet_or_skip!(Fleet::start(3)));
    let mut converged = 0;
    for boundary in [6, 7, 23, 40, 52, 63, 83] {
        scene.reset();
        scene.crash(boundary);
        // Everything behind the last intent may be lost, and a line of it torn.
        let run = fs::read_dir(scene.project.path(".runner/runs")).unwrap().flatten().next().unwrap();
        let journal = run.path().join("journal.jsonl");
        let text = fs::read_to_string(&journal).unwrap();
        let intent = text.rfind("\"entry\":{\"kind\":\"intent\"").unwrap();
        let end = intent + text[intent..].find('\n').unwrap() + 1;
        let torn = (end + 40).min(text.len().saturating_sub(1)).max(end);
        fs::write(&journal, &text[..torn]).unwrap();
        let resumed = scene.project.run(&["resume"]);
        assert_eq!(resumed.code, Some(0), "boundary {boundary}: {resumed}");
        scene.must_be(boundary, &scene.shapes.1, "1.0.2");
        converged += 1;
    }
    eprintln!("power failure: {converged} of 7 converged");
}

#[test]
fn connections_that_are_lost_at_a_boundary_end_the_run_and_it_is_resumed() {
    let mut scene = Scene::new(fleet_or_skip!(Fleet::start(3)));
    let mut failed = 0;
    for boundary in [2, 7, 22, 38, 50, 61] {
        scene.reset();
        scene.project.env = vec![("RUNNER_FAULT".to_owned(), format!("drop@{boundary}"))];
        let cut = scene.project.exec();
        scene.project.env.clear();
        assert!(cut.code.is_some(), "boundary {boundary}: {cut}");
        if cut.code != Some(0) {
            failed += 1;
            let resumed = scene.project.run(&["resume"]);
            assert_eq!(resumed.code, Some(0), "boundary {boundary}: {cut} {resumed}");
        }
        scene.must_be(boundary, &scene.shapes.1, "1.0.2");
    }
    // Not all: after its last verb a target is not needed any more.
    assert!(failed > 0, "of 6 runs whose connection was cut, {failed} failed");
}

#[test]
fn a_run_killed_at_any_boundary_is_undone_to_where_it_came_from() {
    let mut scene = Scene::new(fleet_or_skip!(Fleet::start(3)));
    // What a run keeps for people, it keeps.
    let before: Vec<Shape> = scene.shapes.0.iter().map(without_backups).collect();
    let mut converged = 0;
    for boundary in 1..=scene.boundaries {
        scene.reset();
        scene.crash(boundary);
        let undone = scene.project.run(&["resume", "--undo"]);
        assert_eq!(undone.code, Some(0), "boundary {boundary}: {undone}");
        for (host, expected) in scene.fleet.hosts().iter().zip(&before) {
            settled(host);
            assert_eq!(&without_backups(&shape(host)), expected, "boundary {boundary}: {}", host.name());
            assert_eq!(version(host), "1.0.1", "boundary {boundary}: {}", host.name());
            assert_eq!(copies(host), 0, "boundary {boundary}: {}: copies are left", host.name());
        }
        converged += 1;
    }
    eprintln!("undo: {} boundaries tried, {converged} converged", scene.boundaries);
}

fn without_backups(shape: &Shape) -> Shape {
    shape
        .iter()
        .filter(|(name, _)| !name.starts_with("backups"))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// How many copies for undos are kept on a host.
fn copies(host: &Host) -> usize {
    let runs = fs::read_dir(host.outside(host.root().join(".runner/runs"))).into_iter().flatten().flatten();
    runs.filter_map(|run| Some(fs::read_dir(run.path().join("undo")).ok()?.count())).sum()
}

/// What is in the release root of a host.
fn shape(host: &Host) -> Shape {
    let mut found = Shape::new();
    let root = host.outside(host.root());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if name == ".runner" {
                continue;
            }
            let attributes = format!("{:o} {} {}", meta.mode(), meta.uid(), meta.gid());
            let archive = name.starts_with("backups/");
            let what = match () {
                () if meta.is_dir() => "folder".to_owned(),
                () if meta.is_symlink() => format!("link to {:?}", fs::read_link(&path).unwrap()),
                // It has the times of what was packed in it, and one in its name.
                () if archive => "archive".to_owned(),
                () => format!("file {}", runner_model::Digest::of(fs::read(&path).unwrap())),
            };
            if meta.is_dir() {
                folders.push(path);
            }
            let name = if archive { "backups/one".to_owned() } else { name };
            let before = found.insert(name.clone(), format!("{what} {attributes}"));
            // Two archives are one too many, unless a run was undone: then none of them counts.
            if let Some(before) = before {
                found.insert(name, format!("{before} and another"));
            }
        }
    }
    found
}

fn copy(from: &Path, to: &PathBuf) {
    let copied = Command::new("cp").arg("-a").arg("--").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

fn remove(path: &Path) {
    let removed = Command::new("rm").args(["-rf", "--"]).arg(path).status().unwrap();
    assert!(removed.success());
}
