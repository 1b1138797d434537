//! Through the cluster and back: no request is lost on the way.

use crate::balancer::{Balancer, Load, STATES, requests};
use crate::support::{Project, current, restarts, tree, version};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use runner_journal::Entry;

/// All machines but the last behind a load balancer, with a release that is live on all of them.
fn live<'f>(fleet: &'f Fleet, min_in_service: &str) -> (Project, Balancer<'f>) {
    let project = Project::new(fleet);
    let balancer = Balancer::start(fleet, &project);
    behind(&project, min_in_service);
    project.release();
    balancer.wait_for_all();
    (project, balancer)
}

/// Gives the plan a cluster and what must hold in it.
fn behind(project: &Project, min_in_service: &str) {
    project.edit_plan("[strategy]", &Balancer::cluster());
    let strategy = format!(
        "batches = [1, \"50%\", \"100%\"]\nmin-in-service = {min_in_service}\non-failure = \"rollback\""
    );
    project.edit_plan("batches = [1, \"50%\", \"100%\"]", &strategy);
}

#[test]
fn a_rolling_release_and_one_that_fails_lose_no_request() {
    let fleet = fleet_or_skip!(Fleet::start(7));
    let (project, balancer) = live(&fleet, "\"66%\"");

    project.next_version("1.0.1");
    project.lock();
    for host in &fleet.hosts()[..6] {
        host.slow_service(1).unwrap();
    }
    let load = balancer.load();
    let ran = project.exec();
    let served = load.end();
    assert_eq!(ran.code, Some(0), "{ran}");
    eprintln!("rolling release: {served:?}");
    assert_eq!(served.failed, 0, "{served:?}");
    assert!(served.requests > 0 && served.fewest == Some(4), "{served:?}");
    for host in &fleet.hosts()[..6] {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.1");
    }

    project.next_version("1.0.2");
    fleet.host(3).answer("/version.txt", "broken").unwrap();
    project.edit_plan("deadline = \"10s\"", "deadline = \"1s\"");
    project.lock();
    let load = balancer.load();
    let ran = project.exec();
    let served = load.end();
    assert_eq!(ran.code, Some(6), "{ran}");
    eprintln!("failing release and its rollback: {served:?}");
    assert_eq!(served.failed, 0, "{served:?}");
    assert!(served.requests > 0 && served.fewest == Some(4), "{served:?}");
    for host in &fleet.hosts()[..6] {
        assert_eq!(balancer.admin_state(host.name()), "0", "{}", host.name());
        let serves = host.get("/version.txt").unwrap().body;
        assert_eq!(serves, if host.number() == 3 { "broken" } else { "1.0.1" }, "{}", host.name());
    }
    fleet.host(3).fix_service().unwrap();
}

#[test]
fn the_third_of_ten_fails_and_all_ten_are_as_before() {
    let fleet = fleet_or_skip!(Fleet::start(10));
    let project = Project::new(&fleet);
    project.edit_plan(
        "batches = [1, \"50%\", \"100%\"]",
        "batches = [1, 2, 3, \"100%\"]\non-failure = \"rollback\"",
    );
    project.release();
    let before: Vec<_> = fleet.hosts().iter().map(|host| (tree(host).releases(), current(host))).collect();

    project.next_version("1.0.1");
    fleet.host(3).answer("/version.txt", "broken").unwrap();
    project.edit_plan("deadline = \"10s\"", "deadline = \"1s\"");
    let ran = project.lock_and_exec();
    assert_eq!(ran.code, Some(6), "{ran}");
    for number in 1..=10 {
        let end = ran.end_of(&format!("web-{number}"));
        assert_eq!(end, if number <= 3 { "rolled-back" } else { "untouched" }, "web-{number}: {ran}");
    }
    for (host, (tree_before, current_before)) in fleet.hosts().iter().zip(&before) {
        assert_eq!(
            (&tree(host).releases(), &current(host)),
            (tree_before, current_before),
            "{}",
            host.name()
        );
        if host.number() != 3 {
            assert_eq!(host.get("/version.txt").unwrap().body, "1.0.0");
        }
    }
}

