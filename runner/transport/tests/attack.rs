//! Path safety against another user of the target who swaps files, folders and links as fast as a machine can, while
//! the verbs run.

mod common;

use common::{Bench, fleet, path, target};
use runner_fleet::{Fleet, Host, Sudo};
use runner_model::{Acting, Attributes, Change, FailureKind, RemotePath};
use runner_transport::{Intent, Target, Within};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SECRET: &str = "the secret of root\n";

/// What the attacker does until the file `/srv/stop` is there, as `nobody`: thousands of times a second.
const SWAP: &str = r#"
chdir '/srv/app/play' or die;
my $n = 0;
while (! -e '/srv/stop') {
    for (1 .. 50) {
        # A folder of its own that becomes a link to where the secret is.
        mkdir 'open/d'; if (open(my $f, '>', 'open/d/f')) { close $f; }
        rename 'open/d', 'open/away'; symlink '/srv/secret', 'open/d';
        select(undef, undef, undef, rand(0.0003)) if $n % 3 == 0;
        unlink 'open/d'; rename 'open/away', 'open/d';
        # In a folder like /tmp: a file, a link to the secret, nothing, a link to its folder, a folder.
        if (open(my $f, '>', 'sticky/f')) { close $f; }
        symlink '/srv/secret/f', 'sticky/l'; rename 'sticky/l', 'sticky/f';
        select(undef, undef, undef, rand(0.0003)) if $n % 3 == 1;
        unlink 'sticky/f';
        symlink '/srv/secret', 'sticky/d'; unlink 'sticky/d';
        mkdir 'sticky/d'; rmdir 'sticky/d';
        $n++;
    }
}
print "$n\n";
"#;

struct Attack<'a> {
    host: &'a Host,
    stopped: AtomicBool,
}

impl Attack<'_> {
    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.host.inside(&["touch", "/srv/stop"]).expect("touched");
    }
}

fn prepare(host: &Host) {
    let script = format!(
        "mkdir -m 711 /srv/secret; printf '{SECRET}' > /srv/secret/f; chmod 644 /srv/secret/f
         mkdir /srv/app/play /srv/app/play/open /srv/app/play/sticky
         tar -C /srv/app/play/open -cf /srv/app/play/a.tar .
         chmod 777 /srv/app/play/open; chmod 1777 /srv/app/play/sticky; chmod 755 /srv /srv/app /srv/app/play"
    );
    host.inside(&["sh", "-ec", &script]).expect("prepared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_concurrent_attacker_never_leads_a_verb_astray() {
    let Some(fleet) = fleet(Fleet::builder(1).sudo(Sudo::Everything)) else { return };
    if !fleet.isolated() {
        eprintln!("SKIPPED: an attack by another user needs a fleet that was started as root");
        return;
    }
    let host = fleet.host(1);
    if host.inside(&["perl", "-e", "1"]).is_err() {
        eprintln!("SKIPPED: the attacker is written in perl, which is not installed");
        return;
    }
    prepare(host);
    let bench = Bench::new();
    let connection = bench.connect(target(&fleet, 1), "/srv/app").await;
    let attack = Attack { host, stopped: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            host.inside(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "perl", "-e", SWAP])
                .expect("the attacker runs")
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
        let verbs = scope.spawn(|| {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                runtime.expect("a runtime").block_on(async {
                    let bench = Bench::new();
                    let own = bench.connect(target(&fleet, 1), "/srv/app").await;
                    let mut done = 0;
                    for user in [Acting::As("root".parse().expect("a name")), Acting::Login] {
                        done += try_all(&*own.acting(&user), &bench).await;
                    }
                    own.close().await;
                    done
                })
            }));
            attack.stop();
            outcome
        });
        let done = verbs.join().expect("joined");
        let swaps = attacker.join().expect("joined");
        let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let swaps: u32 = String::from_utf8_lossy(&swaps.stdout).trim().parse().expect("a number");
        eprintln!("{done} verbs against {swaps} rounds of swaps");
        assert!(done > 500 && swaps > 2000, "{done} {swaps}");
    });
    let secret = host.inside(&["cat", "/srv/secret/f"]).expect("read");
    assert_eq!(String::from_utf8_lossy(&secret.stdout), SECRET);
    let left = host
        .inside(&["sh", "-c", "ls -A /srv/secret; stat -c '%a %U' /srv/secret /srv/secret/f"])
        .expect("listed");
    assert_eq!(String::from_utf8_lossy(&left.stdout), "f\n711 root\n644 root\n");
    connection.close().await;
}

