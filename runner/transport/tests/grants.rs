//! Grants held physically over a real sshd: reading apart from writing, the runner's own folder, exceptions, and the
//! folder of a command while another user swaps it.

mod common;

use common::{Bench, Quiet, command, fleet, path, target};
use runner_fleet::{Fleet, Sudo};
use runner_model::{Acting, Attributes, Change, Failure, FailureKind, State};
use runner_transport::{Applied, Intent, Places, Target, Within};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

async fn attempt(target: &dyn Target, change: &Change, within: Within<'_>) -> Result<Applied, Failure> {
    let seen = target.observe(change, within).await;
    let before = seen.map_or(State::Absent, |seen| seen.before);
    target.apply(change, &before, within, Intent::new("{}")).await
}

fn denied<T: std::fmt::Debug>(what: &str, result: Result<T, Failure>) {
    match result {
        Err(failure) if failure.kind == FailureKind::Denied => {}
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_a_target_widen_no_grant() {
    let Some(fleet) = fleet(Fleet::builder(1).sudo(Sudo::Everything)) else { return };
    if !fleet.isolated() {
        eprintln!("SKIPPED: folders beside the root need a fleet that was started as root");
        return;
    }
    let host = fleet.host(1);
    let script = "mkdir -p /srv/other/d /srv/app/secret; echo o > /srv/other/d/f; echo s > /srv/app/secret/f
        ln -s /srv/other /srv/app/out; ln -s .runner /srv/app/own; ln -s secret /srv/app/alias; chmod 755 /srv/app";
    host.inside(&["sh", "-ec", script]).expect("prepared");
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), "/srv/app").await;
    let (reads, writes, except) = ([path("/srv/other")], [path("/srv/app")], [path("/srv/app/secret")]);
    let within = Within {
        reads: Places { granted: &reads, written: &[], except: &[] },
        writes: Places { granted: &writes, written: &[], except: &except },
    };
    for user in [Acting::Login, Acting::As("root".parse().expect("a name"))] {
        let verbs = connection.acting(&user);
        for change in [
            bench.write("/srv/app/out/d/x", "evil"),
            Change::Mkdir { path: path("/srv/app/out/new"), attributes: Attributes::default() },
            Change::RemoveTree { path: path("/srv/app/out/d") },
            Change::Archive { path: path("/srv/other/d"), into: path("/srv/app/out/x.tar") },
            bench.write("/srv/app/own/releases/x.json", "forged"),
            Change::RemoveTree { path: path("/srv/app/own/runs") },
            bench.write("/srv/app/alias/f", "evil"),
            Change::Remove { path: path("/srv/app/alias/f") },
        ] {
            denied(&format!("{change:?}"), attempt(&*verbs, &change, within).await);
        }
        let reading = Within::both(&writes);
        denied("read", verbs.read(&path("/srv/app/own/runs/run-1/intents.jsonl"), reading).await);
        denied("digest", verbs.digest(&path("/srv/app"), reading).await);
        denied("fetch", verbs.fetch(&path("/srv/app"), reading).await);
        let mut pwd = command(&["pwd"]);
        pwd.directory = Some(path("/srv/app/own"));
        denied("pwd", verbs.run(&pwd, reading, None, &Quiet, &CancellationToken::new()).await);
    }
    let left =
        host.inside(&["sh", "-c", "cat /srv/other/d/f /srv/app/secret/f; ls /srv/other"]).expect("read");
    assert_eq!(String::from_utf8_lossy(&left.stdout), "o\ns\nd\n");
    connection.close().await;
}

/// What the attacker does as `nobody` until `/srv/stop` is there.
const SWAP: &str = r#"
chdir '/srv/app/play' or die;
my $n = 0;
while (! -e '/srv/stop') {
    for (1 .. 50) {
        mkdir 'd'; if (open(my $f, '>', 'd/f')) { close $f; }
        rename 'd', 'away'; symlink '/srv/secret', 'd';
        select(undef, undef, undef, rand(0.0005)) if $n % 2;
        unlink 'd'; rename 'away', 'd'; $n++;
    }
}
print "$n\n";
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_of_a_command_cannot_be_swapped_by_another_user() {
    let Some(fleet) = fleet(Fleet::builder(1).sudo(Sudo::Everything)) else { return };
    let host = fleet.host(1);
    if !fleet.isolated() || host.inside(&["perl", "-e", "1"]).is_err() {
        eprintln!("SKIPPED: an attack by another user needs a fleet that was started as root, and perl");
        return;
    }
    let script = "mkdir -m 700 /srv/secret; echo secret > /srv/secret/f; mkdir -m 1777 /srv/app/play
        chmod 755 /srv /srv/app; chmod 1777 /srv/app/play";
    host.inside(&["sh", "-ec", script]).expect("prepared");
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), "/srv/app").await;
    let verbs = connection.acting(&Acting::As("root".parse().expect("a name")));
    let granted = [path("/srv/app/play")];
    let own = tokio::runtime::Handle::current();
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            host.inside(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "perl", "-e", SWAP])
                .expect("the attacker runs")
        });
        let outcome = scope.spawn(|| {
            own.block_on(async {
                let (mut refused, mut ran) = (0, 0);
                let until = Instant::now() + Duration::from_secs(5);
                let mut cat = command(&["cat", "f"]);
                cat.directory = Some(path("/srv/app/play/d"));
                while Instant::now() < until {
                    let never = CancellationToken::new();
                    match verbs.run(&cat, Within::both(&granted), None, &Quiet, &never).await {
                        Ok(out) => {
                            assert_ne!(out.stdout, "secret\n");
                            ran += 1;
                        }
                        Err(_) => refused += 1,
                    }
                }
                (ran, refused)
            })
        });
        let outcome = outcome.join();
        host.inside(&["touch", "/srv/stop"]).expect("touched");
        let swaps = attacker.join().expect("joined");
        let (ran, refused) = outcome.expect("never the secret");
        let swaps: u32 = String::from_utf8_lossy(&swaps.stdout).trim().parse().expect("a number");
        eprintln!("{ran} commands ran, {refused} were refused, against {swaps} swaps");
        assert!(swaps > 2000 && refused > 50, "{swaps} {refused}");
        assert_eq!(ran, 0, "the folder is never root's");
    });
    connection.close().await;
}