#[test]
fn who_was_taken_back_serves_again_only_when_it_works() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, balancer) = live(&fleet, "1");
    project.edit_plan(
        "[[rollout]]\nid = \"prune\"",
        "[[rollout]]\nid = \"works\"\nuses = \"std/smoke-test\"\nafter-undo = true\n\
         with = { url = \"http://${target.address}:${target.vars.http-port}/version.txt\", body-contains = \"1.0.\", deadline = \"1s\" }\n\n\
         [[rollout]]\nid = \"prune\"",
    );
    project.edit_plan("deadline = \"10s\"", "deadline = \"1s\"");
    let version = "body = \"${var.version}\"";
    project.edit_plan(version, "body = \"another\"");
    project.next_version("1.0.1");
    let ran = project.lock_and_exec();
    assert_eq!(ran.code, Some(6), "{ran}");
    let undone = ran.entries.iter().position(|entry| matches!(entry, Entry::Undone { .. })).unwrap();
    let tested =
        |entry: &&Entry| matches!(entry, Entry::InvocationStarted { step, .. } if step.as_str() == "works");
    assert_eq!(ran.entries.iter().filter(tested).count(), 1, "{ran}");
    assert_eq!(ran.entries[undone..].iter().filter(tested).count(), 1, "it is tested when it is as before");
    assert_eq!(balancer.admin_state("web-1"), "0");

    fleet.host(1).answer("/version.txt", "broken").unwrap();
    let ran = project.exec();
    ran.must_say(7, &["web-1", "`works` of 1.0.0-", "which is live again"]);
    assert_ne!(balancer.admin_state("web-1"), "0", "it serves although it does not work");
    assert_eq!(balancer.admin_state("web-2"), "0");
    fleet.host(1).fix_service().unwrap();
    fleet.host(1).inside(&[fleet.host(1).servicectl().to_str().unwrap(), "restart", "nginx"]).unwrap();
    let undone = project.run(&["resume", ran.run(), "--undo"]);
    assert_eq!(undone.code, Some(0), "{undone}");
    assert_eq!(balancer.admin_state("web-1"), "0");
}

#[test]
fn who_was_out_when_the_runner_died_is_put_back_by_the_run_and_named_by_another_one() {
    let fleet = fleet_or_skip!(Fleet::start(4));
    let (project, balancer) = live(&fleet, "1");
    let killed = |version: &str| {
        project.next_version(version);
        project.lock();
        fleet.host(1).hold_service().unwrap();
        let dead = project.begin();
        dead.wait_for("step-started", "restart");
        dead.signal("KILL");
        dead.end_of_killed();
        fleet.host(1).fix_service().unwrap();
        assert_ne!(balancer.admin_state("web-1"), "0");
    };
    let stand = || ["web-1", "web-2", "web-3"].map(|server| balancer.admin_state(server));
    killed("1.0.1");
    let resumed = project.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    assert_eq!(stand(), ["0", "0", "0"]);
    assert!(!resumed.stderr.contains("stays so"), "{resumed}");
    assert_eq!(fleet.hosts()[..3].iter().map(version).collect::<Vec<_>>(), ["1.0.1"; 3]);

    killed("1.0.2");
    project.unlock();
    let ran = project.exec();
    // Who took it out, and why, another run cannot know.
    ran.must_say(0, &["out of service, and stays so: web-1"]);
    assert_eq!(fleet.hosts()[..3].iter().map(version).collect::<Vec<_>>(), ["1.0.2"; 3]);
    assert_ne!(stand()[0], "0");
    assert_eq!(stand()[1..], ["0", "0"]);
}

