//! Every host function that touches a target, attacked on a real one: this machine, through the transport's own local
//! connection. What must not happen is looked for on the disk, not only in the answers.

#[expect(dead_code, unreachable_pub, reason = "shared by several tests; each uses a part")]
mod support;

use async_trait::async_trait;
use runner::sandbox::context::Machines;
use runner_model::{Acting, Failure, TargetName};
use runner_transport::{Connection, Limits, RunPlace, Transport};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::{Result_, Run};

/// This machine under the names `web-1` and `db-1`.
struct Here {
    web: Arc<dyn Connection>,
    db: Arc<dyn Connection>,
}

#[async_trait]
impl Machines for Here {
    fn has(&self, name: &TargetName) -> bool {
        ["web-1", "db-1"].contains(&name.as_str())
    }

    async fn acting(
        &self,
        name: &TargetName,
        user: &Acting,
    ) -> Result<Arc<dyn runner_transport::Target>, Failure> {
        Ok(if name.as_str() == "db-1" { self.db.acting(user) } else { self.web.acting(user) })
    }
}

/// A folder that may be touched, one beside it that may not, and a step in between.
struct World {
    run: Run,
    granted: PathBuf,
    secret: PathBuf,
    _place: tempfile::TempDir,
}

impl World {
    /// `grants`: with `{granted}` and `{secret}` for the folders.
    async fn new(grants: &[&str]) -> Self {
        // Not below /tmp: an ancestor that anybody may write to is refused, as it should be.
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let base = place.path().canonicalize().expect("it is there");
        let (granted, secret) = (base.join("granted"), base.join("granted-not"));
        for folder in [&granted, &secret] {
            fs::create_dir(folder).expect("a folder");
        }
        fs::write(secret.join("key"), "hunter2").expect("a file");
        fs::write(granted.join("file"), "hello\n").expect("a file");
        let fill = |text: &&str| {
            text.replace("{granted}", &granted.to_string_lossy())
                .replace("{secret}", &secret.to_string_lossy())
        };
        let grants: Vec<String> = grants.iter().map(fill).collect();
        let mut run = Run::granted(&grants.iter().map(String::as_str).collect::<Vec<_>>(), &[], &[]);
        run.reserved = vec![remote(&granted.join(".runner"))];
        let transport = Transport::new(run.store(), Limits::default());
        let connect = async |name: &str| {
            let connection = transport.local(name.parse().expect("a name"), None).await.expect("a shell");
            let run_place = RunPlace {
                root: Some(remote(&granted)),
                plan: "shop".to_owned(),
                run: "r-7".parse().expect("a run"),
            };
            connection.begin(&run_place).await.expect("a place for intents");
            connection
        };
        run.machines = Arc::new(Here { web: connect("web-1").await, db: connect("db-1").await });
        Self { run, granted, secret, _place: place }
    }

    /// Both, below the folder only.
    async fn read_write() -> Self {
        Self::new(&["read:{granted}", "write:{granted}"]).await
    }

    fn in_granted(&self, path: &str) -> String {
        self.granted.join(path).to_string_lossy().into_owned()
    }

    fn in_secret(&self, path: &str) -> String {
        self.secret.join(path).to_string_lossy().into_owned()
    }

    async fn calls(&self, calls: Value) -> Result_ {
        self.run.calls(calls).await
    }

    /// Nothing of the folder that is not granted was read, changed or added to.
    fn assert_untouched(&self) {
        assert_eq!(fs::read_to_string(self.secret.join("key")).expect("still there"), "hunter2");
        assert_eq!(fs::read_dir(&self.secret).expect("still there").count(), 1);
    }
}

fn remote(path: &Path) -> runner_model::RemotePath {
    path.to_string_lossy().parse().expect("a path")
}

