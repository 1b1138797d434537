//! `std/cron` with the real cron: what it writes is what cron runs.

use crate::support::{PATIENCE, Project};
use runner_fleet::{Fleet, fleet_or_skip};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const STEPS: &str = r#"
[[rollout]]
id = "entry"
uses = "std/cron"
with = { name = "proof", schedule = "@reboot", user = "root", command = "printf '100%% %s' \"$WHAT\" > /srv/app/ran", env = { WHAT = "it's me" }, dir = "${release.root}/cron" }
"#;

#[test]
fn cron_runs_what_the_plan_says_and_an_unchanged_entry_is_left_alone() {
    if !Path::new("/usr/sbin/cron").exists() {
        eprintln!("SKIPPED: the entry is not run: `cron` is not installed");
        return;
    }
    let fleet = fleet_or_skip!(Fleet::start(1));
    if !fleet.isolated() {
        eprintln!("SKIPPED: the entry is not run: needs root");
        return;
    }
    let project = Project::new(&fleet);
    let host = fleet.host(1);
    host.put("cron/keep.me", "").unwrap();
    project.steps(STEPS);
    project.release();
    let again = project.exec();
    assert_eq!((again.code, again.effects().len()), (Some(0), 0), "{again}");

    // Cron reads a folder of root's, and runs `@reboot` when it starts. It ends with the host.
    let start = "mount -t tmpfs tmpfs /etc/cron.d && mount -t tmpfs tmpfs /run && mkdir /run/sshd && \
        cp /srv/app/cron/proof /etc/cron.d/ && /usr/sbin/cron < /dev/null > /dev/null 2>&1";
    host.inside(&["sh", "-euc", start]).unwrap();
    let ran = host.outside(host.root().join("ran"));
    let begin = Instant::now();
    while fs::read_to_string(&ran).unwrap_or_default() != "100% it's me" {
        assert!(begin.elapsed() < PATIENCE, "cron has not run it: {:?}", fs::read_to_string(&ran));
        std::thread::sleep(Duration::from_millis(20));
    }

    project.steps(
        "[[rollout]]\nid = \"entry\"\nuses = \"std/cron\"\n\
         with = { name = \"proof\", absent = true, dir = \"${release.root}/cron\" }\n",
    );
    project.release();
    assert!(!host.outside(host.root().join("cron/proof")).exists());
}

#[test]
fn an_entry_that_cron_would_skip_is_refused() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    project.steps(&STEPS.replace("\"proof\"", "\"proof.d\""));
    let check = ["check", "plan.toml", "--environment", "fleet"];
    project.run(&check).must_say(2, &["`name` must look like"]);
    project.steps(&STEPS.replace("@reboot", "0 25 * * *"));
    project.lock_and_exec().must_say(4, &["`schedule`: the hour: `25` is not a number from 0 to 23"]);
}