#[test]
fn a_run_that_changes_nothing_takes_nobody_out() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, _balancer) = live(&fleet, "1");
    let ran = project.exec();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(ran.events_of("service-left").count(), 0, "{ran}");
    // A backup is made in every run; nothing else is.
    let others: Vec<_> = ran.effects().into_iter().filter(|effect| !effect.contains(" backup ")).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn a_dry_run_takes_nobody_out_and_a_replay_asks_the_recorded_cluster() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, balancer) = live(&fleet, "1");
    project.next_version("1.0.1");
    project.lock();
    let load = balancer.load();
    let dry = project.run(&[
        "exec",
        "plan.toml",
        "--environment",
        "fleet",
        "--dry-run",
        "--events",
        "events.jsonl",
    ]);
    let served = load.end();
    assert_eq!(dry.code, Some(0), "{dry}");
    assert_eq!((served.failed, served.fewest), (0, Some(2)), "{served:?}");
    let told = |event: &str| dry.events_of(event).count();
    assert_eq!((told("service-left"), told("service-joined")), (2, 2), "{dry}");
    assert!(dry.stdout.contains("on web-3\n  cluster: ask the socket /srv/lb/admin.sock"), "{dry}");
    assert_eq!(fleet.hosts()[..2].iter().map(version).collect::<Vec<_>>(), ["1.0.0", "1.0.0"]);
    let ran = project.exec();
    assert_eq!(ran.code, Some(0), "{ran}");
    balancer.kill();
    let exported = project.run(&["runs", "export", ran.run(), "--output", "run.tar"]);
    assert_eq!(exported.code, Some(0), "{exported}");
    let replayed = project.run(&["replay", "run.tar"]);
    assert_eq!(replayed.code, Some(0), "{replayed}");
    assert!(
        replayed.stdout.contains("all as recorded") && replayed.stdout.contains("\ncluster "),
        "{replayed}"
    );
}

#[test]
fn a_cluster_that_lies_or_never_answers_ends_the_run_before_anything_is_live() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let project = Project::new(&fleet);
    project.release();
    let lb = fleet.host(3);
    let inventory = format!("[target.{}]\naddress = \"{}\"\nroles = [\"web\"]", lb.name(), lb.address());
    project.edit("fleet.toml", &inventory, &inventory.replace("[\"web\"]", "[\"lb\"]"));
    project.next_version("1.0.1");
    let plan = std::fs::read_to_string(project.path("plan.toml")).unwrap();
    let lies = [
        ("echo in", "true", "does not say that it is out within 1s"),
        ("echo $$", "true", "which means nothing"),
        ("yes in", "true", "web-1"),
        ("echo in", "sleep 60", "cluster"),
        ("sleep 60", "true", "cluster"),
    ];
    for (observe, leave, says) in lies {
        let program = format!(
            "mkdir -p /srv/lb; printf '#!/bin/sh\\n%s\\n' '{observe}' > /srv/lb/observe; \
             printf '#!/bin/sh\\n%s\\n' '{leave}' > /srv/lb/leave; chmod 755 /srv/lb/*"
        );
        lb.inside(&["sh", "-euc", &program]).unwrap();
        let cluster = "[cluster]\nuses = \"std/cluster-commands\"\non = \"lb\"\nlimits = { time = \"5s\" }\n\
             with = { observe = [\"/srv/lb/observe\"], leave = [\"/srv/lb/leave\"], join = [\"/bin/true\"], \
             timeout = \"1s\", healthy-within = \"1s\", command-timeout = \"2s\" }\n\n[strategy]";
        project.write("plan.toml", &plan.replace("[strategy]", cluster));
        let ran = project.lock_and_exec();
        ran.must_say(4, &[says]);
        assert_eq!(
            fleet.hosts()[..2].iter().map(version).collect::<Vec<_>>(),
            ["1.0.0", "1.0.0"],
            "{observe}"
        );
    }
}

#[test]
fn without_its_load_balancer_nothing_is_released() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, balancer) = live(&fleet, "1");
    balancer.kill();
    project.next_version("1.0.1");
    let ran = project.lock_and_exec();
    assert_eq!(ran.code, Some(6), "{ran}");
    ran.must_say(6, &["no further batch begins", "learn whether the cluster sends requests to"]);
    for host in &fleet.hosts()[..2] {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.0");
    }
}

