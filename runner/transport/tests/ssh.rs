//! Verbs, users and channels over real sshd's with OpenSSH's default limits.

mod common;

use common::{Bench, Quiet, change, command, fleet, path, target};
use runner_fleet::{Fleet, Sudo};
use runner_model::{Acting, Attributes, Change, FailureKind, Link, ServiceAction, State};
use runner_transport::{Forward, Intent, Within};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const ROOT: &str = "/srv/app";

#[tokio::test(flavor = "multi_thread")]
async fn the_verbs_work_over_ssh_and_fast() {
    let Some(fleet) = fleet(Fleet::builder(1)) else { return };
    let bench = Bench::new();
    let begun = Instant::now();
    let root = root(&fleet, 1);
    let connection = bench.connect(target(&fleet, 1), &root).await;
    eprintln!("connect and begin: {:?}", begun.elapsed());
    let as_login = connection.acting(&Acting::Login);
    let within = [path(&root)];
    let begun = Instant::now();
    for _ in 0..200 {
        as_login.fact("has:zstd").await.expect("a fact");
        as_login.stat(&path(&root), Within::both(&within)).await.expect("stat");
    }
    eprintln!("a stat: {:?}", begun.elapsed() / 200);
    let mut files: Vec<_> =
        (0..200).map(|n| (format!("d{}/f{n}", n % 10), format!("content {n}\n").repeat(n))).collect();
    let first = bench.tree(&files);
    files[7].1.push_str("changed");
    let second = bench.tree(&files);
    let unpack = |id: &str, tree, reuse: Option<&str>| Change::Unpack {
        path: path(&format!("{root}/releases/{id}")),
        tree,
        links: vec![Link { path: "d1/f1".to_owned(), points_to: "../../../shared/f1".to_owned() }],
        reuse: reuse.map(|id| path(&format!("{root}/releases/{id}"))),
        attributes: Attributes::default(),
    };
    let releases =
        Change::Mkdir { path: path(&format!("{root}/releases")), attributes: Attributes::default() };
    change(&*as_login, &releases, &within).await;
    for (id, tree, reuse) in [("one", first, None), ("two", second, Some("one"))] {
        let before = connection.bytes_sent();
        let begun = Instant::now();
        change(&*as_login, &unpack(id, tree, reuse), &within).await;
        eprintln!(
            "unpack 200 files as {id}: {:?}, {} bytes",
            begun.elapsed(),
            connection.bytes_sent() - before
        );
        let begun = Instant::now();
        let seen = as_login.observe(&unpack(id, tree, reuse), Within::both(&within)).await.expect("observed");
        eprintln!("verify 200 files: {:?}", begun.elapsed());
        assert_eq!(seen.before, seen.after);
    }
    let sent = connection.bytes_sent();
    assert!(sent > 0);
    let begun = Instant::now();
    let current =
        Change::Symlink { path: path(&format!("{root}/current")), points_to: "releases/two".to_owned() };
    change(&*as_login, &current, &within).await;
    eprintln!("switch: {:?}", begun.elapsed());
    let (place, two) = (path(&root), "two".parse().expect("an id"));
    let text = format!("\"{}\"", "plan ".repeat(200_000));
    let begun = Instant::now();
    as_login.keep(&place, &two, &text, Intent::new("{}")).await.expect("kept");
    let kept = as_login.kept(&place, &two, Within::both(&within)).await.expect("asked");
    eprintln!("keep and read 1 MB: {:?}", begun.elapsed());
    assert!(kept.is_some_and(|kept| kept == text));
    let told = as_login.accounts(&place, Within::both(&within)).await.expect("told");
    assert_eq!(told.live, Some(two));
    assert!(told.live_since.is_some_and(|since| since > 1_700_000_000));
    assert_eq!(told.releases[0].who.as_deref(), Some("ann"));
    let begun = Instant::now();
    let into = path(&format!("{root}/two.tar.zst"));
    let archive = Change::Archive { path: path(&format!("{root}/releases/two")), into: into.clone() };
    change(&*as_login, &archive, &within).await;
    eprintln!("archive: {:?}", begun.elapsed());
    let digest =
        as_login.digest(&path(&format!("{root}/releases/two")), Within::both(&within)).await.expect("digest");
    let fetched =
        as_login.fetch(&path(&format!("{root}/releases/two")), Within::both(&within)).await.expect("fetched");
    assert_eq!(digest, fetched);
    as_login.fetch(&into, Within::both(&within)).await.expect("fetched");
    let out = as_login
        .run(&command(&["id", "-un"]), Within::both(&[]), None, &Quiet, &CancellationToken::new())
        .await;
    assert_eq!(out.expect("ran").stdout.trim(), fleet.user());
    let begun = Instant::now();
    connection.close().await;
    eprintln!("close: {:?}", begun.elapsed());
}

