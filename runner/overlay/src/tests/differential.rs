//! The same requests in a dry run and for real: every answer is the same, and the dry run left everything as it was.

use super::bench::{Scratch, Shared, secret};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use runner_model::{Attributes, Change, Failure, FailureKind, Link, RemotePath};
use runner_transport::{Intent, Places, Target, Within};
use std::fmt::Debug;
use std::sync::Arc;

const PATHS: [&str; 34] = [
    "a",
    "a/b",
    "a/b/c",
    "a/f",
    "a/new",
    "d",
    "d/x",
    "d/sub",
    "d/sub/y",
    "d/up",
    "d/up/f",
    "d/up/b/c",
    "e",
    "e/socket",
    "g",
    "g/x",
    "g/n/m",
    "gone",
    "gone/x",
    "l",
    "l/x",
    "l/sub/y",
    "l/new",
    "n",
    "n/m",
    "n/m/o",
    "n/f",
    "out/passwd",
    "r/current",
    "r/current/app",
    "r/releases/one",
    "r/releases/one/app",
    "r/releases/zero",
    "r/releases/two",
];
const LINKS: [&str; 9] =
    ["d", "../a", "releases/one", "releases/zero", "n", "x", "/etc", "../../a/b", "nowhere/at/all"];
const TEXTS: [&str; 3] = ["", "text", "#!/bin/sh\n"];

#[derive(Debug, Clone)]
enum Verb {
    Write(usize, Option<u32>),
    Secret,
    Mkdir(Option<u32>),
    Symlink(usize),
    Rename(usize),
    Remove,
    RemoveTree,
    Mode(u32),
    Owner,
    Unpack(bool, bool),
    Archive(usize),
    Unarchive(usize),
    Stat,
    ReadDir,
    ReadLink,
    Read,
    Digest,
    Fetch,
    Releases,
}

/// Verbs after which everything can still be told.
fn ordinary() -> impl Strategy<Value = Verb> {
    let mode = || prop::option::of(prop::sample::select(vec![0o644, 0o600, 0o755, 0o700, 0o750]));
    prop_oneof![
        4 => (0..TEXTS.len(), mode()).prop_map(|(text, mode)| Verb::Write(text, mode)),
        3 => mode().prop_map(Verb::Mkdir),
        3 => (0..LINKS.len()).prop_map(Verb::Symlink),
        3 => (0..PATHS.len()).prop_map(Verb::Rename),
        2 => Just(Verb::Remove),
        2 => Just(Verb::RemoveTree),
        1 => prop::sample::select(vec![0o644, 0o755, 0o700]).prop_map(Verb::Mode),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(which, links)| Verb::Unpack(which, links)),
        2 => Just(Verb::Stat),
        2 => Just(Verb::ReadDir),
        1 => Just(Verb::ReadLink),
        2 => Just(Verb::Read),
        2 => Just(Verb::Digest),
        1 => Just(Verb::Fetch),
        1 => Just(Verb::Releases),
    ]
}

fn any_verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        8 => ordinary(),
        1 => Just(Verb::Secret),
        1 => Just(Verb::Owner),
        1 => prop::sample::select(vec![0o777, 0o1777, 0o4755, 0o000]).prop_map(Verb::Mode),
        1 => (0..PATHS.len()).prop_map(Verb::Archive),
        1 => (0..PATHS.len()).prop_map(Verb::Unarchive),
    ]
}

fn change(shared: &Shared, scratch: &Scratch, verb: &Verb, at: &str) -> Option<Change> {
    let path = scratch.path(at);
    let attributes = |mode| Attributes { mode, ..Attributes::default() };
    let to = |index: usize| scratch.path(PATHS[index]);
    Some(match verb {
        Verb::Write(text, mode) => {
            let mut change = shared.write(path, TEXTS[*text].as_bytes());
            if let Change::Write { attributes: given, .. } = &mut change {
                *given = attributes(*mode);
            }
            change
        }
        Verb::Secret => Change::WriteSecret { path, content: secret(), attributes: attributes(None) },
        Verb::Mkdir(mode) => Change::Mkdir { path, attributes: attributes(*mode) },
        Verb::Symlink(link) => Change::Symlink { path, points_to: LINKS[*link].to_owned() },
        Verb::Rename(index) => Change::Rename { path, to: to(*index) },
        Verb::Remove => Change::Remove { path },
        Verb::RemoveTree => Change::RemoveTree { path },
        Verb::Mode(mode) => Change::SetAttributes { path, attributes: attributes(Some(*mode)) },
        Verb::Owner => Change::SetAttributes {
            path,
            attributes: Attributes { group: Some("daemon".to_owned()), ..Attributes::default() },
        },
        Verb::Unpack(which, with_links) => Change::Unpack {
            path,
            tree: match which {
                true => shared.tree(&[("app", "one"), ("b/c", "c"), ("conf", "own")]),
                false => shared.tree(&[("c", "c")]),
            },
            links: match with_links {
                true => vec![Link { path: "conf".to_owned(), points_to: "../../shared/conf".to_owned() }],
                false => vec![],
            },
            reuse: with_links.then(|| scratch.path("r/releases/zero")),
            attributes: Attributes::default(),
        },
        Verb::Archive(index) => {
            let into = format!("{}.tar", to(*index)).parse().expect("a path");
            Change::Archive { path, into }
        }
        Verb::Unarchive(index) => {
            let archive = format!("{}.tar", to(*index)).parse().expect("a path");
            Change::Unarchive { path, archive, attributes: attributes(None) }
        }
        _ => return None,
    })
}