#[test]
fn two_load_balancers_are_one_gate() {
    let fleet = fleet_or_skip!(Fleet::start(4));
    let project = Project::new(&fleet);
    let balancers: [_; 2] = Balancer::start_all(&fleet, &project);
    behind(&project, "1");
    project.release();
    balancers.iter().for_each(Balancer::wait_for_all);
    project.next_version("1.0.1");
    project.lock();
    let load = balancers.each_ref().map(Balancer::load);
    let ran = project.exec();
    for served in load.map(Load::end) {
        assert_eq!(served.failed, 0, "{served:?}");
        assert!(served.requests > 0 && served.fewest == Some(1), "{served:?}");
    }
    assert_eq!(ran.code, Some(0), "{ran}");
    for host in &fleet.hosts()[..2] {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.1");
        assert_eq!(balancers.each_ref().map(|one| one.admin_state(host.name())), ["0", "0"]);
    }
    assert_eq!(ran.events_of("service-left").count(), 2, "{ran}");
}

#[test]
fn who_cannot_leave_one_load_balancer_is_put_back_at_the_other() {
    let fleet = fleet_or_skip!(Fleet::start(4));
    let project = Project::new(&fleet);
    let balancers: [_; 2] = Balancer::start_all(&fleet, &project);
    behind(&project, "1");
    project.release();
    balancers[1].only_tell();
    balancers.iter().for_each(Balancer::wait_for_all);
    project.next_version("1.0.1");
    let ran = project.lock_and_exec();
    assert_eq!(ran.code, Some(6), "{ran}");
    let second = fleet.host(4).name();
    ran.must_say(6, &[&format!("take out of service web-1 at {second}: "), "is not of level `admin`"]);
    // What was staged is undone, too, and told.
    let undone = ran.events_of("undone").filter(|one| one["step"] == "distribute" && one["stays"].is_null());
    assert_eq!(undone.count(), 2, "{ran}");
    assert!(!ran.stderr.contains("is laid out in"), "{ran}");
    for host in &fleet.hosts()[..2] {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.0");
        assert_eq!(balancers.each_ref().map(|one| one.admin_state(host.name())), ["0", "0"]);
    }
}

#[test]
fn who_is_out_stays_out_when_the_load_balancer_is_reloaded_meanwhile() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, balancer) = live(&fleet, "1");
    project.edit_plan("timeout = \"5s\"", &format!("timeout = \"5s\", state-file = \"{STATES}\""));
    project.next_version("1.0.1");
    project.lock();
    fleet.host(1).slow_service(2).unwrap();
    let running = project.begin();
    running.wait_for("step-started", "restart");
    assert_ne!(balancer.admin_state("web-1"), "0");
    balancer.reload();
    assert_ne!(balancer.admin_state("web-1"), "0", "it serves in the middle of its restart");
    assert_eq!(balancer.admin_state("web-2"), "0");
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{ran}");
    balancer.reload();
    assert_eq!(["web-1", "web-2"].map(|server| balancer.admin_state(server)), ["0", "0"]);
}

