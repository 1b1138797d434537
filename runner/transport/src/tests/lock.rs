//! The lock: one has it, by the target's clock, and who lost it writes nothing more.

use super::*;
use crate::{LockAnswer, LockRequest, LockState, Owner, Take, Watchdog};
use futures_util::future::join_all;

/// Another runner on the same machine.
async fn runner(bench: &Bench, run: &str) -> Connected {
    let words = SHELLS.iter().find(|(name, _)| *name == bench.shell).expect("a shell").1;
    let shared = Shared::new(Arc::clone(&bench.store), Arc::default(), Limits::default());
    let machine =
        Machine::new(TargetName::localhost(), Arc::new(Local::with_shell(words)), Arc::new(shared), None);
    let connection = Connected(Arc::new(machine));
    let place = RunPlace { run: run.parse().expect("an id"), ..bench.place() };
    connection.begin(&place).await.expect("begun");
    connection
}

fn request(run: &str, lease: u64, take: Take) -> LockRequest {
    let owner = Owner {
        who: "it's \"alice\"@laptop".to_owned(),
        run: run.parse().expect("an id"),
        plan: "test".to_owned(),
        reason: (take == Take::ByForce).then(|| "line\nbreak".to_owned()),
    };
    LockRequest { owner, lease: Duration::from_secs(lease), take }
}

async fn take(connection: &Connected, request: LockRequest) -> LockAnswer {
    connection.lock(&request).await.unwrap_or_else(|e| panic!("{e}\n{}", e.detail))
}

async fn state(bench: &Bench) -> LockState {
    let root = bench.path("root");
    bench.connection.lock_state(Some(&root), "test").await.expect("asked").expect("it was taken")
}

