//! Accounts of releases: what they tell, what is kept with them, and what a target may make of them.

use super::*;
use crate::{Laid, Places};
use runner_model::{Failure, ReleaseId};
use std::os::unix::fs::{MetadataExt as _, symlink};

fn id(name: &str) -> ReleaseId {
    name.parse().expect("an id")
}

/// Lays a release out, with what its folder needs.
async fn lay(bench: &Bench, name: &str, content: &str) -> Digest {
    let tree = bench.tree(&[("file", content)]);
    let mkdir = Change::Mkdir { path: bench.path("root/releases"), attributes: Attributes::default() };
    bench.change(&mkdir).await;
    let unpack = Change::Unpack {
        path: bench.path(&format!("root/releases/{name}")),
        tree,
        links: vec![Link { path: "link".to_owned(), points_to: "file".to_owned() }],
        reuse: None,
        attributes: Attributes::default(),
    };
    bench.change(&unpack).await;
    tree
}

async fn accounts(bench: &Bench) -> crate::Accounts {
    let all = bench.all();
    bench.target.accounts(&bench.path("root"), Within::both(&all)).await.expect(bench.shell)
}

async fn keep(bench: &Bench, name: &str, text: &str) -> Result<(), Failure> {
    bench.target.keep(&bench.path("root"), &id(name), text, Intent::new("{\"keep\":1}")).await
}

async fn kept(bench: &Bench, name: &str) -> Result<Option<String>, Failure> {
    let all = bench.all();
    bench.target.kept(&bench.path("root"), &id(name), Within::both(&all)).await
}

fn file(name: &str) -> String {
    format!("root/.runner/releases/{name}")
}

