//! Undo and resume over real sshd's: other users' copies, disks without room, attackers beside, and commands that a
//! killed runner has left.

mod common;

use common::{Bench, Quiet, command, fleet, path, target};
use runner_fleet::{Fleet, Host, Sudo};
use runner_model::{Acting, Attributes, Change, Failure, FailureKind, RemotePath, UndoKey};
use runner_transport::{Intent, Kept, Target, Undo, Undone, Within};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const ROOT: &str = "/srv/app";

fn isolated(builder: runner_fleet::Builder) -> Option<Fleet> {
    let fleet = fleet(builder)?;
    if !fleet.isolated() {
        eprintln!("SKIPPED: other users and small disks need a fleet that was started as root");
        return None;
    }
    Some(fleet)
}

fn said(host: &Host, script: &str) -> String {
    let out = host.inside(&["sh", "-ec", script]).unwrap_or_else(|e| panic!("{script}: {e}"));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Observes and applies with a copy; what is needed to undo it, and what became of the copy.
async fn keep(
    verbs: &dyn Target,
    name: &str,
    change: &Change,
    within: Within<'_>,
) -> Result<(Undo, Kept), Failure> {
    let key: UndoKey = name.parse().expect("a key");
    let seen = verbs.observe(change, within).await?;
    let intent = Intent { line: "{}", undo: Some(&key) };
    let applied = verbs.apply(change, &seen.before, within, intent).await?;
    let undo = Undo {
        change: change.clone(),
        before: seen.before,
        after: applied.after.unwrap_or(seen.after),
        key: Some(key),
        made_folders: applied.made_folders,
    };
    Ok((undo, applied.copy))
}

fn user(name: &str) -> Acting {
    Acting::As(name.parse().expect("a name"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_keeps_puts_back_and_forgets_its_own() {
    let Some(fleet) = isolated(Fleet::builder(1).sudo(Sudo::Everything)) else { return };
    let host = fleet.host(1);
    let facts =
        "cd /srv/app; find d -printf '%p %m %U %G %l\\n' | sort; find d -type f -exec sha256sum {} + | sort";
    said(
        host,
        "mkdir -p /srv/app/d/nobody; echo r > /srv/app/d/root; echo n > /srv/app/d/nobody/f
        chmod 640 /srv/app/d/root; chown -R 65534:65534 /srv/app/d/nobody; chmod 755 /srv /srv/app",
    );
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), ROOT).await;
    let before = said(host, facts);
    let all = [path(ROOT)];
    let within = Within::both(&all);
    let tree = bench.tree(&[("a".to_owned(), "1".to_owned())]);
    let unpack = |owner: Option<&str>| Change::Unpack {
        path: path("/srv/app/d/tree"),
        tree,
        links: vec![],
        reuse: None,
        attributes: Attributes { mode: None, owner: owner.map(str::to_owned), group: None },
    };
    let mut done = Vec::new();
    for (number, (name, change)) in [
        ("root", bench.write("/srv/app/d/root", "changed")),
        ("nobody", bench.write("/srv/app/d/nobody/f", "changed")),
        ("root", unpack(None)),
        ("root", unpack(Some("nobody"))),
        ("nobody", Change::Remove { path: path("/srv/app/d/nobody/f") }),
        ("root", Change::RemoveTree { path: path("/srv/app/d/nobody") }),
        ("root", Change::RemoveTree { path: path("/srv/app/d/tree") }),
        ("root", Change::RemoveTree { path: path("/srv/app/d") }),
    ]
    .into_iter()
    .enumerate()
    {
        let verbs = connection.acting(&user(name));
        let (undo, kept) = keep(&*verbs, &format!("k{number}"), &change, within)
            .await
            .unwrap_or_else(|e| panic!("{change:?}: {e}\n{}", e.detail));
        assert_eq!(kept, if number == 2 { Kept::NotNeeded } else { Kept::Made }, "{change:?}");
        done.push((name, undo));
    }
    assert_eq!(said(host, "ls /srv/app"), "");
    for (name, undo) in done.iter().rev() {
        let undone = connection.acting(&user(name)).undo(undo, within, Intent::new("{}")).await;
        let undone = undone.unwrap_or_else(|e| panic!("{undo:?}: {e}\n{}", e.detail));
        assert_eq!(undone, Undone::Restored, "{undo:?}");
    }
    assert_eq!(said(host, facts), before);
    let copies = || {
        said(host, "find /srv/app/.runner/runs/run-1/undo -mindepth 1 -maxdepth 1 -printf '%u\\n' | sort -u")
    };
    assert_eq!(copies(), "nobody\nroot\n");
    connection.acting(&user("nobody")).forget().await.expect("forgotten");
    assert_eq!(copies(), "root\n");
    connection.acting(&user("root")).forget().await.expect("forgotten");
    assert_eq!(copies(), "");
    connection.close().await;
}

/// Below a home that only its owner may enter another user can keep nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_cannot_reach_the_copies_changes_all_the_same_and_says_so() {
    let Some(fleet) = isolated(Fleet::builder(1).sudo(Sudo::Everything)) else { return };
    let host = fleet.host(1);
    said(host, "mkdir /srv/n; echo old > /srv/n/f; chown -R nobody /srv/n; chmod 755 /srv");
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), ROOT).await;
    said(host, "chmod 700 /srv/app/.runner");
    let all = [path("/srv/n")];
    let within = Within::both(&all);
    let verbs = connection.acting(&user("nobody"));
    for (change, now) in
        [(bench.write("/srv/n/f", "new"), "new"), (Change::Remove { path: path("/srv/n/f") }, "")]
    {
        let (undo, kept) = keep(&*verbs, "key", &change, within).await.expect("changed");
        assert!(matches!(&kept, Kept::Impossible(why) if why.contains("cannot write")), "{kept:?}");
        assert_eq!(said(host, "cat /srv/n/f 2>/dev/null || true"), now);
        let undone = verbs.undo(&undo, within, Intent::new("{}")).await.expect("looked at");
        assert!(matches!(undone, Undone::NoCopy(_)), "{undone:?}");
        assert_eq!(said(host, "cat /srv/n/f 2>/dev/null || true"), now);
    }
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_a_copy_nothing_is_changed_and_another_disk_is_no_matter() {
    let Some(fleet) = isolated(Fleet::builder(1).small_disk(1, "4m").sudo(Sudo::Everything)) else { return };
    let host = fleet.host(1);
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), ROOT).await;
    let elsewhere = said(host, "d=$(mktemp -d /run/kept-XXXXXX); chmod 755 $d; echo $d").trim().to_owned();
    said(
        host,
        &format!(
            "cd {elsewhere}; stat -c %d . /srv/app | sort -u | wc -l | grep -qx 2
            mkdir -p t/d; echo small > t/d/small; chmod 2750 t/d; chown 12345:12346 t/d/small; ln -s x t/l
            head -c 9000000 /dev/urandom > big; mkdir b; cp big b/big"
        ),
    );
    let facts = format!(
        "cd {elsewhere}; find . -printf '%p %m %U %G %l\\n' | sort; find . -type f -exec sha256sum {{}} + | sort"
    );
    let before = said(host, &facts);
    let all = [path(&elsewhere)];
    let within = Within::both(&all);
    let verbs = connection.acting(&user("root"));
    let at = |name: &str| format!("{elsewhere}/{name}");
    for (number, change) in [
        bench.write(&at("big"), "new"),
        Change::Remove { path: path(&at("big")) },
        Change::RemoveTree { path: path(&at("b")) },
    ]
    .iter()
    .enumerate()
    {
        let failure = keep(&*verbs, &format!("full{number}"), change, within).await.expect_err("no room");
        assert_eq!(failure.kind, FailureKind::Conflict, "{failure}");
        assert!(failure.message.contains("no space is left"), "{failure}\n{}", failure.detail);
        assert_eq!(said(host, &facts), before, "{change:?}");
    }
    assert_eq!(said(host, "ls /srv/app/.runner/runs/run-1/undo"), "", "what was begun is taken away");
    for (number, change) in [
        bench.write(&at("t/d/small"), "new"),
        Change::Remove { path: path(&at("t/d/small")) },
        Change::RemoveTree { path: path(&at("t")) },
    ]
    .iter()
    .enumerate()
    {
        let (undo, kept) = keep(&*verbs, &format!("far{number}"), change, within)
            .await
            .unwrap_or_else(|e| panic!("{change:?}: {e}\n{}", e.detail));
        assert_eq!(kept, Kept::Made);
        assert_ne!(said(host, &facts), before, "{change:?}");
        let undone = verbs.undo(&undo, within, Intent::new("{}")).await;
        assert_eq!(undone.unwrap_or_else(|e| panic!("{e}\n{}", e.detail)), Undone::Restored, "{change:?}");
        assert_eq!(said(host, &facts), before, "{change:?}");
    }
    said(host, &format!("rm -rf {elsewhere}"));
    connection.close().await;
}