fn root(fleet: &Fleet, number: usize) -> String {
    if fleet.isolated() { ROOT.to_owned() } else { fleet.host(number).root().to_string_lossy().into_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_connection_says_which_of_its_many_reasons_it_was() {
    let Some(fleet) = fleet(Fleet::builder(6)) else { return };
    let bench =
        Bench::with(runner_transport::Limits { connect: Duration::from_secs(2), ..Default::default() });
    fleet.host(1).stop_sshd().expect("stopped");
    fleet.host(2).change_host_key().expect("changed");
    fleet.host(3).refuse_the_key().expect("refused");
    fleet.host(4).freeze();
    let mut unknown = target(&fleet, 5);
    let empty = fleet.folder().join("empty");
    std::fs::write(&empty, "").expect("written");
    unknown.known_hosts = Some(empty);
    let mut nowhere = target(&fleet, 5);
    nowhere.address = "no-such-host.invalid".to_owned();
    let mut over_dead = target(&fleet, 5);
    let (user, dead) = (fleet.user().to_owned(), fleet.host(1).ssh_address());
    over_dead.jump = Some(format!("{user}@{}:{}", dead.ip(), dead.port()));
    let mut over_live = target(&fleet, 5);
    let live = fleet.host(6).ssh_address();
    over_live.jump = Some(format!("{user}@{}:{}", live.ip(), live.port()));
    let mut bad_config = target(&fleet, 5);
    let config = fleet.folder().join("bad-config");
    std::fs::write(&config, "NoSuchOption yes\n").expect("written");
    bad_config.config = Some(config);
    for (target, kind, words) in [
        (target(&fleet, 1), FailureKind::Unreachable, "refused: nothing listens"),
        (target(&fleet, 2), FailureKind::Unreachable, "its host key is not the known one"),
        (target(&fleet, 3), FailureKind::Unreachable, "it took none of the keys"),
        (target(&fleet, 4), FailureKind::Unreachable, "nothing came back in time"),
        (unknown, FailureKind::Unreachable, "its host key is not known"),
        (nowhere, FailureKind::Unreachable, "its name cannot be resolved"),
        (over_dead, FailureKind::Unreachable, "on the way over its jump host, the connection was refused"),
        (bad_config, FailureKind::Invalid, "cannot read its configuration"),
    ] {
        let begun = Instant::now();
        let failure = bench.transport.ssh(target).await.map(|_| ()).expect_err(words);
        assert_eq!(failure.kind, kind, "{failure}\n{}", failure.detail);
        assert!(failure.message.contains(words), "{words}: {failure}\n{}", failure.detail);
        assert!(!failure.detail.is_empty());
        eprintln!("{:>8.0?}  {failure}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(8), "{words}: {:?}", begun.elapsed());
    }
    fleet.host(4).thaw();
    let through = bench.transport.ssh(over_live).await.unwrap_or_else(|e| panic!("{e}\n{}", e.detail));
    assert_eq!(through.acting(&Acting::Login).fact("user").await.expect("a fact"), user);
    through.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_said_and_the_next_verb_connects_anew() {
    let Some(fleet) = fleet(Fleet::builder(1)) else { return };
    let bench =
        Bench::with(runner_transport::Limits { connect: Duration::from_secs(5), ..Default::default() });
    let root = root(&fleet, 1);
    let connection = bench.connect(target(&fleet, 1), &root).await;
    let as_login = connection.acting(&Acting::Login);
    let within = [path(&root)];
    fleet.host(1).stop_sshd().expect("stopped");
    let begun = Instant::now();
    let failure = as_login.stat(&path(&root), Within::both(&within)).await.expect_err("lost");
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    assert!(begun.elapsed() < Duration::from_secs(6));
    eprintln!("{failure}: {}", failure.detail);
    fleet.host(1).start_sshd().expect("started");
    as_login.stat(&path(&root), Within::both(&within)).await.expect("connected again");
    // The intents go on in the same file.
    change(&*as_login, &bench.write(&format!("{root}/f"), "x"), &within).await;
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_folder_of_a_group_a_tree_is_the_one_that_was_sent() {
    let Some(fleet) = fleet(Fleet::builder(1).sudo(Sudo::Everything)) else { return };
    if !fleet.isolated() {
        eprintln!("SKIPPED: sudo needs a fleet that was started as root");
        return;
    }
    let make = "mkdir /srv/app/group && chown deploy:www-data /srv/app/group && chmod 2755 /srv/app/group";
    fleet.host(1).inside(&["sh", "-c", make]).expect("made");
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), ROOT).await;
    let within = [path(ROOT)];
    let tree = |text: &str| {
        bench.tree(&[("a/b/c".to_owned(), "c".repeat(9000)), ("a/d".to_owned(), text.to_owned())])
    };
    let mut reuse = None;
    for (name, user) in [("login", Acting::Login), ("root", Acting::As("root".parse().expect("a name")))] {
        let user = connection.acting(&user);
        for text in ["1", "2"] {
            let at = path(&format!("{ROOT}/group/{name}-{text}"));
            let unpack = Change::Unpack {
                path: at.clone(),
                tree: tree(text),
                links: vec![],
                reuse: reuse.replace(at),
                attributes: Attributes::default(),
            };
            let seen = change(&*user, &unpack, &within).await;
            let State::Directory { mode, group, .. } = &seen.after else { panic!("{seen:?}") };
            assert_eq!((*mode, group.as_str()), (0o2755, "www-data"), "{name}");
            let again = user.observe(&unpack, Within::both(&within)).await.expect("seen");
            assert_eq!(again.before, seen.after, "{name}");
        }
    }
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_acts_through_sudo() {
    let Some(fleet) = fleet(Fleet::builder(1).sudo(Sudo::Everything)) else { return };
    if !fleet.isolated() {
        eprintln!("SKIPPED: sudo needs a fleet that was started as root");
        return;
    }
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), ROOT).await;
    let as_root = connection.acting(&Acting::As("root".parse().expect("a name")));
    let within = [path("/etc"), path(ROOT)];
    assert_eq!(as_root.fact("user").await.expect("a fact"), "root");
    let mut secret = bench.write(&format!("{ROOT}/secret"), "for root\n");
    if let Change::Write { attributes, .. } = &mut secret {
        attributes.mode = Some(0o600);
    }
    let seen = change(&*as_root, &secret, &within).await;
    assert!(matches!(&seen.after, State::File { owner, .. } if owner == "root"), "{seen:?}");
    let as_login = connection.acting(&Acting::Login);
    let refused =
        as_login.read(&path(&format!("{ROOT}/secret")), Within::both(&within)).await.expect_err("not for us");
    assert_eq!(refused.kind, FailureKind::Conflict, "{refused}");
    assert!(refused.detail.contains("become"), "{}", refused.detail);
    assert_eq!(
        as_root.read(&path(&format!("{ROOT}/secret")), Within::both(&within)).await.expect("read"),
        "for root\n"
    );
    // The owner of an existing file stays when root writes it.
    change(&*as_login, &bench.write(&format!("{ROOT}/mine"), "1"), &within).await;
    let seen = change(&*as_root, &bench.write(&format!("{ROOT}/mine"), "2"), &within).await;
    let again = as_root
        .observe(&bench.write(&format!("{ROOT}/mine"), "2"), Within::both(&within))
        .await
        .expect("seen");
    assert_eq!(again.before, seen.after);
    let tree = bench.tree(&[("a/b".to_owned(), "c".to_owned())]);
    let unpack = Change::Unpack {
        path: path(&format!("{ROOT}/owned")),
        tree,
        links: vec![],
        reuse: None,
        attributes: Attributes {
            mode: None,
            owner: Some("deploy".to_owned()),
            group: Some("deploy".to_owned()),
        },
    };
    let seen = change(&*as_root, &unpack, &within).await;
    let again = as_root.observe(&unpack, Within::both(&within)).await.expect("seen");
    assert_eq!((&again.before, &again.after), (&seen.after, &seen.after));
    let out = as_root
        .run(
            &command(&["id", "-u"]),
            Within::both(&[]),
            Some(Intent::new("{}")),
            &Quiet,
            &CancellationToken::new(),
        )
        .await;
    assert_eq!(out.expect("ran").stdout, "0\n");
    let mut slow = command(&["sleep", "4711"]);
    slow.timeout = 300;
    let late = as_root
        .run(&slow, Within::both(&[]), None, &Quiet, &CancellationToken::new())
        .await
        .expect_err("late");
    assert_eq!(late.kind, FailureKind::Timeout);
    assert!(fleet.host(1).inside(&["pgrep", "-f", "sleep 4711"]).is_err(), "{late}\n{}", late.detail);
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_shell_sudo_still_serves_commands_and_services() {
    let Some(fleet) = fleet(Fleet::builder(1)) else { return };
    if !fleet.isolated() {
        eprintln!("SKIPPED: sudo needs a fleet that was started as root");
        return;
    }
    let bench = Bench::new();
    let mut target = target(&fleet, 1);
    target.service_command = Some(vec![
        fleet.host(1).servicectl().to_string_lossy().into_owned(),
        "${action}".to_owned(),
        "${unit}".to_owned(),
    ]);
    let connection = bench.connect(target, ROOT).await;
    let as_root = connection.acting(&Acting::As("root".parse().expect("a name")));
    let within = [path(ROOT)];
    let denied = as_root.stat(&path(ROOT), Within::both(&within)).await.expect_err("no shell");
    assert_eq!(denied.kind, FailureKind::Denied, "{denied}");
    assert!(denied.detail.contains("deploy ALL=(root) NOPASSWD:"), "{}", denied.detail);
    let as_login = connection.acting(&Acting::Login);
    for (folder, file) in [("releases/a/public", Some("version.txt")), ("current", None)] {
        match file {
            Some(file) => {
                let folder = format!("{ROOT}/{folder}");
                change(
                    &*as_login,
                    &Change::Mkdir { path: path(&folder), attributes: Attributes::default() },
                    &within,
                )
                .await;
                change(&*as_login, &bench.write(&format!("{folder}/{file}"), "v1"), &within).await;
            }
            None => {
                let link = Change::Symlink {
                    path: path(&format!("{ROOT}/{folder}")),
                    points_to: "releases/a".to_owned(),
                };
                change(&*as_login, &link, &within).await;
            }
        }
    }
    as_root
        .service("nginx", ServiceAction::Restart, Intent::new("{}"))
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", e.detail));
    assert!(as_root.service_is_active("nginx").await.expect("asked"));
    let Forward::Socket(socket) =
        as_login.forward("127.0.0.1", fleet.host(1).http_address().port()).await.expect("forwarded")
    else {
        panic!("not over ssh")
    };
    eprintln!("{}", socket.display());
    fleet.host(1).break_service().expect("broken");
    let failure =
        as_root.service("nginx", ServiceAction::Restart, Intent::new("{}")).await.expect_err("broken");
    eprintln!("{failure}\n{}", failure.detail);
    assert!(matches!(failure.kind, FailureKind::CommandFailed | FailureKind::Timeout));
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_targets_and_thirty_connections_to_one_get_through() {
    let Some(fleet) = fleet(Fleet::builder(10)) else { return };
    let bench =
        Bench::with(runner_transport::Limits { connect: Duration::from_secs(30), ..Default::default() });
    let begun = Instant::now();
    let all = (1..=10).map(|number| bench.transport.ssh(target(&fleet, number)));
    for connection in futures_util::future::join_all(all).await {
        connection.unwrap_or_else(|e| panic!("{e}\n{}", e.detail)).close().await;
    }
    eprintln!("10 targets: {:?}", begun.elapsed());
    // sshd begins to turn connections away at ten that are not logged in.
    let begun = Instant::now();
    let all = (0..30).map(|_| bench.transport.ssh(target(&fleet, 1)));
    for connection in futures_util::future::join_all(all).await {
        connection.unwrap_or_else(|e| panic!("{e}\n{}", e.detail)).close().await;
    }
    eprintln!("30 connections to one: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_commands_at_once_share_the_channels_of_one_connection() {
    let Some(fleet) = fleet(Fleet::builder(1)) else { return };
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), &root(&fleet, 1)).await;
    let as_login = connection.acting(&Acting::Login);
    let begun = Instant::now();
    let (sleep, never) = (command(&["sleep", "0.1"]), CancellationToken::new());
    let all = (0..40).map(|_| as_login.run(&sleep, Within::both(&[]), None, &Quiet, &never));
    for out in futures_util::future::join_all(all).await {
        assert_eq!(out.unwrap_or_else(|e| panic!("{e}\n{}", e.detail)).status, 0);
    }
    eprintln!("40 commands: {:?}", begun.elapsed());
    let begun = Instant::now();
    let quick = command(&["true"]);
    for _ in 0..20 {
        as_login.run(&quick, Within::both(&[]), None, &Quiet, &never).await.expect("ran");
    }
    eprintln!("a command: {:?}", begun.elapsed() / 20);
    let cancel = CancellationToken::new();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        later.cancel();
    });
    let slow = command(&["sh", "-c", "sleep 4712 & sleep 4712"]);
    let failure = as_login.run(&slow, Within::both(&[]), None, &Quiet, &cancel).await.expect_err("cancelled");
    assert_eq!(failure.kind, FailureKind::Cancelled);
    assert!(failure.detail.contains("was ended"), "{}", failure.detail);
    assert!(fleet.host(1).inside(&["pgrep", "-f", "sleep 4712"]).is_err());
    connection.close().await;
}
