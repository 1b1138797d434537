//! Watchdogs in each shell that a target may have: the shell that arms them, and the one that they run in.

use super::*;
use crate::{Asked, Disarmed, Fired, LockRequest, Owner, PutBack, Take, Watchdog};
use runner_model::ServiceAction;
use std::os::unix::fs::symlink;

/// What the service command of these targets does: `bad` fails, `late` never comes up, and `stays` leaves a process behind
/// that holds its ends.
const CTL: &str = "#!/bin/sh
echo \"$*\" >> \"${0%/*}/asked\"
case $* in
  *\" bad\") echo \"cannot  do it\" >&2; exit 3 ;;
  \"status late\") exit 1 ;;
  *\" stays\") sleep 30 & ;;
esac
";

/// A runner on this machine whose `sh` is the given shell, and whose run is in `root`.
async fn runner(dir: &Path, words: &[&str]) -> Connected {
    let bin = dir.join("bin");
    let path = format!("PATH={}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    let mut shell = vec!["env", path.as_str()];
    shell.extend(words);
    let store = Arc::new(Store::open(dir.join("store")).expect("a store"));
    let limits = Limits { service: Duration::from_secs(3), ..Limits::default() };
    let shared = Shared::new(store, Arc::default(), limits);
    let ctl = bin.join("ctl").to_string_lossy().into_owned();
    let service = vec![ctl, "${action}".to_owned(), "${unit}".to_owned()];
    let host = Arc::new(Local::with_shell(shell));
    let machine = Machine::new(TargetName::localhost(), host, Arc::new(shared), Some(service));
    let connection = Connected(Arc::new(machine));
    let place = RunPlace {
        root: Some(at(dir, "root")),
        plan: "test".to_owned(),
        run: "run-1".parse().expect("id"),
        executes: Executes { plan: Digest::of("plan"), lock: Digest::of("lock") },
        who: String::new(),
        made_at: String::new(),
    };
    connection.begin(&place).await.unwrap_or_else(|e| panic!("{words:?}: {e}\n{}", e.detail));
    connection
}

fn at(dir: &Path, name: &str) -> RemotePath {
    dir.join(name).to_str().expect("UTF-8").parse().expect("a path")
}

async fn in_each(check: impl AsyncFn(&Path, &[&str])) {
    for (name, words) in SHELLS {
        if !available(words[0]) {
            eprintln!("SKIPPED: {name} is not installed");
            continue;
        }
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        let real = dir.path().canonicalize().expect("a folder");
        std::fs::create_dir(real.join("root")).expect("mkdir");
        std::fs::create_dir(real.join("bin")).expect("mkdir");
        let sh = format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "));
        for (file, text) in [("bin/sh", sh.as_str()), ("bin/ctl", CTL)] {
            std::fs::write(real.join(file), text).expect("written");
            std::fs::set_permissions(real.join(file), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        }
        check(&real, words).await;
    }
}

fn watchdog(dir: &Path, after: u64) -> Watchdog {
    Watchdog {
        after: Duration::from_millis(after),
        link: at(dir, "root/current"),
        expects: "releases/new".to_owned(),
        back_to: Some("releases/old".to_owned()),
        link_as: Acting::Login,
        services: vec![],
    }
}

async fn fires(connection: &Connected) -> Fired {
    for _ in 0..1200 {
        if let Some(fired) = connection.watchdog().await.unwrap_or_else(|e| panic!("{e}\n{}", e.detail)) {
            return fired;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not fire")
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

fn points_to(dir: &Path) -> Option<String> {
    let read = std::fs::read_link(dir.join("root/current")).ok()?;
    Some(read.to_str().expect("UTF-8").to_owned())
}

async fn arm(connection: &Connected, watchdog: &Watchdog) {
    connection.arm(watchdog).await.unwrap_or_else(|e| panic!("{e}\n{}", e.detail));
}

#[tokio::test]
async fn it_puts_back_any_text_and_says_what_came_of_each_service() {
    in_each(async |dir, words| {
        let connection = runner(dir, words).await;
        assert_eq!(connection.disarm().await.expect("asked"), Disarmed::NotArmed);
        assert_eq!(connection.watchdog().await.expect("asked"), None);
        let odd = "re'l\"ea s/$(touch x)`touch y`\\n\n%s*  end";
        let service = |unit: &str, action| (Acting::Login, unit.to_owned(), action);
        let wanted = Watchdog {
            expects: format!("{odd} new"),
            back_to: Some(format!("{odd} old\n")),
            services: vec![
                service("good", ServiceAction::Restart),
                service("bad", ServiceAction::Reload),
                service("late", ServiceAction::Start),
                service("stays", ServiceAction::Restart),
            ],
            ..watchdog(dir, 400)
        };
        symlink(&wanted.expects, dir.join("root/current")).expect("linked");
        arm(&connection, &wanted).await;
        let fired = fires(&connection).await;
        assert_eq!(fired.link, PutBack::Reverted, "{words:?}");
        assert_eq!(points_to(dir), wanted.back_to, "{words:?}");
        let said = || "cannot  do it".to_owned();
        let named = |unit: &str, asked| (unit.to_owned(), asked);
        let expected = [
            named("good", Asked::Done),
            named("bad", Asked::Failed { status: 3, said: said() }),
            named("late", Asked::Late { said: String::new() }),
            named("stays", Asked::Done),
        ];
        assert_eq!(fired.services, expected, "{words:?}");
        let asked = std::fs::read_to_string(dir.join("bin/asked")).expect("asked");
        let acted: Vec<_> = asked.lines().filter(|line| !line.starts_with("status")).collect();
        assert_eq!(acted, ["restart good", "reload bad", "start late", "restart stays"], "{words:?}");
        assert!(fired.at > 1_600_000_000, "{fired:?}");
        let left = std::fs::read_dir(dir.join("root")).expect("read").count();
        assert_eq!(left, 2, "{words:?}: current and .runner");
        connection.close().await;
    })
    .await;
}

#[tokio::test]
async fn it_leaves_alone_what_is_not_what_it_expects() {
    in_each(async |dir, words| {
        let connection = runner(dir, words).await;
        let link = dir.join("root/current");
        let service = (Acting::Login, "good".to_owned(), ServiceAction::Restart);
        let wanted = Watchdog { services: vec![service], ..watchdog(dir, 50) };
        for there in [Some("releases/old"), Some("releases/other"), None] {
            let _ = std::fs::remove_file(&link);
            if let Some(there) = there {
                symlink(there, &link).expect("linked");
            }
            arm(&connection, &wanted).await;
            let fired = fires(&connection).await;
            let points = there.map(str::to_owned);
            assert_eq!(fired.link, PutBack::LeftAlone { points_to: points.clone() }, "{words:?}");
            assert_eq!((points_to(dir), fired.services), (points, vec![]), "{words:?}");
        }
        assert!(!dir.join("bin/asked").exists(), "no service is asked");
        std::fs::create_dir(&link).expect("mkdir");
        arm(&connection, &wanted).await;
        assert_eq!(fires(&connection).await.link, PutBack::LeftAlone { points_to: None }, "{words:?}");
        assert!(link.is_dir());
        connection.close().await;
    })
    .await;
}

#[tokio::test]
async fn of_a_first_release_the_link_is_removed() {
    in_each(async |dir, words| {
        let connection = runner(dir, words).await;
        symlink("releases/new", dir.join("root/current")).expect("linked");
        arm(&connection, &Watchdog { back_to: None, ..watchdog(dir, 200) }).await;
        assert_eq!(fires(&connection).await.link, PutBack::Reverted, "{words:?}");
        assert_eq!(points_to(dir), None, "{words:?}");
        connection.close().await;
    })
    .await;
}

#[tokio::test]
async fn arming_again_takes_the_place_of_the_one_before() {
    in_each(async |dir, words| {
        let connection = runner(dir, words).await;
        symlink("releases/new", dir.join("root/current")).expect("linked");
        arm(&connection, &watchdog(dir, 3_600_000)).await;
        arm(&connection, &watchdog(dir, 3_600_000)).await;
        for name in ["1/disarmed", "2/armed", "2/started"] {
            assert!(folder(dir).join(name).exists(), "{words:?}: {name}");
        }
        assert_eq!(connection.watchdog().await.expect("asked"), None, "{words:?}");
        for _ in 0..2 {
            assert_eq!(connection.disarm().await.expect("asked"), Disarmed::Disarmed, "{words:?}");
        }
        arm(&connection, &watchdog(dir, 50)).await;
        // Another runner, to which nobody says that it has fired.
        let record = folder(dir).join("3/record");
        until("it fires", || record.exists()).await;
        let failure = connection.arm(&watchdog(dir, 50)).await.expect_err("it has fired");
        assert_eq!(failure.kind, FailureKind::Conflict, "{words:?}: {failure}");
        assert!(!folder(dir).join("4").exists(), "{words:?}");
        let Disarmed::Fired(fired) = connection.disarm().await.expect("asked") else { panic!("{words:?}") };
        assert_eq!(connection.watchdog().await.expect("asked"), Some(fired), "{words:?}");
        arm(&connection, &watchdog(dir, 3_600_000)).await;
        assert_eq!(connection.disarm().await.expect("asked"), Disarmed::Disarmed, "{words:?}");
        connection.close().await;
    })
    .await;
}

#[tokio::test]
async fn one_whose_run_has_lost_its_lock_leaves_all_to_whoever_took_it() {
    in_each(async |dir, words| {
        let (dead, alive) = (runner(dir, words).await, runner(dir, words).await);
        let owner = Owner {
            who: "alice@laptop".to_owned(),
            run: "run-1".parse().expect("id"),
            plan: "test".to_owned(),
            reason: None,
        };
        let request = LockRequest { owner, lease: Duration::from_secs(600), take: Take::OfRun };
        symlink("releases/new", dir.join("root/current")).expect("linked");
        dead.lock(&request).await.expect("locked");
        arm(&dead, &watchdog(dir, 1000)).await;
        alive.lock(&request).await.expect("locked");
        let started = std::fs::read_to_string(folder(dir).join("1/started")).expect("it runs");
        // One that has ended, and that nobody has asked about yet, has no command line any more.
        let process = format!("/proc/{}/cmdline", started.split(' ').next().expect("its number"));
        until("it ends", || std::fs::read(&process).map_or(true, |line| line.is_empty())).await;
        assert_eq!(points_to(dir), Some("releases/new".to_owned()), "{words:?}");
        assert_eq!(alive.watchdog().await.expect("asked"), None, "{words:?}");
        assert_eq!(alive.disarm().await.expect("asked"), Disarmed::Disarmed, "{words:?}");
        alive.close().await;
        dead.close().await;
    })
    .await;
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("root/.runner/runs/run-1/watchdog")
}

#[tokio::test]
async fn one_that_was_cut_off_or_has_no_whole_record_says_so() {
    in_each(async |dir, words| {
        let connection = runner(dir, words).await;
        arm(&connection, &watchdog(dir, 50)).await;
        fires(&connection).await;
        for (record, words_of_it) in [(Some(""), "not whole"), (None, "cut off")] {
            match record {
                Some(text) => std::fs::write(folder(dir).join("1/record"), text).expect("written"),
                None => std::fs::remove_file(folder(dir).join("1/record")).expect("removed"),
            }
            // It has ended by then, or is about to.
            let fired = fires(&connection).await;
            let PutBack::Failed { why } = fired.link else { panic!("{words:?}: {fired:?}") };
            assert!(why.contains(words_of_it), "{words:?}: {why}");
        }
        connection.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_is_armed() {
    in_each(async |dir, words| {
        let connection = runner(dir, words).await;
        let service = |unit: &str| (Acting::Login, unit.to_owned(), ServiceAction::Restart);
        let good = || watchdog(dir, 1000);
        for (wrong, kind) in [
            (Watchdog { after: Duration::ZERO, ..good() }, FailureKind::Invalid),
            (Watchdog { after: Duration::MAX, ..good() }, FailureKind::Invalid),
            (Watchdog { expects: String::new(), ..good() }, FailureKind::Invalid),
            (Watchdog { back_to: Some("a\0b".to_owned()), ..good() }, FailureKind::Invalid),
            (Watchdog { services: vec![service("-x"), service("a b")], ..good() }, FailureKind::Invalid),
            (Watchdog { link: at(dir, "nowhere/current"), ..good() }, FailureKind::NotFound),
        ] {
            let failure = connection.arm(&wrong).await.expect_err("wrong");
            assert_eq!(failure.kind, kind, "{words:?}: {failure}");
        }
        assert!(!folder(dir).exists(), "{words:?}");
        // Only the login user may write where they are.
        symlink("/tmp", folder(dir)).expect("linked");
        let failure = connection.arm(&good()).await.expect_err("a link");
        assert_eq!(failure.kind, FailureKind::Conflict, "{words:?}: {failure}");
        std::fs::remove_file(folder(dir)).expect("removed");
        arm(&connection, &watchdog(dir, 3_600_000)).await;
        let mode = |name: &str| {
            let found = folder(dir).join(name).metadata().expect("there");
            found.permissions().mode() & 0o7777
        };
        assert_eq!((mode(""), mode("1"), mode("1/watch"), mode("1/armed")), (0o700, 0o700, 0o600, 0o600));
        std::fs::set_permissions(folder(dir), std::fs::Permissions::from_mode(0o777)).expect("chmod");
        let later = runner(dir, words).await;
        let failure = later.disarm().await.expect_err("others may write there");
        assert_eq!(failure.kind, FailureKind::Denied, "{words:?}: {failure}");
        std::fs::set_permissions(folder(dir), std::fs::Permissions::from_mode(0o700)).expect("chmod");
        assert_eq!(connection.disarm().await.expect("asked"), Disarmed::Disarmed, "{words:?}");
        later.close().await;
        connection.close().await;
    })
    .await;
}
