//! What a later runner of the same run finds: its intents, and the process groups that nobody waits for any more.

use super::*;
use std::collections::BTreeSet;

/// Another runner of the same run on the same machine.
async fn again(bench: &Bench) -> Connected {
    let words = SHELLS.iter().find(|(name, _)| *name == bench.shell).expect("a shell").1;
    let shared = Shared::new(Arc::clone(&bench.store), Arc::default(), Limits::default());
    let machine =
        Machine::new(TargetName::localhost(), Arc::new(Local::with_shell(words)), Arc::new(shared), None);
    let connection = Connected(Arc::new(machine));
    connection.begin(&bench.place()).await.expect("the folder is there");
    connection
}

#[tokio::test]
async fn the_intents_of_a_run_come_back_and_go_on() {
    in_every_shell(async |bench| {
        assert_eq!(bench.connection.intents().await.expect("read"), None, "{}", bench.shell);
        let mkdir = Change::Mkdir { path: bench.path("root/d"), attributes: Attributes::default() };
        bench.change(&mkdir).await;
        let later = again(bench).await;
        let line = b"{\"intent\":\"it's\"}\n";
        assert_eq!(later.intents().await.expect("read").as_deref(), Some(&line[..]), "{}", bench.shell);
        let all = bench.all();
        let change = bench.write("root/f", b"x");
        let verbs = later.acting(&Acting::Login);
        verbs.apply(&change, &State::Absent, Within::both(&all), Intent::new("more")).await.expect("written");
        let both = [&line[..], b"more\n"].concat();
        assert_eq!(later.intents().await.expect("read"), Some(both));
        let folder = bench.at("root/.runner/runs/run-1");
        let mode = |name: &str| folder.join(name).metadata().expect("there").permissions().mode() & 0o7777;
        assert_eq!(
            (mode(""), mode("intents.jsonl"), mode("undo"), mode("groups")),
            (0o711, 0o600, 0o1733, 0o1733)
        );
        let root = bench.path("root");
        std::fs::create_dir(bench.at("root/.runner/runs/run-0")).expect("mkdir");
        std::fs::write(bench.at("root/.runner/runs/run-2"), "no folder").expect("written");
        let runs = later.runs(Some(&root), "a-plan-that-nobody-has").await.expect("listed");
        assert_eq!(runs.iter().map(|run| run.as_str()).collect::<Vec<_>>(), ["run-0", "run-1"]);
        later.close().await;
    })
    .await;
}

fn pid(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.ends_with('\n').then(|| text.trim().to_owned())
}

async fn soon(what: &str, check: impl Fn() -> bool) {
    for _ in 0..200 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not in time: {what}");
}

fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// The runner's side ends without a word, as when it is killed.
#[tokio::test]
async fn what_a_killed_runner_left_is_ended_and_a_daemon_lives_on() {
    in_every_shell(async |bench| {
        for name in ["plain", "child", "packed", "daemon", "own"] {
            let _ = std::fs::remove_file(bench.at(&format!("root/{name}.pid")));
        }
        let root = bench.at("root");
        let file = |name: &str| root.join(format!("{name}.pid"));
        let killed = again(bench).await;
        let verbs = killed.acting(&Acting::Login);
        let all = bench.all();
        // It leaves a daemon in a session of its own, and would not listen to TERM.
        let script = "trap '' TERM; setsid sh -c 'echo $$ > daemon.pid; exec sleep 600' >/dev/null 2>&1 &
            sh -c 'trap \"\" TERM; echo $$ > child.pid; exec sleep 600' & echo $$ > plain.pid; wait; sleep 600";
        let mut slow = command(&["sh", "-c", script]);
        slow.directory = Some(bench.path("root"));
        slow.timeout = 600_000;
        let mut packed = command(&["sh", "-c", "echo $$ > packed.pid; exec sleep 600"]);
        packed.directory = Some(bench.path("root"));
        (packed.stdout_to, packed.compress) = (Some(bench.path("root/out.gz")), true);
        packed.timeout = 600_000;
        let never = CancellationToken::new();
        let log = Log::default();
        let names = ["plain", "child", "packed", "daemon"];
        let pids = async {
            soon("they start", || names.iter().all(|name| pid(&file(name)).is_some())).await;
            names.map(|name| pid(&file(name)).expect("it began"))
        };
        let (mut one, mut two) = (
            Box::pin(verbs.run(&slow, Within::both(&all), None, &log, &never)),
            Box::pin(verbs.run(&packed, Within::both(&all), None, &log, &never)),
        );
        let [plain, child, packed, daemon] = tokio::select! {
            pids = pids => pids,
            ran = &mut one => panic!("{ran:?}"),
            ran = &mut two => panic!("{ran:?}"),
        };
        // Nothing of it is dropped, so nothing ends what it began; and another runner notes its own groups beside it.
        let later = again(bench).await;
        let busy = later.acting(&Acting::Login);
        let count = later.end_left(&BTreeSet::new()).await.unwrap_or_else(|e| panic!("{}: {e}\n{}", bench.shell, e.detail));
        assert!(count >= 2, "{}: {count}", bench.shell);
        for pid in [&plain, &child, &packed] {
            assert!(!lives(pid), "{}: {pid} still runs", bench.shell);
        }
        assert!(lives(&daemon), "{}: a daemon is left alone", bench.shell);
        assert_eq!(later.end_left(&BTreeSet::new()).await.expect("again"), 0, "{}", bench.shell);
        let out = busy.run(&command(&["echo", "well"]), Within::both(&[]), None, &log, &never).await;
        assert_eq!(out.expect("its own shells live on").stdout, "well\n");
        let ended = std::process::Command::new("kill").args(["-KILL", &daemon]).status();
        assert!(ended.expect("kill is there").success());
        drop((one, two));
        later.close().await;
        killed.close().await;
    })
    .await;
}

/// A number that another process has by now is not taken for the one that was noted.
#[tokio::test]
async fn a_number_that_was_used_again_is_left_alone() {
    in_every_shell(async |bench| {
        let mut other = tokio::process::Command::new("setsid");
        let mut other = other.args(["sleep", "600"]).kill_on_drop(true).spawn().expect("started");
        let number = other.id().expect("it lives");
        let groups = bench.at("root/.runner/runs/run-1/groups");
        let noted = std::fs::read_dir(&groups).expect("there").next().expect("a shell's").expect("an entry");
        let name = noted.file_name().into_string().expect("UTF-8");
        let (prefix, _) = name.split_once('.').expect("a prefix");
        std::fs::write(groups.join(format!("{prefix}.{}-1", number)), "").expect("noted");
        // Nor one that is noted under a name that no runner has used.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", number)).expect("it lives");
        let start = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(19)).expect("a start");
        let forged = groups.join(format!("forged.{}-{start}", number));
        std::fs::write(&forged, "").expect("noted");
        if std::os::unix::fs::lchown(&forged, Some(65_534), Some(65_534)).is_err() {
            std::fs::remove_file(&forged).expect("removed");
        }
        // Nor what somebody else of that machine has noted beside what the run did.
        let foreign = groups.join(format!("{prefix}.{}-{start}", number));
        std::fs::write(&foreign, "").expect("noted");
        if std::os::unix::fs::lchown(&foreign, Some(65_534), Some(65_534)).is_err() {
            std::fs::remove_file(&foreign).expect("removed");
        }
        bench.connection.close().await;
        let later = again(bench).await;
        later.end_left(&BTreeSet::new()).await.expect("ended");
        assert!(other.try_wait().expect("asked").is_none(), "{}: it was ended", bench.shell);
        other.kill().await.expect("ended");
        later.close().await;
    })
    .await;
}