/// What is in the folder of the accounts.
fn names(bench: &Bench) -> Vec<String> {
    let entries = std::fs::read_dir(bench.at("root/.runner/releases")).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_account_tells_who_made_a_release_when_and_of_what() {
    in_every_shell(async |bench| {
        let none = accounts(bench).await;
        assert_eq!(none, crate::Accounts::default(), "{}: nothing is there", bench.shell);
        let artifact = lay(bench, "one", "1").await;
        lay(bench, "two", "2").await;
        let told = accounts(bench).await;
        assert_eq!((told.live, told.live_since), (None, None), "{}", bench.shell);
        let order: Vec<_> = told.releases.iter().map(|laid| (laid.id.as_str(), laid.sequence)).collect();
        assert_eq!(order, [("two", 2), ("one", 1)], "{}", bench.shell);
        symlink("releases/one", bench.at("root/current")).expect("linked");
        let made = std::fs::symlink_metadata(bench.at("root/current")).expect("there").mtime();
        let told = accounts(bench).await;
        assert_eq!(told.live, Some(id("one")), "{}", bench.shell);
        assert_eq!(told.live_since.map(|since| since as i64), Some(made), "{}", bench.shell);
        let [two, one] = &told.releases[..] else { panic!("{}: {told:?}", bench.shell) };
        let expected = Laid {
            id: id("one"),
            sequence: 1,
            mark: Mark::Untried,
            live: true,
            size: 1,
            // Links included, so it is not the artifact's.
            tree: bench
                .target
                .digest(&bench.path("root/releases/one"), Within::both(&bench.all()))
                .await
                .expect("a tree"),
            artifact,
            by: "run-1".parse().expect("an id"),
            plan: Digest::of("plan"),
            lock: Digest::of("lock"),
            who: Some("ann".to_owned()),
            made_at: Some("2026-11-30T07:00:00Z".to_owned()),
        };
        assert_eq!(*one, expected, "{}", bench.shell);
        assert!(one.tree != one.artifact && !two.live);
        let marked = bench.target.mark(&bench.path("root"), &id("one"), Mark::Good, Intent::new("{}")).await;
        marked.expect(bench.shell);
        assert_eq!(
            accounts(bench).await.releases[1],
            Laid { mark: Mark::Good, ..expected },
            "{}",
            bench.shell
        );
        let text = std::fs::read_to_string(bench.at(&file("one.json"))).expect("an account");
        let account: crate::release::Account = serde_json::from_str(&text).expect("one line");
        let marked = account.marked.expect("it was marked");
        assert_eq!(marked.by_run.as_str(), "run-1");
        assert!(marked.at.abs_diff(made as u64) < 3600, "{}: {marked:?}", bench.shell);
        assert!(text.contains(r#""made-at":"2026-11-30T07:00:00Z","marked":{"at":"#), "{text}");
    })
    .await;
}

#[tokio::test]
async fn an_account_of_an_older_runner_is_read_and_can_be_marked() {
    in_every_shell(async |bench| {
        lay(bench, "old", "1").await;
        let digest = Digest::of("x");
        let text = format!(
            r#"{{"sequence":7,"release":"old","mark":"untried","tree":"{digest}","artifact":"{digest}","size":3,"by":{{"run":"run-0","plan":"{digest}","lock":"{digest}"}}}}"#
        );
        std::fs::write(bench.at(&file("old.json")), format!("{text}\n")).expect("written");
        let told = accounts(bench).await;
        let [old] = &told.releases[..] else { panic!("{}: {told:?}", bench.shell) };
        assert_eq!((old.sequence, &old.who, &old.made_at), (7, &None, &None), "{}", bench.shell);
        let marked = bench.target.mark(&bench.path("root"), &id("old"), Mark::Bad, Intent::new("{}")).await;
        marked.expect(bench.shell);
        let marked = std::fs::read_to_string(bench.at(&file("old.json"))).expect("an account");
        assert!(marked.starts_with(&text.replace("untried", "bad")[..text.len() - 6]), "{marked}");
        assert_eq!(accounts(bench).await.releases[0].mark, Mark::Bad, "{}", bench.shell);
    })
    .await;
}

#[tokio::test]
async fn accounts_that_lie_are_skipped_or_told_as_they_are() {
    in_every_shell(async |bench| {
        lay(bench, "good", "1").await;
        let good = std::fs::read_to_string(bench.at(&file("good.json"))).expect("an account");
        let with = |name: &str, from: &str, to: &str| {
            std::fs::create_dir_all(bench.at(&format!("root/releases/{name}"))).expect("mkdir");
            let text = good.replace("\"good\"", &format!("\"{name}\"")).replace(from, to);
            std::fs::write(bench.at(&file(&format!("{name}.json"))), text).expect("written");
        };
        with("no-number", "\"sequence\":1", "\"sequence\":-1");
        with("big-number", "\"sequence\":1", "\"sequence\":99999999999999999999999");
        with("bad-digest", "\"artifact\":\"sha256:", "\"artifact\":\"md5:");
        with("bad-name", "\"release\":\"bad-name\"", "\"release\":\"../../etc\"");
        with("bad-mark", "untried", "excellent");
        with("empty", &good.replace("good", "empty"), "");
        with("large", "\"ann\"", &format!("\"{}\"", "a".repeat(70_000)));
        with("raw", "\"ann\"", "\"\\u001b[31m\\n{}\"");
        std::fs::write(bench.at(&file("bytes.json")), [0xff; 100]).expect("written");
        symlink(bench.at(&file("good.json")), bench.at(&file("linked.json"))).expect("linked");
        for name in ["bytes", "linked"] {
            std::fs::create_dir_all(bench.at(&format!("root/releases/{name}"))).expect("mkdir");
        }
        let told = accounts(bench).await;
        let mut ids: Vec<_> = told.releases.iter().map(|laid| laid.id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["good", "raw"], "{}", bench.shell);
        let raw = told.releases.iter().find(|laid| laid.id.as_str() == "raw").expect("there");
        assert_eq!(raw.who.as_deref(), Some("\u{1b}[31m\n{}"), "{}", bench.shell);
        // What is no release's name is not live, and neither is what is elsewhere.
        std::fs::create_dir_all(bench.at("root/releases/a name")).expect("mkdir");
        for to in ["releases/a name", "releases", "..", "/", "releases/none", "current"] {
            symlink(to, bench.at("root/current")).expect("linked");
            let told = accounts(bench).await;
            assert_eq!((told.live, told.live_since), (None, None), "{}: {to}", bench.shell);
            std::fs::remove_file(bench.at("root/current")).expect("removed");
        }
    })
    .await;
}

#[tokio::test]
async fn a_text_is_kept_with_its_release_and_goes_with_it() {
    in_every_shell(async |bench| {
        lay(bench, "one", "1").await;
        assert_eq!(kept(bench, "one").await.expect("asked"), None, "{}", bench.shell);
        assert_eq!(kept(bench, "none").await.expect("asked"), None, "{}", bench.shell);
        let filler = "x'\\\"$(id)\né✓".replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut large = format!("{{\"a\":\n\"{}", filler.repeat((1 << 20) / filler.len() - 2));
        large.push_str(&" ".repeat((1 << 20) - large.len() - 2));
        large.push_str("\"}");
        assert_eq!(large.len(), 1 << 20);
        for text in ["{}", &large, "[1,\n2]\n\n", "\"short\""] {
            let before = bench.intents();
            keep(bench, "one", text).await.unwrap_or_else(|e| panic!("{}: {e}\n{}", bench.shell, e.detail));
            assert_eq!(bench.intents(), before + 1, "{}: one intent", bench.shell);
            let now = kept(bench, "one").await.expect("kept");
            assert!(now.as_deref() == Some(text), "{}: {} bytes", bench.shell, text.len());
            assert_eq!(names(bench), ["one.json", "one.plan", "one.tree"], "{}", bench.shell);
        }
        let meta = std::fs::metadata(bench.at(&file("one.plan"))).expect("there");
        assert_eq!(meta.permissions().mode() & 0o7777, 0o600, "{}", bench.shell);
        assert_eq!(accounts(bench).await.releases.len(), 1, "it is no account");
        // What cannot be kept is refused, and what was kept stays.
        let before = bench.intents();
        large.insert(0, ' ');
        for text in ["", "{", "{} {}", "no", &large] {
            assert_eq!(keep(bench, "one", text).await.expect_err("bad").kind, FailureKind::Invalid);
        }
        assert_eq!(bench.intents(), before, "{}: nothing was meant to be done", bench.shell);
        let failure = keep(bench, "none", "{}").await.expect_err("no account");
        assert_eq!(failure.kind, FailureKind::NotFound, "{}: {failure}", bench.shell);
        assert_eq!(kept(bench, "one").await.expect("kept").as_deref(), Some("\"short\""));
        bench.change(&Change::RemoveTree { path: bench.path("root/releases/one") }).await;
        assert_eq!(names(bench), [] as [String; 0], "{}", bench.shell);
        assert_eq!(kept(bench, "one").await.expect("asked"), None);
        // A new release of the same name has nothing of the old one, though somebody had removed that by hand.
        lay(bench, "one", "1").await;
        keep(bench, "one", "{}").await.expect("kept");
        std::fs::remove_dir_all(bench.at("root/releases/one")).expect("removed");
        lay(bench, "one", "1").await;
        assert_eq!(kept(bench, "one").await.expect("asked"), None, "{}", bench.shell);
        // Without an account nothing is told of what lies there.
        keep(bench, "one", "{}").await.expect("kept");
        std::fs::remove_file(bench.at(&file("one.json"))).expect("removed");
        assert_eq!(kept(bench, "one").await.expect("asked"), None, "{}", bench.shell);
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_is_never_read_or_written_through_a_link_or_from_others() {
    in_every_shell(async |bench| {
        lay(bench, "one", "1").await;
        let plan = bench.at(&file("one.plan"));
        std::fs::write(bench.at("secret"), "\"secret\"").expect("written");
        symlink(bench.at("secret"), &plan).expect("linked");
        let failure = kept(bench, "one").await.expect_err("a link");
        assert_eq!(failure.kind, FailureKind::Conflict, "{}: {failure}", bench.shell);
        keep(bench, "one", "\"new\"").await.expect("the link was replaced");
        assert_eq!(std::fs::read_to_string(bench.at("secret")).expect("there"), "\"secret\"");
        assert_eq!(kept(bench, "one").await.expect("kept").as_deref(), Some("\"new\""), "{}", bench.shell);
        for (bytes, kind) in [
            (vec![b'x'; (1 << 20) + 1], FailureKind::Invalid),
            (vec![b'x'; 3 << 20], FailureKind::Invalid),
            (vec![0xff; 10], FailureKind::Invalid),
        ] {
            std::fs::write(&plan, bytes).expect("written");
            assert_eq!(kept(bench, "one").await.expect_err("odd").kind, kind, "{}", bench.shell);
        }
        std::fs::remove_file(&plan).expect("removed");
        std::fs::create_dir(&plan).expect("mkdir");
        assert!(kept(bench, "one").await.is_err(), "{}: a folder", bench.shell);
        assert_eq!(keep(bench, "one", "{}").await.expect_err("a folder").kind, FailureKind::Other);
        std::fs::remove_dir(&plan).expect("removed");
        assert_eq!(names(bench), ["one.json", "one.tree"], "{}: no temporary file is left", bench.shell);
        // Places that do not have the releases.
        let (root, elsewhere) = (bench.path("root"), [bench.path("elsewhere")]);
        for ask in [&elsewhere[..], &[]] {
            let failure = bench.target.kept(&root, &id("one"), Within::both(ask)).await.expect_err("outside");
            assert_eq!(failure.kind, FailureKind::Denied, "{}", bench.shell);
            let failure = bench.target.accounts(&root, Within::both(ask)).await.expect_err("outside");
            assert_eq!(failure.kind, FailureKind::Denied, "{}", bench.shell);
        }
        // As a step has them: the releases alone, reached through a link, and nothing of the runner's own.
        keep(bench, "one", "{}").await.expect("kept");
        symlink("root", bench.at("alias")).expect("linked");
        let (granted, except) = ([bench.path("root/releases")], [bench.path("root/.runner")]);
        let within = Within {
            reads: Places { granted: &granted, written: &[], except: &except },
            writes: Places::default(),
        };
        let told = bench.target.kept(&root, &id("one"), within).await.expect("granted");
        assert_eq!(told.as_deref(), Some("{}"), "{}", bench.shell);
        let through = [bench.path("alias/releases")];
        let within =
            Within { reads: Places { granted: &through, ..Places::default() }, writes: Places::default() };
        let told = bench.target.kept(&bench.path("alias"), &id("one"), within).await.expect("granted");
        assert_eq!(told.as_deref(), Some("{}"), "{}", bench.shell);
    })
    .await;
}

#[tokio::test]
async fn a_folder_of_accounts_that_others_may_change_is_refused() {
    for (name, words) in SHELLS.iter().filter(|(_, words)| available(words[0])) {
        for how in ["open", "link", "outer link"] {
            let bench = Bench::new(name, words).await;
            lay(&bench, "one", "1").await;
            keep(&bench, "one", "{}").await.expect("kept");
            bench.connection.close().await;
            let folder = bench.at("root/.runner/releases");
            if how == "open" {
                std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("chmod");
            }
            // A new connection: what a shell has found to be safe it does not look at again.
            let shared = Shared::new(Arc::clone(&bench.store), Arc::default(), Limits::default());
            let host = Arc::new(Local::with_shell(*words));
            let machine = Machine::new(TargetName::localhost(), host, Arc::new(shared), None);
            let connection = Connected(Arc::new(machine));
            connection.begin(&bench.place()).await.expect("begun");
            match how {
                "open" => {}
                "link" => {
                    std::fs::rename(&folder, bench.at("moved")).expect("moved");
                    symlink(bench.at("moved"), &folder).expect("linked");
                }
                _ => {
                    std::fs::rename(bench.at("root/.runner"), bench.at("moved")).expect("moved");
                    symlink(bench.at("moved"), bench.at("root/.runner")).expect("linked");
                }
            }
            let target = connection.acting(&Acting::Login);
            let (root, all) = (bench.path("root"), bench.all());
            let written = target.keep(&root, &id("one"), "\"new\"", Intent::new("{}")).await;
            let failure = written.expect_err("refused");
            assert_eq!(failure.kind, FailureKind::Denied, "{name}: {how}: {failure}");
            let read = target.kept(&root, &id("one"), Within::both(&all)).await.expect_err("refused");
            assert_eq!(read.kind, FailureKind::Denied, "{name}: {how}: {read}");
            let plan = std::fs::read(folder.join("one.plan")).expect("it is there");
            assert_eq!(plan, b"{}", "{name}: {how}: nothing was written");
            connection.close().await;
        }
    }
}

#[tokio::test]
async fn what_a_run_tells_of_itself_is_bounded_and_hides_its_secrets() {
    let value = runner_secret::Value::new(b"hunter22".to_vec().into()).expect("a value");
    let vault = Arc::new(runner_secret::Vault::new([("token".parse().expect("a name"), value)].into()));
    let bench = Bench::with(SHELLS[0].0, SHELLS[0].1, vault).await;
    let long = RunPlace { who: "x".repeat(5000), ..bench.place() };
    assert_eq!(bench.connection.begin(&long).await.expect_err("long").kind, FailureKind::Invalid);
    let silent = RunPlace { who: "it's hunter22".to_owned(), made_at: String::new(), ..bench.place() };
    bench.connection.begin(&silent).await.expect("begun");
    lay(&bench, "one", "1").await;
    keep(&bench, "one", "{\"password\":\"hunter22\"}").await.expect("kept");
    let told = accounts(&bench).await;
    let who = told.releases[0].who.clone().expect("told");
    assert!(who.starts_with("it's ") && !who.contains("hunter22"), "{who}");
    assert_eq!(told.releases[0].made_at, None);
    let text = kept(&bench, "one").await.expect("kept").expect("there");
    assert!(text.starts_with("{\"password\":") && !text.contains("hunter22"), "{text}");
    bench.connection.close().await;
}