/// What the attacker does as `nobody` until `/srv/stop` is there: in a folder like /tmp, and in the folder of copies.
const SWAP: &str = r#"
chdir '/srv/app/play' or die;
my $n = 0;
while (! -e '/srv/stop') {
    for (1 .. 50) {
        if (open(my $f, '>', 'sticky/f')) { close $f; }
        symlink '/srv/secret/f', 'sticky/l'; rename 'sticky/l', 'sticky/f';
        symlink '/srv/secret', 'sticky/d'; symlink '/srv/secret', "/srv/app/.runner/runs/run-1/undo/k$n";
        select(undef, undef, undef, rand(0.0003)) if $n % 3 == 1;
        unlink 'sticky/f'; unlink 'sticky/d'; unlink "/srv/app/.runner/runs/run-1/undo/k$n";
        mkdir 'sticky/d'; if (open(my $f, '>', 'sticky/d/x')) { close $f; }
        rename 'sticky/d', 'sticky/away'; symlink '/srv/secret', 'sticky/d'; unlink 'sticky/d';
        unlink 'sticky/away/x'; rmdir 'sticky/away';
        $n = ($n + 1) % 50;
        $main::all++;
    }
}
print "$main::all\n";
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attacker_beside_leads_no_copy_and_no_undo_astray() {
    let Some(fleet) = isolated(Fleet::builder(1).sudo(Sudo::Everything)) else { return };
    let host = fleet.host(1);
    if host.inside(&["perl", "-e", "1"]).is_err() {
        eprintln!("SKIPPED: the attacker is written in perl, which is not installed");
        return;
    }
    said(
        host,
        "mkdir -m 711 /srv/secret; echo secret > /srv/secret/f; chmod 600 /srv/secret/f; mkdir -p /srv/app/play/sticky
        chmod 1777 /srv/app/play/sticky; chmod 755 /srv /srv/app /srv/app/play",
    );
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), ROOT).await;
    let own = tokio::runtime::Handle::current();
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            host.inside(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "perl", "-e", SWAP])
                .expect("the attacker runs")
        });
        let outcome = scope.spawn(|| own.block_on(defended(&*connection.acting(&user("root")), &bench)));
        let outcome = outcome.join();
        said(host, "touch /srv/stop");
        let swaps = attacker.join().expect("joined");
        let (done, undone) = outcome.expect("nothing was led astray");
        let swaps: u32 = String::from_utf8_lossy(&swaps.stdout).trim().parse().expect("a number");
        eprintln!("{done} changes, {undone} undone, against {swaps} rounds of swaps");
        assert!(swaps > 200 && done > 20 && undone >= 20, "{swaps} {done} {undone}");
    });
    let left = said(host, "cat /srv/secret/f; ls -A /srv/secret; stat -c '%a %U' /srv/secret /srv/secret/f");
    assert_eq!(left, "secret\nf\n711 root\n600 root\n");
    let leaked = "grep -rl '^secret$' /srv/app/play /srv/app/.runner 2>/dev/null || true";
    assert_eq!(said(host, leaked), "", "no copy of the secret was made");
    connection.close().await;
}

