//! `std/opcache-reset` with a real PHP-FPM that never looks whether a script has changed.

use crate::support::{PATIENCE, Project};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const POOL: &str = "[global]
pid = /srv/app/fpm.pid
error_log = /srv/app/fpm.log
[www]
user = deploy
group = deploy
listen = /srv/app/fpm.sock
listen.owner = deploy
pm = static
pm.max_children = 2
";

const STEP: &str = r#"
[[rollout]]
id = "opcache"
uses = "std/opcache-reset"
with = { socket = "/srv/app/fpm.sock", script = "/srv/app/opcache-reset.php" }
"#;

/// The program, under whatever version Debian has it.
fn fpm() -> Option<PathBuf> {
    let programs = fs::read_dir("/usr/sbin").into_iter().flatten().flatten().map(|entry| entry.path());
    programs.into_iter().find(|path| path.to_string_lossy().contains("/php-fpm"))
}

/// What a worker answers for a script.
fn answer(host: &Host) -> String {
    let ask =
        "SCRIPT_FILENAME=/srv/app/page.php REQUEST_METHOD=GET exec cgi-fcgi -bind -connect /srv/app/fpm.sock";
    let answer = host.inside(&["sh", "-c", ask]).unwrap();
    let text = String::from_utf8_lossy(&answer.stdout).replace('\r', "");
    text.split_once("\n\n").map_or(text.clone(), |(_, body)| body.trim().to_owned())
}

#[test]
fn workers_serve_the_new_script_after_a_reset() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let Some(fpm) = fpm().filter(|_| std::path::Path::new("/usr/bin/cgi-fcgi").exists()) else {
        eprintln!("SKIPPED: no cache is reset: `php-fpm` or `cgi-fcgi` is not installed");
        return;
    };
    if !fleet.isolated() {
        eprintln!("SKIPPED: no cache is reset: needs root");
        return;
    }
    let (project, host) = (Project::new(&fleet), fleet.host(1));
    host.put("fpm.conf", POOL).unwrap();
    host.put("page.php", "<?php echo 'old';").unwrap();
    let settings = "-d opcache.enable=1 -d opcache.validate_timestamps=0 -d opcache.file_update_protection=0";
    let start =
        format!("exec {} -y /srv/app/fpm.conf {settings} -D < /dev/null > /dev/null 2>&1", fpm.display());
    host.inside(&["sh", "-c", &start]).unwrap();
    let begin = Instant::now();
    while !host.outside("/srv/app/fpm.sock").exists() {
        assert!(begin.elapsed() < PATIENCE, "PHP-FPM does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(answer(host), "old");
    host.put("page.php", "<?php echo 'new';").unwrap();
    assert_eq!(answer(host), "old", "the cache is on");

    project.steps(STEP);
    let ran = project.release();
    assert_eq!(answer(host), "new", "{ran}");
    assert!(!host.outside("/srv/app/opcache-reset.php").exists());
    ran.must_say(0, &["resetting the cache: neither `root` nor `changed` says whether there is a reason"]);

    // With a release root and nothing live there is no reason.
    project.steps(&STEP.replace("reset.php\"", "reset.php\", root = \"${release.root}\""));
    let idle = project.release();
    assert!(idle.effects().is_empty(), "{idle}");

    // A socket that nobody listens on: the script is gone all the same.
    project.steps(&STEP.replace("fpm.sock", "nobody.sock"));
    project
        .lock_and_exec()
        .must_say(4, &["PHP-FPM at `/srv/app/nobody.sock` on `web-1`", "ended with status"]);
    assert!(!host.outside("/srv/app/opcache-reset.php").exists());
}