#[tokio::test]
async fn a_lock_is_taken_kept_released_and_taken_again() {
    in_every_shell(async |bench| {
        let root = bench.path("root");
        assert_eq!(bench.connection.lock_state(Some(&root), "test").await.expect("asked"), None);
        let other = runner(bench, "run-2").await;
        assert_eq!(
            take(&bench.connection, request("run-1", 600, Take::IfFree)).await,
            LockAnswer::Taken { epoch: 1 }
        );
        assert_eq!(bench.connection.fence(), Some(1));
        let LockAnswer::Held(held) = take(&other, request("run-2", 600, Take::IfFree)).await else {
            panic!("{}: it is held", bench.shell)
        };
        assert!(held.is_held() && held.left > 500 && held.since.is_some_and(|since| since < 60), "{held:?}");
        assert_eq!(held.owner, Some(request("run-1", 600, Take::IfFree).owner), "{}", bench.shell);
        assert_eq!(other.fence(), None);
        bench.connection.renew(Duration::from_secs(3000)).await.expect("renewed");
        assert!(state(bench).await.left > 2000);
        bench.target.note("mine").await.expect("written");
        bench.connection.release().await.expect("released");
        assert!(state(bench).await.free);
        // What another run has written before is not refused by a lock that nobody has.
        for epoch in 2..6 {
            let answer = take(&other, request("run-2", 600, Take::IfFree)).await;
            assert_eq!(answer, LockAnswer::Taken { epoch }, "{}", bench.shell);
            other.release().await.expect("released");
        }
        let mut left: Vec<_> = std::fs::read_dir(bench.at("root/.runner/lock"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        left.sort();
        assert_eq!(left, ["4", "5"], "{}: the two newest, and nothing else", bench.shell);
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn who_was_fenced_writes_nothing_more() {
    in_every_shell(async |bench| {
        let other = runner(bench, "run-2").await;
        take(&bench.connection, request("run-1", 600, Take::IfFree)).await;
        bench.change(&bench.write("root/f", b"one")).await;
        take(&other, request("run-2", 600, Take::ByForce)).await;
        let intents = bench.intents();
        let all = bench.all();
        let within = Within::both(&all);
        let fails = |what: &str, failure: runner_model::Failure| {
            assert_eq!(failure.kind, FailureKind::Conflict, "{}: {what}: {failure}", bench.shell);
            let owner = "it\\'s \\\"alice\\\"@laptop has taken the lock over with the run run-2 of `test`: line\\nbreak";
            assert!(failure.message.contains(owner), "{}: {what}: {failure}", bench.shell);
        };
        let write = bench.write("root/f", b"two");
        let seen = bench.observe(&write).await.expect("it may still look");
        fails("write", bench.target.apply(&write, &seen.before, within, Intent::new("x")).await.expect_err("fenced"));
        fails("note", bench.target.note("x").await.expect_err("fenced"));
        fails("renew", bench.connection.renew(Duration::from_secs(9)).await.expect_err("fenced"));
        fails("release", bench.connection.release().await.expect_err("fenced"));
        let root = bench.path("root");
        let one = "one".parse().expect("an id");
        fails("keep", bench.target.keep(&root, &one, "{}", Intent::new("x")).await.expect_err("fenced"));
        let unpack = Change::Unpack {
            path: bench.path("root/tree"),
            tree: bench.store.put_tree(&Tree::default()).expect("stored"),
            links: vec![],
            reuse: None,
            attributes: Attributes::default(),
        };
        fails("unpack", bench.target.apply(&unpack, &State::Absent, within, Intent::new("x")).await.expect_err("fenced"));
        let touch = bench.at("root/touched");
        let command = command(&["touch", touch.to_str().expect("UTF-8")]);
        let ran = bench.target.run(&command, within, Some(Intent::new("x")), &Log::default(), &CancellationToken::new()).await;
        fails("run", ran.expect_err("fenced"));
        let watchdog = Watchdog {
            after: Duration::from_secs(600),
            link: bench.path("root/current"),
            expects: "releases/new".to_owned(),
            back_to: None,
            link_as: Acting::Login,
            services: vec![],
        };
        fails("arm", bench.connection.arm(&watchdog).await.expect_err("fenced"));
        fails("disarm", bench.connection.disarm().await.expect_err("fenced"));
        let shared = runner(bench, "run-1").await;
        shared.share_lock(1).await.expect("shared");
        fails("another name", shared.acting(&Acting::Login).note("x").await.expect_err("fenced"));
        shared.close().await;
        assert!(!touch.exists() && !bench.at("root/tree").exists());
        assert_eq!(std::fs::read(bench.at("root/f")).expect("there"), b"one");
        assert_eq!(bench.intents(), intents, "{}: not even an intent", bench.shell);
        // The one who has it now goes on, and when even the folder is gone, so does nobody.
        other.acting(&Acting::Login).note("mine").await.expect("written");
        std::fs::remove_dir_all(bench.at("root/.runner/lock")).expect("removed");
        let failure = other.acting(&Acting::Login).note("x").await.expect_err("gone");
        assert!(failure.message.contains("was taken over, or is gone"), "{failure}");
        assert_eq!(other.lock_state(Some(&root), "test").await.expect("asked"), None);
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_is_over_and_the_same_run_make_way_and_nothing_else() {
    in_every_shell(async |bench| {
        let other = runner(bench, "run-2").await;
        take(&bench.connection, request("run-1", 600, Take::IfFree)).await;
        let held = take(&other, request("run-2", 600, Take::OfRun)).await;
        assert!(matches!(held, LockAnswer::Held(_)), "{}", bench.shell);
        let again = runner(bench, "run-1").await;
        assert_eq!(take(&again, request("run-1", 600, Take::OfRun)).await, LockAnswer::Taken { epoch: 2 });
        bench.target.note("x").await.expect_err("the process before is dead, or should be");
        // An hour later by the target's clock.
        std::fs::write(bench.at("root/.runner/lock/2/until"), "1000\n").expect("written");
        assert_eq!(take(&other, request("run-2", 600, Take::IfFree)).await, LockAnswer::Taken { epoch: 3 });
        again.close().await;
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_holder_that_cannot_be_read_holds_and_what_was_half_made_not_for_ever() {
    in_every_shell(async |bench| {
        let lock = bench.at("root/.runner/lock");
        for text in ["{\"since\":1,\"who\":", "\u{0}\n", "{}\n", "[1]\n"] {
            std::fs::create_dir_all(lock.join("7")).expect("mkdir");
            std::fs::write(lock.join("7/holder"), text).expect("written");
            let LockAnswer::Held(held) = take(&bench.connection, request("run-1", 600, Take::OfRun)).await
            else {
                panic!("{}: {text:?} holds", bench.shell)
            };
            assert_eq!((held.epoch, held.owner, held.free), (7, None, false), "{}: {text:?}", bench.shell);
            assert!(held.left > 500);
        }
        let old = std::time::SystemTime::now() - Duration::from_secs(700);
        std::fs::File::open(lock.join("7")).expect("open").set_modified(old).expect("set");
        let taken = take(&bench.connection, request("run-1", 600, Take::IfFree)).await;
        assert_eq!(taken, LockAnswer::Taken { epoch: 8 }, "{}", bench.shell);
    })
    .await;
}

#[tokio::test]
async fn a_lock_where_others_may_write_is_refused() {
    in_every_shell(async |bench| {
        let lock = bench.at("root/.runner/lock");
        std::fs::create_dir(&lock).expect("mkdir");
        std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o777)).expect("chmod");
        let failure = bench.connection.lock(&request("run-1", 9, Take::ByForce)).await.expect_err("unsafe");
        assert_eq!(failure.kind, FailureKind::Denied, "{}: {failure}", bench.shell);
        std::fs::remove_dir(&lock).expect("removed");
        std::os::unix::fs::symlink("/tmp", &lock).expect("a link");
        let failure = bench.connection.lock(&request("run-1", 9, Take::ByForce)).await.expect_err("a link");
        assert_eq!(failure.kind, FailureKind::Conflict, "{}: {failure}", bench.shell);
    })
    .await;
}

#[tokio::test]
async fn of_many_who_take_it_at_once_one_has_it() {
    in_every_shell(async |bench| {
        let names: Vec<String> = (0..12).map(|number| format!("run-a{number}")).collect();
        let all = join_all(names.iter().map(|name| runner(bench, name))).await;
        for round in 1..6 {
            let taking =
                all.iter().zip(&names).map(|(one, name)| take(one, request(name, 600, Take::IfFree)));
            let answers = join_all(taking).await;
            let won: Vec<_> =
                answers.iter().filter(|answer| matches!(answer, LockAnswer::Taken { .. })).collect();
            assert_eq!(won, [&LockAnswer::Taken { epoch: round }], "{}: {answers:?}", bench.shell);
            let winner =
                answers.iter().position(|answer| matches!(answer, LockAnswer::Taken { .. })).expect("one");
            all[winner].release().await.expect("released");
        }
        join_all(all.iter().map(|one| one.close())).await;
    })
    .await;
}