#[test]
fn what_is_live_is_changed_by_no_step_while_it_is_in_service() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, balancer) = live(&fleet, "1");
    project.next_version("1.0.1");
    let plan = std::fs::read_to_string(project.path("plan.toml")).unwrap();
    let (root, live) = (fleet.host(1).root(), current(fleet.host(1)).unwrap());
    // Another name of what is live, as a step could have made it.
    for host in &fleet.hosts()[..2] {
        let link = format!("ln -s $(basename {}) {}/releases/alias", live.display(), root.display());
        host.inside(&["su", "deploy", "-s", "/bin/sh", "-c", &link]).unwrap();
    }
    let write = |to: &str| format!("uses = \"std/template\"\nwith = {{ content = \"x\", to = \"{to}\" }}");
    let switch = "uses = \"std/switch\"\nwith = { root = \"${release.root}\", release = \"${release.id}\" }"
        .to_owned();
    let restart = "uses = \"std/restart\"\nwith = { unit = \"nginx\", when = \"always\" }".to_owned();
    let to_live = write(&format!("${{release.root}}/{}/index.html", live.display()));
    let attempts = [
        (switch, "that is live: it is in service"),
        (restart, "restart failed: restart `nginx` on web-"),
        (to_live, "that is live: it is in service"),
        (write("${release.root}/current/index.html"), "that is live: it is in service"),
        (write("${release.root}/releases/alias/index.html"), "is excepted from what is granted"),
    ];
    let before: Vec<_> = fleet.hosts()[..2].iter().map(|host| (tree(host), restarts(host))).collect();
    for (step, why) in attempts {
        // A stage comes before the first target leaves.
        let early = format!("[[stage]]\nid = \"early\"\n{step}\n\n[[rollout]]\nid = \"switch\"");
        project.write("plan.toml", &plan.replace("[[rollout]]\nid = \"switch\"", &early));
        let ran = project.lock_and_exec();
        ran.must_say(6, &[why]);
        for (host, (tree_before, restarts_before)) in fleet.hosts().iter().zip(&before) {
            let now = tree(host);
            tree_before.must_be_in(&now);
            assert_eq!(restarts(host), *restarts_before, "{step}");
            assert_eq!(balancer.admin_state(host.name()), "0", "{step}");
        }
    }
}

#[test]
fn an_explicit_rollback_loses_no_request_and_an_emergency_asks_nobody() {
    let fleet = fleet_or_skip!(Fleet::start(7));
    let (project, balancer) = live(&fleet, "\"66%\"");
    let first = current(fleet.host(1));
    project.next_version("1.0.1");
    project.release();
    balancer.wait_for_all();

    let listed = project.run(&["rollback", "plan.toml", "--environment", "fleet", "--list"]);
    assert_eq!(listed.code, Some(0), "{listed}");
    assert_eq!(listed.stdout.matches("live, good").count(), 6, "{listed}");

    let load = balancer.load();
    let back = project.run(&["rollback", "plan.toml", "--environment", "fleet", "-y"]);
    let served = load.end();
    assert_eq!(back.code, Some(0), "{back}");
    eprintln!("explicit rollback: {served:?}");
    assert_eq!(served.failed, 0, "{served:?}");
    assert!(served.requests > 0 && served.fewest == Some(4), "{served:?}");
    for host in &fleet.hosts()[..6] {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.0");
        assert_eq!(balancer.admin_state(host.name()), "0");
    }
    assert_eq!(current(fleet.host(1)), first);

    project.next_version("1.0.2");
    project.release();
    balancer.wait_for_all();
    let load = balancer.load();
    let emergency =
        ["rollback", "plan.toml", "--environment", "fleet", "--emergency", "--reason", "it burns", "-y"];
    let back = project.run(&emergency);
    let served = load.end();
    assert_eq!(back.code, Some(0), "{back}");
    eprintln!("emergency rollback: {served:?}");
    assert!(served.requests > 0, "{served:?}");
    for host in &fleet.hosts()[..6] {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.0", "nobody wants to come back to 1.0.1");
    }
}

#[test]
fn an_emergency_asks_neither_the_load_balancer_nor_whoever_has_the_lock() {
    let fleet = fleet_or_skip!(Fleet::start(3));
    let (project, balancer) = live(&fleet, "1");
    project.next_version("1.0.1");
    project.release();
    project.next_version("1.0.2");
    project.lock();
    fleet.host(1).hold_service().unwrap();
    let burns = project.begin();
    burns.wait_for("step-started", "restart");
    burns.signal("STOP");
    fleet.host(1).fix_service().unwrap();
    balancer.kill();
    let emergency =
        ["rollback", "plan.toml", "--environment", "fleet", "--emergency", "--reason", "it burns", "-y"];
    let back = project.run(&emergency);
    assert_eq!(back.code, Some(0), "{back}");
    burns.signal("CONT");
    burns.end().must_say(4, &["it burns"]);
    // The other one was never released to.
    assert!(back.stderr.contains("web-2 stays: others go back to 1.0.1-"), "{back}");
    assert_eq!(fleet.hosts()[..2].iter().map(version).collect::<Vec<_>>(), ["1.0.1", "1.0.1"]);
}