/// Changes with copies and their undo, again and again.
async fn defended(verbs: &dyn Target, bench: &Bench) -> (u32, u32) {
    let grant: [RemotePath; 1] = [path("/srv/app/play")];
    let within = Within::both(&grant);
    let begun = Instant::now();
    let (mut done, mut undone) = (0, 0);
    // A busy machine gets more time.
    while begun.elapsed() < Duration::from_secs(5) || undone < 20 && begun.elapsed() < Duration::from_secs(60)
    {
        for change in [
            bench.write("/srv/app/play/sticky/f", "ours"),
            bench.write("/srv/app/play/sticky/f", "ours again"),
            Change::Remove { path: path("/srv/app/play/sticky/f") },
            Change::Mkdir { path: path("/srv/app/play/sticky/d"), attributes: Attributes::default() },
            Change::RemoveTree { path: path("/srv/app/play/sticky/d") },
        ] {
            let Ok((undo, _)) = keep(verbs, &format!("k{}", done % 50), &change, within).await else {
                continue;
            };
            done += 1;
            if let Ok(Undone::Restored) = verbs.undo(&undo, within, Intent::new("{}")).await {
                undone += 1;
            }
        }
    }
    (done, undone)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_runner_ends_what_each_user_had_running() {
    let Some(fleet) = isolated(Fleet::builder(1).sudo(Sudo::Everything)) else { return };
    let host = fleet.host(1);
    let bench = Bench::new();
    let killed = Bench::new();
    let lost = killed.connect(target(&fleet, 1), ROOT).await;
    let mut running = Vec::new();
    for (number, acting) in [Acting::Login, user("root"), user("nobody")].into_iter().enumerate() {
        let verbs = lost.acting(&acting);
        running.push(tokio::spawn(async move {
            let script =
                format!("setsid sleep 590{number} & trap '' TERM; sleep 600{number} & sleep 600{number}");
            let mut slow = command(&["sh", "-c", &script]);
            slow.timeout = 600_000;
            verbs.run(&slow, Within::default(), None, &Quiet, &CancellationToken::new()).await
        }));
    }
    let counted = |what: &str| said(host, &format!("pgrep -fc '^sleep {what}' || true")).trim().to_owned();
    for _ in 0..200 {
        if counted("600") == "6" && counted("590") == "3" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!((counted("600"), counted("590")), ("6".to_owned(), "3".to_owned()));
    let later = bench.connect(target(&fleet, 1), ROOT).await;
    let begun = Instant::now();
    let users = BTreeSet::from(["root", "nobody"].map(|name| name.parse().expect("a name")));
    let ended = later.end_left(&users).await.unwrap_or_else(|e| panic!("{e}\n{}", e.detail));
    eprintln!("{ended} groups in {:?}", begun.elapsed());
    assert!(ended >= 3, "{ended}");
    assert_eq!(counted("600"), "0");
    assert_eq!(counted("590"), "3", "what has a session of its own is left alone");
    assert_eq!(later.end_left(&users).await.expect("again"), 0);
    for one in running {
        one.abort();
    }
    said(host, "pkill -KILL -f '^sleep 590'");
    later.close().await;
    lost.close().await;
}

/// What root runs behind the login user's own sudo: nobody may signal it, and sudo hands on no KILL.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_ended_is_said() {
    let Some(fleet) = isolated(Fleet::builder(1).sudo(Sudo::Everything)) else { return };
    let host = fleet.host(1);
    let bench = Bench::new();
    let lost = bench.connect(target(&fleet, 1), ROOT).await;
    let verbs = lost.acting(&Acting::Login);
    let running = tokio::spawn(async move {
        let mut slow = command(&["sudo", "-n", "sh", "-c", "trap '' TERM; exec sleep 6100"]);
        slow.timeout = 600_000;
        verbs.run(&slow, Within::default(), None, &Quiet, &CancellationToken::new()).await
    });
    for _ in 0..200 {
        if host.inside(&["pgrep", "-f", "^sleep 6100"]).is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let later = Bench::new().connect(target(&fleet, 1), ROOT).await;
    let failure = later.end_left(&BTreeSet::new()).await.expect_err("it is root's");
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure}");
    assert!(failure.message.contains("still run"), "{failure}");
    said(host, "pkill -KILL -f '^sleep 6100'");
    running.abort();
    later.close().await;
    lost.close().await;
}