/// Every verb on a path, with `path` filled in.
fn every_verb(path: &str) -> Vec<Value> {
    let digest_of =
        |content: &str| json!({ "call": "artifacts.from-bytes", "content": content, "as": "file" });
    let mut calls = vec![digest_of("evil")];
    calls.extend(
        ["stat", "read-dir", "read-link", "read", "digest", "disk-free", "fetch"]
            .map(|verb| json!({ "call": format!("targets.{verb}"), "path": path })),
    );
    calls.extend([
        json!({ "call": "targets.write", "path": path, "text": "evil" }),
        json!({ "call": "targets.put", "path": path, "artifact": "file" }),
        json!({ "call": "targets.mkdir", "path": path }),
        json!({ "call": "targets.symlink", "path": path, "points-to": "/etc/passwd" }),
        json!({ "call": "targets.rename", "path": path, "to": format!("{path}-2") }),
        json!({ "call": "targets.remove", "path": path }),
        json!({ "call": "targets.remove-tree", "path": path }),
        json!({ "call": "targets.set-attributes", "path": path, "mode": 0o777 }),
        json!({ "call": "targets.archive", "path": path, "into": format!("{path}.tar") }),
        json!({ "call": "releases.all", "root": path }),
        json!({ "call": "releases.previous", "root": path }),
    ]);
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grant_every_verb_is_denied_and_journaled() {
    let world = World::new(&[]).await;
    let calls = every_verb(&world.in_secret("key"));
    let count = calls.len();
    let result = world.calls(calls.into()).await;
    let kinds = result.kinds();
    assert!(kinds[1..].iter().all(|kind| kind == "Denied"), "{kinds:?}");
    assert_eq!(result.journal.len(), count);
    assert!(result.journal[1..].iter().all(|line| line.ends_with(" Denied")), "{:?}", result.journal);
    let error = &result.answers()[4]["err"];
    assert!(error["message"].as_str().expect("text").contains("manifest"), "it names the layer: {error}");
    assert!(!error["detail"].as_str().expect("text").is_empty(), "it says what mends it: {error}");
    world.assert_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_beside_the_granted_one_is_denied() {
    let world = World::read_write().await;
    let result = world.calls(every_verb(&world.in_secret("key")).into()).await;
    assert!(result.kinds()[1..].iter().all(|kind| kind == "Denied"), "{:?}", result.kinds());
    world.assert_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_go_up_or_are_none_are_invalid() {
    let world = World::read_write().await;
    for path in [
        world.in_granted("../granted-not/key"),
        world.in_granted("./file"),
        "relative/path".to_owned(),
        String::new(),
        format!("{}\n/etc/passwd", world.in_granted("file")),
        format!("{}\0", world.in_granted("file")),
        format!("/{}", "x/".repeat(3000)),
        "~/file".to_owned(),
        "$HOME/file".to_owned(),
    ] {
        let result = world.calls(every_verb(&path).into()).await;
        let kinds = result.kinds();
        assert!(kinds[1..].iter().all(|kind| kind == "Invalid"), "{path:?}: {kinds:?}");
    }
    world.assert_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_a_granted_folder_leads_nowhere_else() {
    let world = World::read_write().await;
    symlink(&world.secret, world.granted.join("link")).expect("a link");
    symlink(world.secret.join("key"), world.granted.join("key-link")).expect("a link");
    let result = world.calls(every_verb(&world.in_granted("link/key")).into()).await;
    let kinds = result.kinds();
    assert!(kinds[1..].iter().all(|kind| kind != "ok"), "{kinds:?}");
    // What is at the end of a path is not followed either: a link is a link.
    let result = world
        .calls(json!([
            { "call": "targets.read", "path": world.in_granted("key-link") },
            { "call": "targets.fetch", "path": world.in_granted("key-link"), "as": "x" },
            { "call": "targets.write", "path": world.in_granted("key-link"), "text": "evil" },
        ]))
        .await;
    assert!(
        !result.answers().iter().any(|answer| answer.to_string().contains("hunter2")),
        "{:?}",
        result.answers()
    );
    world.assert_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_the_step_makes_itself_is_no_way_out() {
    let world = World::read_write().await;
    let result = world
        .calls(json!([
            { "call": "targets.symlink", "path": world.in_granted("out"), "points-to": world.secret },
            { "call": "targets.read", "path": world.in_granted("out/key") },
            { "call": "targets.write", "path": world.in_granted("out/new"), "text": "evil" },
            { "call": "targets.remove-tree", "path": world.in_granted("out/key") },
        ]))
        .await;
    let kinds = result.kinds();
    assert_eq!(kinds[0], "ok", "a link to anywhere is only a name");
    assert!(kinds[1..].iter().all(|kind| kind != "ok"), "{kinds:?}");
    world.assert_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runners_own_folder_is_out_of_reach() {
    let world = World::read_write().await;
    fs::create_dir_all(world.granted.join(".runner/releases")).expect("the host's folder");
    let manifest = world.granted.join(".runner/releases/1.json");
    fs::write(&manifest, "{}").expect("a file");
    let result = world.calls(every_verb(&world.in_granted(".runner/releases/1.json")).into()).await;
    assert!(result.kinds()[1..].iter().all(|kind| kind == "Denied"), "{:?}", result.kinds());
    // Nor by a name of its own, nor by moving, packing or removing what is around it.
    let result = world
        .calls(json!([
            { "call": "targets.symlink", "path": world.in_granted("mine"), "points-to": ".runner" },
            { "call": "targets.symlink", "path": world.in_granted("mine"), "points-to": "./.runner/releases" },
            { "call": "targets.remove-tree", "path": world.granted },
            { "call": "targets.rename", "path": world.granted, "to": world.in_granted("x") },
            { "call": "targets.fetch", "path": world.granted, "as": "all" },
            { "call": "targets.archive", "path": world.granted, "into": world.in_granted("all.tar") },
        ]))
        .await;
    assert!(result.kinds().iter().all(|kind| kind == "Denied"), "{:?}", result.kinds());
    symlink(world.granted.join(".runner"), world.granted.join("mine")).expect("somebody else makes the link");
    let result = world.calls(every_verb(&world.in_granted("mine/releases/1.json")).into()).await;
    assert!(result.kinds()[1..].iter().all(|kind| kind != "ok"), "{:?}", result.kinds());
    assert_eq!(fs::read_to_string(manifest).expect("still there"), "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_works_and_is_journaled_before_it_happens() {
    let world = World::read_write().await;
    let path = world.in_granted("conf");
    let write = json!({ "call": "targets.write", "path": path, "text": "a\n", "mode": 0o640 });
    let result = world.calls(json!([write, write, { "call": "targets.read", "path": path }])).await;
    assert_eq!(result.answers(), [json!({ "ok": true }), json!({ "ok": false }), json!({ "ok": "a\n" })]);
    assert_eq!(
        result.journal,
        ["intent targets.write", "outcome targets.write done true", "targets.write ok", "targets.read ok"]
    );
    assert_eq!(fs::metadata(&path).expect("written").permissions().mode() & 0o7777, 0o640);
    assert_eq!(result.ended.tally.changes, 1, "a change that found all as it should be is not counted");
    // The intent is on the target too.
    let intents = fs::read_dir(world.granted.join(".runner/runs/r-7")).expect("the run's folder").count();
    assert!(intents > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_still_says_true_for_what_a_failed_attempt_changed() {
    let mut world = World::read_write().await;
    let write = json!({ "call": "targets.write", "path": world.in_granted("conf"), "text": "a" });
    let fail = json!({ "call": "fail", "message": "the restart failed" });
    let first = world.calls(json!([write, fail])).await;
    assert_eq!(first.failure().message, "the restart failed");
    world.run.attempt = 2;
    let second = world.calls(json!([write])).await;
    assert_eq!(second.answer(), json!({ "ok": true }), "or the restart would be lost");
    world.run.attempt = 3;
    let third = world.calls(json!([write])).await;
    assert_eq!(third.answer(), json!({ "ok": false }), "it ended well since");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_target_needs_a_grant_of_its_own() {
    let world = World::read_write().await;
    let on = |name: &str| json!({ "call": "targets.named", "on": name });
    let result = world
        .calls(json!([on("web-1"), on("db-1"), on("nowhere"), on("../x"), on("-oProxyCommand=x")]))
        .await;
    assert_eq!(result.kinds(), ["ok", "Denied", "Denied", "Invalid", "Invalid"]);
    let world = World::new(&["target:*", "read:{granted}"]).await;
    let result = world.calls(json!([on("db-1"), on("nowhere")])).await;
    assert_eq!(result.kinds(), ["ok", "NotFound"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_only_as_they_are_granted() {
    let world = World::new(&[
        "exec-read:printf %s *",
        "exec-change:mkdir *",
        "exec-change:rmdir *",
        "read:{granted}",
    ])
    .await;
    let run = |argv: &[&str], effect: &str| json!({ "call": "commands.run", "argv": argv, "effect": effect });
    let new = world.in_granted("made");
    let result = world
        .calls(json!([
            run(&["printf", "%s", "$(id)`id`;id|id&&id"], "read"),
            run(&["printf", "%s", "-v"], "read"),
            run(&["printf", "%s", "a", "b"], "read"),
            run(&["printf %s a"], "read"),
            run(&["/tmp/printf", "%s", "a"], "read"),
            run(&["printf", "%s", "a"], "signal"),
            run(&["printf", "%s", "a"], "opaque"),
            run(&["sh", "-c", "id"], "read"),
            run(&[], "read"),
            run(&["mkdir", &new], "read"),
            run(&["mkdir", &new], "change"),
        ]))
        .await;
    assert_eq!(result.answers()[0]["ok"]["stdout"], "$(id)`id`;id|id&&id", "no shell sees an argument");
    assert_eq!(
        result.kinds()[1..],
        [
            "Denied", "Denied", "Denied", "Denied", "Denied", "Denied", "Denied", "Invalid", "Denied",
            "Invalid"
        ]
    );
    let error = &result.answers()[5]["err"];
    assert!(error.to_string().contains("signal"), "it says that the class is the matter: {error}");
    assert!(!Path::new(&new).exists());

    let mut change = run(&["mkdir", &new], "change");
    change["undo"] = run(&["rm", "-rf", &new], "change");
    let mut fine = change.clone();
    fine["undo"] = run(&["rmdir", &new], "change");
    let mut skipped = fine.clone();
    skipped["skip-if"] = run(&["sh", "-c", "true"], "read");
    let mut env = run(&["printf", "%s", "a"], "read");
    env["env"] = json!({ "LD_PRELOAD": "/tmp/evil.so" });
    let mut elsewhere = run(&["printf", "%s", "a"], "read");
    elsewhere["stdout-to"] = json!(world.in_granted("out"));
    let mut folder = run(&["printf", "%s", "a"], "read");
    folder["directory"] = json!(world.secret);
    let result = world.calls(json!([change, skipped, env, elsewhere, folder, fine])).await;
    assert_eq!(
        result.kinds(),
        ["Denied", "Denied", "Denied", "Denied", "Denied", "ok"],
        "an undo, a check, a variable, a file and a folder need grants of their own"
    );
    assert!(Path::new(&new).exists());
    world.assert_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_says_how_and_its_escapes_are_written_out() {
    let world = World::new(&["exec-read:sh -c *", "exec-read:definitely-not-a-program"]).await;
    let result = world
        .calls(json!([
            { "call": "commands.run", "argv": ["sh", "-c", "printf '\\033[31mno\\n' >&2; exit 7"] },
            { "call": "commands.run", "argv": ["sh", "-c", "exit 7"], "accept": [7] },
            { "call": "commands.run", "argv": ["sh", "-c", "sleep 30"], "timeout": 300 },
            { "call": "commands.run", "argv": ["definitely-not-a-program"] },
        ]))
        .await;
    assert_eq!(result.kinds(), ["CommandFailed", "ok", "Timeout", "NotFound"]);
    let error = &result.answers()[0]["err"];
    assert_eq!(error["detail"], "\\u{1b}[31mno");
    assert!(result.log.iter().any(|(_, line)| line == "\\u{1b}[31mno"), "{:?}", result.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_holds_skips_its_command() {
    let world = World::new(&["exec-read:test -d *", "exec-change:mkdir *", "exec-change:rmdir *"]).await;
    let new = world.in_granted("made");
    let call = json!({
        "call": "commands.run", "argv": ["mkdir", new], "effect": "change",
        "skip-if": { "argv": ["test", "-d", new] },
        "undo": { "argv": ["rmdir", new], "effect": "change" },
    });
    let result = world.calls(json!([call, call])).await;
    let skipped: Vec<_> = result.answers().iter().map(|answer| answer["ok"]["skipped"].clone()).collect();
    assert_eq!(skipped, [false, true]);
    assert_eq!(
        result.journal.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect::<Vec<_>>(),
        ["commands.run", "intent", "outcome", "commands.run", "commands.run"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_command_ends_with_the_cancel() {
    let world = World::new(&["exec-read:sleep *"]).await;
    let cancel = world.run.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    });
    let started = std::time::Instant::now();
    let result =
        world.calls(json!([{ "call": "commands.run", "argv": ["sleep", "31.4159"], "hand-on": true }])).await;
    assert_eq!(result.failure().kind, runner_model::FailureKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_granted_by_unit_and_action() {
    let world = World::new(&["service:nginx restart"]).await;
    let service =
        |unit: &str, action: &str| json!({ "call": "targets.service", "unit": unit, "action": action });
    let result = world
        .calls(json!([
            service("nginx", "stop"),
            service("sshd", "restart"),
            service("nginx sshd", "restart"),
            service("--root=/tmp", "restart"),
            service("../nginx", "restart"),
            service("", "restart"),
            service("*", "restart"),
            { "call": "targets.service-is-active", "unit": "sshd" },
            { "call": "targets.service-is-active", "unit": "-H evil" },
        ]))
        .await;
    assert_eq!(
        result.kinds(),
        ["Denied", "Denied", "Invalid", "Invalid", "Invalid", "Invalid", "Invalid", "Denied", "Invalid"]
    );
    assert!(result.journal.iter().all(|line| !line.starts_with("intent")), "{:?}", result.journal);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_and_links_that_make_no_sense_are_invalid() {
    let world = World::read_write().await;
    let at = world.in_granted("file");
    let result = world
        .calls(json!([
            { "call": "targets.write", "path": at, "text": "", "mode": 0o100_777 },
            { "call": "targets.write", "path": at, "text": "", "owner": "root:root" },
            { "call": "targets.write", "path": at, "text": "", "group": "-R" },
            { "call": "targets.set-attributes", "path": at, "owner": "a b" },
            { "call": "targets.symlink", "path": world.in_granted("l"), "points-to": "" },
            { "call": "targets.symlink", "path": world.in_granted("l"), "points-to": "a\nb" },
        ]))
        .await;
    assert!(result.kinds().iter().all(|kind| kind == "Invalid"), "{:?}", result.kinds());
    assert_eq!(fs::read_to_string(at).expect("unchanged"), "hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn unpack_lays_out_only_what_fits() {
    let world = World::read_write().await;
    let plan = world.run.plan();
    fs::create_dir(plan.join("site")).expect("a folder");
    fs::write(plan.join("site/index.html"), "<p>hello").expect("a file");
    let world = World { run: Run { grants: with_files(&world.run), ..world.run }, ..world };
    let release = world.in_granted("releases");
    let unpack = |path: &str, extra: Value| {
        let mut call = json!({ "call": "targets.unpack", "path": path, "artifact": "tree" });
        call.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        call
    };
    let one = world.in_granted("releases/1");
    let result = world
        .calls(json!([
            { "call": "artifacts.pack", "path": "site", "as": "tree" },
            { "call": "targets.mkdir", "path": release },
            unpack(&one, json!({ "mode": 0o777 })),
            unpack(&one, json!({ "links": [{ "path": "../../../out", "points-to": "x" }] })),
            unpack(&one, json!({ "links": [{ "path": "/etc/out", "points-to": "x" }] })),
            unpack(&one, json!({ "links": [{ "path": "a", "points-to": "../../.runner" }] })),
            unpack(&one, json!({ "reuse": world.secret })),
            unpack(&world.in_secret("x"), json!({})),
            unpack(&one, json!({})),
            unpack(&one, json!({})),
            { "call": "targets.put", "path": world.in_granted("p"), "artifact": "tree" },
        ]))
        .await;
    assert_eq!(
        result.kinds(),
        ["ok", "ok", "Invalid", "Invalid", "Invalid", "Denied", "Denied", "Denied", "ok", "ok", "Invalid"]
    );
    assert_eq!(result.answers()[8..10], [json!({ "ok": true }), json!({ "ok": false })]);
    assert_eq!(fs::read_to_string(Path::new(&one).join("index.html")).expect("laid out"), "<p>hello");
    world.assert_untouched();
}

fn with_files(run: &Run) -> runner_model::grant::GrantSet {
    let files = runner_model::grant::GrantSet::from_lists([], ["read:site"], []).expect("grants");
    runner_model::grant::GrantSet { files: files.files, ..run.grants.clone() }
}