#[test]
fn a_release_that_somebody_changed_is_none_to_go_back_to_and_drift_is_shown() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.release();
    let old = current(fleet.host(2)).unwrap();
    project.next_version("1.0.1");
    project.release();
    let tamper = format!("echo x > {}/{}/index.html", fleet.host(2).root().display(), old.display());
    fleet.host(2).inside(&["sh", "-euc", &tamper]).unwrap();
    let refused = project.run(&["rollback", "plan.toml", "--environment", "fleet", "-y"]);
    refused.must_say(3, &["on web-2 is not what was laid out there"]);

    let tamper = format!("echo x > {}/current/index.html", fleet.host(1).root().display());
    fleet.host(1).inside(&["sh", "-euc", &tamper]).unwrap();
    let releases = project.run(&["releases", "plan.toml", "--environment", "fleet"]);
    assert_eq!(releases.code, Some(0), "{releases}");
    assert_eq!(releases.stdout.matches("live, good, changed since it was laid out").count(), 1, "{releases}");
}

#[test]
fn what_the_targets_alone_vouch_for_is_not_run_unless_it_is_accepted_by_name() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    project.release();
    project.next_version("1.0.1");
    project.release();
    // Whoever looks from another machine has never seen that plan.
    std::fs::remove_dir_all(project.path(".runner")).unwrap();
    let rollback = ["rollback", "plan.toml", "--environment", "fleet", "-y"];
    let refused = project.run(&rollback);
    refused.must_say(3, &["were never used here", "--accept "]);
    // Nothing is no beginning of a digest.
    project.run(&[&rollback[..], &["--accept", ""]].concat()).must_say(2, &["12 to 64 hexadecimal digits"]);
    let digest =
        refused.stderr.split("--accept ").nth(1).unwrap().split(['`', '\n', ' ']).next().unwrap().to_owned();
    let back = project.run(&[&rollback[..], &["--accept", &digest]].concat());
    assert_eq!(back.code, Some(0), "{back}");
    assert_eq!(fleet.host(1).get("/version.txt").unwrap().body, "1.0.0");
}

#[test]
fn what_a_target_forged_of_an_older_release_is_refused() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    project.release();
    project.next_version("1.0.1");
    project.release();
    let folder = fleet.host(1).outside(fleet.host(1).root()).join(".runner/releases");
    let is_kept = |path: &std::path::PathBuf| {
        path.to_string_lossy().contains("/1.0.0-") && path.extension().is_some_and(|e| e == "plan")
    };
    let kept = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(is_kept).unwrap();
    let honest = std::fs::read_to_string(&kept).unwrap();
    let rollback = ["rollback", "plan.toml", "--environment", "fleet", "-y"];
    let forged = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut text: serde_json::Value = serde_json::from_str(&honest).unwrap();
        change(&mut text);
        std::fs::write(&kept, text.to_string()).unwrap();
        project.run(&rollback)
    };
    let elsewhere = forged(&|kept| kept["environment"] = "production".into());
    elsewhere.must_say(3, &["is of the environment `production`"]);
    let other = forged(&|kept| kept["vars"]["version"] = "9.9.9".into());
    other.must_say(3, &["were never used here together"]);
    let digest = runner_model::Digest::of("another tree").to_string();
    let outputs = forged(&|kept| kept["outputs"]["package"]["artifact"] = digest.as_str().into());
    outputs.must_say(3, &["is of another artifact"]);
    let more = forged(&|kept| kept["more"] = 1.into());
    more.must_say(3, &["cannot be used"]);
    assert_eq!(version(fleet.host(1)), "1.0.1");
    std::fs::write(&kept, &honest).unwrap();
    let back = project.run(&rollback);
    assert_eq!(back.code, Some(0), "{back}");
    assert_eq!(version(fleet.host(1)), "1.0.0");
}