/// What a request answered, without times and without the names of this machine's folders.
type Answer = Result<String, FailureKind>;

fn told<T: Debug>(scratch: &Scratch, answer: Result<T, Failure>) -> (Answer, String) {
    match answer {
        Ok(value) => (Ok(format!("{value:?}").replace(scratch.root.as_str(), "")), String::new()),
        Err(failure) => (Err(failure.kind), failure.message),
    }
}

/// What is granted: all, or most of it; to be written by whoever acts, or not.
struct Grant {
    granted: Vec<RemotePath>,
    written: Vec<RemotePath>,
    except: Vec<RemotePath>,
}

impl Grant {
    fn new(scratch: &Scratch, (narrow, written): (bool, u8)) -> Self {
        let paths = |names: &[&str]| names.iter().map(|name| scratch.path(name)).collect::<Vec<_>>();
        let (granted, except) = match narrow {
            true => (
                paths(&["a", "d", "g", "gone", "l", "n", "r/current", "r/releases"]),
                paths(&["d/sub", "n/m/o", "r/.runner"]),
            ),
            false => (vec![scratch.root.clone()], vec![]),
        };
        let written = match written % 4 {
            0 => vec![],
            1 => granted.clone(),
            2 => paths(&["a/b", "d", "g", "r"]),
            _ => vec![RemotePath::root()],
        };
        Self { written, granted, except }
    }

    fn within(&self) -> Within<'_> {
        let places = Places { granted: &self.granted, written: &self.written, except: &self.except };
        Within { reads: places, writes: places }
    }
}

async fn read(
    scratch: &Scratch,
    target: &Arc<dyn Target>,
    grant: &Grant,
    verb: &Verb,
    at: &str,
) -> (Answer, String) {
    let (path, within) = (scratch.path(at), grant.within());
    let timeless = |mut entry: runner_model::Entry| {
        entry.modified = 0;
        entry
    };
    match verb {
        Verb::Stat => {
            let entry = target.stat(&path, within).await.map(|entry| entry.map(timeless));
            told(scratch, entry)
        }
        Verb::ReadDir => {
            let entries = target.read_dir(&path, within).await;
            told(scratch, entries.map(|all| all.into_iter().map(timeless).collect::<Vec<_>>()))
        }
        Verb::ReadLink => told(scratch, target.read_link(&path, within).await),
        Verb::Read => told(scratch, target.read(&path, within).await),
        Verb::Digest => told(scratch, target.digest(&path, within).await),
        Verb::Fetch => told(scratch, target.fetch(&path, within).await),
        _ => {
            let root: RemotePath = scratch.path("r");
            told(scratch, target.releases(&root, within).await)
        }
    }
}

/// Reads all of it, so that what a verb left is seen and not only what later verbs happen to touch.
async fn all(scratch: &Scratch, target: &Arc<dyn Target>, grant: &Grant) -> Vec<(String, (Answer, String))> {
    let mut seen = Vec::new();
    for at in PATHS {
        for verb in [Verb::Stat, Verb::ReadLink] {
            seen.push((format!("{verb:?} {at}"), read(scratch, target, grant, &verb, at).await));
        }
    }
    seen
}