/// Every verb, again and again; whatever they answer, they may not have followed the attacker.
async fn try_all(target: &dyn Target, bench: &Bench) -> u32 {
    let grant = [path("/srv/app/play")];
    let within = || Within::both(&grant);
    let until = Instant::now() + Duration::from_secs(6);
    let at = |name: &str| path(&format!("/srv/app/play/{name}"));
    let unarchive = |path: &str, archive: &str| Change::Unarchive {
        path: at(path),
        archive: at(archive),
        attributes: Attributes::default(),
    };
    let unarchives =
        [unarchive("open/d", "a.tar"), unarchive("sticky/d", "a.tar"), unarchive("mine", "sticky/f")];
    let mut done = 0;
    while Instant::now() < until {
        for name in ["open/d/f", "sticky/f"] {
            if let Ok(text) = target.read(&at(name), within()).await {
                assert_ne!(text, SECRET, "{name}");
            }
            if let Ok(digest) = target.digest(&at(name), within()).await {
                assert_ne!(digest, runner_model::Digest::of(SECRET), "{name}");
            }
            if let Ok(digest) = target.fetch(&at(name), within()).await {
                assert_ne!(digest, runner_model::Digest::of(SECRET), "{name}");
            }
            done += 3;
        }
        for name in ["open/d", "sticky/d"] {
            if let Ok(entries) = target.read_dir(&at(name), within()).await {
                assert!(
                    entries.iter().all(|entry| entry.owner != "root" || entry.size != SECRET.len() as u64)
                );
            }
            done += 1;
        }
        let heavy = done % 200 < 20;
        let attributes = Attributes { mode: Some(0o700), ..Attributes::default() };
        for change in [
            bench.write("/srv/app/play/open/d/f", "ours"),
            bench.write("/srv/app/play/sticky/f", "ours"),
            bench.write("/srv/app/play/sticky/d/new", "ours"),
            Change::Mkdir { path: at("open/d/new/er"), attributes: attributes.clone() },
            Change::Mkdir { path: at("sticky/d/new/er"), attributes: attributes.clone() },
            Change::Mkdir { path: at("sticky/d"), attributes: attributes.clone() },
            Change::SetAttributes { path: at("sticky/f"), attributes: attributes.clone() },
            Change::SetAttributes { path: at("sticky/d"), attributes },
            Change::Symlink { path: at("sticky/f"), points_to: "x".to_owned() },
            Change::Remove { path: at("open/d/f") },
            Change::Remove { path: at("sticky/f") },
            Change::RemoveTree { path: at("open/d") },
            Change::RemoveTree { path: at("sticky/d") },
        ]
        .into_iter()
        // Each reads an archive twice, on channels of its own: now and then is often enough.
        .chain(unarchives.iter().filter(|_| heavy).cloned())
        {
            try_change(target, &change, &grant).await;
            done += 1;
        }
    }
    done
}

async fn try_change(target: &dyn Target, change: &Change, grant: &[RemotePath]) {
    // What was observed may be wrong a moment later: applied all the same, as a run would.
    let before = match target.observe(change, Within::both(grant)).await {
        Ok(seen) => seen.before,
        Err(failure) => {
            assert!(
                matches!(
                    failure.kind,
                    FailureKind::Denied | FailureKind::NotFound | FailureKind::Conflict | FailureKind::Other
                ),
                "{failure}"
            );
            runner_model::State::Absent
        }
    };
    let outcome = target.apply(change, &before, Within::both(grant), Intent::new("{}")).await;
    if change.path().as_str().contains("/open/")
        && let Ok(_) = outcome
    {
        assert!(
            matches!(change, Change::Remove { .. } | Change::RemoveTree { .. }),
            "{change:?} in a folder open to all"
        );
    }
}