/// nginx as the load balancer on the last host, and the plan's table for it.
fn behind_nginx<'f>(fleet: &'f Fleet, project: &Project) -> &'f Host {
    let (lb, servers) = fleet.hosts().split_last().unwrap();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("  {kind}_temp_path /srv/lb/{kind};\n"))
        .collect();
    let config = format!(
        "pid /srv/lb/nginx.pid;\nerror_log /srv/lb/error.log;\nevents {{}}\nhttp {{\n{temporary}  access_log off;\n  \
         upstream shop {{ include /srv/lb/shop.conf; }}\n  \
         server {{ listen {}; location / {{ proxy_pass http://shop; proxy_next_upstream off; }} }}\n}}\n",
        lb.http_address()
    );
    let upstream: String = servers.iter().map(|host| format!("server {};\n", host.http_address())).collect();
    let script = "mkdir -p /srv/lb; printf %s \"$1\" > /srv/lb/nginx.conf; printf %s \"$2\" > /srv/lb/shop.conf
        printf '#!/bin/sh\\ncase $1 in reload) exec /usr/sbin/nginx -c /srv/lb/nginx.conf -s reload ;; esac\\nkill -0 $(cat /srv/lb/nginx.pid)\\n' > /srv/lb/ctl
        chmod 755 /srv/lb/ctl
        chown -R deploy /srv/lb; su deploy -s /bin/sh -c '/usr/sbin/nginx -c /srv/lb/nginx.conf'";
    lb.inside(&["sh", "-euc", script, "sh", &config, &upstream]).unwrap();
    let inventory = format!("[target.{}]\naddress = \"{}\"\nroles = [\"web\"]", lb.name(), lb.address());
    let as_lb = inventory.replace("[\"web\"]", "[\"lb\"]")
        + "\nservice-command = [\"/srv/lb/ctl\", \"${action}\", \"${unit}\"]";
    project.edit("fleet.toml", &inventory, &as_lb);
    project.edit_plan(
        "[strategy]",
        "[cluster]\nuses = \"std/nginx-upstream\"\non = \"lb\"\nwith = { file = \"/srv/lb/shop.conf\", \
         server = \"${target.address}:${target.vars.http-port}\", drain = \"1s\", \
         test = [\"/usr/sbin/nginx\", \"-t\", \"-c\", \"/srv/lb/nginx.conf\"] }\n\n[strategy]",
    );
    project.edit_plan(
        "batches = [1, \"50%\", \"100%\"]",
        "batches = [1, \"50%\", \"100%\"]\nmin-in-service = \"66%\"\non-failure = \"rollback\"",
    );
    lb
}

#[test]
fn behind_nginx_a_rolling_release_and_one_that_fails_lose_no_request() {
    let fleet = fleet_or_skip!(Fleet::start(7));
    let project = Project::new(&fleet);
    let lb = behind_nginx(&fleet, &project);
    project.release();
    let upstream = || std::fs::read_to_string(lb.outside("/srv/lb/shop.conf")).unwrap();
    let all_in = upstream();
    assert!(!all_in.contains("down"), "{all_in}");

    project.next_version("1.0.1");
    project.lock();
    // nginx closes idle connections when it reloads: each request has one of its own.
    let load = requests(lb, &["-H", "Connection: close"]);
    let ran = project.exec();
    let served = load.end();
    assert_eq!(ran.code, Some(0), "{ran}");
    eprintln!("rolling release behind nginx: {served:?}");
    assert!(served.requests > 0 && served.failed == 0, "{served:?}");
    assert_eq!(ran.events_of("service-left").count(), 6, "{ran}");
    assert_eq!(upstream(), all_in);

    project.next_version("1.0.2");
    fleet.host(3).answer("/version.txt", "broken").unwrap();
    project.edit_plan("deadline = \"10s\"", "deadline = \"1s\"");
    project.lock();
    let load = requests(lb, &["-H", "Connection: close"]);
    let ran = project.exec();
    let served = load.end();
    assert_eq!(ran.code, Some(6), "{ran}");
    eprintln!("failing release and its rollback behind nginx: {served:?}");
    assert!(served.requests > 0 && served.failed == 0, "{served:?}");
    assert_eq!(upstream(), all_in);
}