/// One sequence, both ways. Answers what only the real thing could tell.
async fn compare(steps: &[(Verb, usize)], grant: (bool, u8)) -> Result<Vec<String>, TestCaseError> {
    let shared = Shared::new();
    let (dry, real) = (Scratch::of_dry_run(&shared).await, Scratch::new(&shared).await);
    let (granted, real_granted) = (Grant::new(&dry, grant), Grant::new(&real, grant));
    let before = dry.snapshot();
    let over = shared.overlay(&dry).over(Arc::clone(&dry.target));
    let mut unknown = Vec::new();
    for (number, (verb, at)) in steps.iter().enumerate() {
        let at = PATHS[*at];
        let place = format!("step {number}: {verb:?} {at}");
        let changes = change(&shared, &dry, verb, at).zip(change(&shared, &real, verb, at));
        let Some((here, there)) = changes else {
            let (answer, why) = read(&dry, &over, &granted, verb, at).await;
            if answer == Err(FailureKind::Unknown) {
                unknown.push(format!("{place}: {why}"));
                continue;
            }
            let (truth, says) = read(&real, &real.target, &real_granted, verb, at).await;
            prop_assert_eq!(answer, truth, "{}: {} / {}", place, why, says);
            continue;
        };
        let seen = over.observe(&here, granted.within()).await;
        let (answer, why) = told(&dry, seen.clone().map(states));
        if answer == Err(FailureKind::Unknown) {
            unknown.push(format!("{place}: {why}"));
            continue;
        }
        let truth = real.target.observe(&there, real_granted.within()).await;
        let (real_answer, says) = told(&real, truth.clone().map(states));
        prop_assert_eq!(answer, real_answer, "observe: {}: {} / {}", place, why, says);
        let (Ok(seen), Ok(truth)) = (seen, truth) else { continue };
        if seen.before == seen.after {
            continue;
        }
        let made = over.apply(&here, &seen.before, granted.within(), Intent::new("{}")).await;
        if let Err(Failure { kind: FailureKind::Unknown, message, .. }) = &made {
            unknown.push(format!("{place}: {message}"));
            continue;
        }
        let truth = real.target.apply(&there, &truth.before, real_granted.within(), Intent::new("{}")).await;
        let sizes = matches!(verb, Verb::Archive(_) | Verb::Unarchive(_));
        let ((made, why), (truth, says)) = match sizes {
            true => (told(&dry, made.map(|_| ())), told(&real, truth.map(|_| ()))),
            false => (told(&dry, made.map(|made| made.size)), told(&real, truth.map(|made| made.size))),
        };
        prop_assert_eq!(made, truth, "apply: {}: {} / {}", place, why, says);
    }
    let (seen, truth) = (all(&dry, &over, &granted).await, all(&real, &real.target, &real_granted).await);
    for ((place, (answer, why)), (_, (truth, says))) in seen.into_iter().zip(truth) {
        if answer == Err(FailureKind::Unknown) {
            unknown.push(format!("at the end: {place}: {why}"));
        } else {
            prop_assert_eq!(answer, truth, "at the end: {}: {} / {}", place, why, says);
        }
    }
    prop_assert_eq!(before, dry.snapshot(), "the dry run changed something");
    dry.close().await;
    real.close().await;
    Ok(unknown)
}

fn sequences(
    cases: u32,
    step: impl Strategy<Value = (Verb, usize)>,
    check: impl Fn(Vec<String>) -> Result<(), TestCaseError>,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step, 1..25);
    let steps = (steps, any::<(bool, u8)>());
    let outcome = TestRunner::new(config)
        .run(&steps, |(steps, grant)| check(runtime.block_on(compare(&steps, grant))?));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn a_dry_run_answers_as_the_real_thing() {
    // In a folder with the set-group-id bit, not every `chmod` keeps it: it is told by its name below, so it keeps its name.
    let moves_g = |(verb, at): &(Verb, usize)| matches!(verb, Verb::Rename(_)) && PATHS[*at] == "g";
    let step = (ordinary(), 0..PATHS.len()).prop_filter("moves g", move |step| !moves_g(step));
    sequences(16, step, |unknown| {
        // The other one is of users who are not root.
        let known = ["/g", "whether the target lets this user remove all"];
        let left: Vec<_> =
            unknown.iter().filter(|why| !known.iter().any(|known| why.contains(known))).collect();
        prop_assert!(left.is_empty(), "unknown after ordinary verbs: {left:#?}");
        Ok(())
    });
}

#[test]
fn what_only_the_real_thing_could_tell_is_unknown() {
    const WHY: [&str; 11] = [
        "who may do what with it is not known",
        "whether the target lets this user",
        "who may change",
        "an archive that was not made",
        "would be put back from",
        "what is in an archive that is not there yet",
        "would hold a secret",
        "is safe",
        "was found safe before",
        "only known once it is there",
        "the mode of",
    ];
    sequences(16, (any_verb(), 0..PATHS.len()), |unknown| {
        let other: Vec<_> =
            unknown.iter().filter(|why| !WHY.iter().any(|known| why.contains(known))).collect();
        prop_assert!(other.is_empty(), "unknown for another reason: {other:#?}");
        Ok(())
    });
}

/// How many folders a real undo would have to remove is nothing that a dry run tells.
fn states(seen: runner_transport::Observed) -> (runner_model::State, runner_model::State) {
    (seen.before, seen.after)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_in_a_folder_has_the_group_that_it_was_given_with_the_set_group_id_bit() {
    let at = |name: &str| PATHS.iter().position(|path| *path == name).expect("a path of the list");
    let steps = [(Verb::Owner, at("g")), (Verb::Write(0, None), at("g/x")), (Verb::Stat, at("g"))];
    let unknown = compare(&steps, (false, 0)).await.expect("both answer the same");
    assert!(unknown.is_empty(), "{unknown:#?}");
}
