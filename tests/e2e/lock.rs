//! Nothing runs that was not accepted.

use crate::support::{Project, current, restarts};
use runner_fleet::{Fleet, fleet_or_skip};

/// Not one byte is on the target.
fn untouched(fleet: &Fleet) {
    for host in fleet.hosts() {
        assert_eq!((current(host), restarts(host)), (None, 0));
        assert!(!host.outside(host.root().join(".runner")).exists());
    }
}

#[test]
fn without_a_lock_nothing_runs_and_the_command_that_makes_one_is_said() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    project.exec().must_say(3, &["plan.lock", "runner lock"]);
    untouched(&fleet);
}

#[test]
fn a_stale_lock_is_refused_and_says_what_changed() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    project.lock();
    project.edit_plan("unit = \"nginx\"", "unit = \"sshd\"");
    project.exec().must_say(3, &["restart", "runner lock"]);
    untouched(&fleet);

    project.lock();
    project.edit("fleet.toml", "servicectl\", \"${action}\"", "servicectl\", \"--force\", \"${action}\"");
    project.exec().must_say(3, &["service", "runner lock"]);
    untouched(&fleet);
}

#[test]
fn a_lock_of_another_environment_is_none() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    let locked = project.run(&["lock", "plan.toml", "--environment", "production"]);
    assert_eq!(locked.code, Some(0), "{locked}");
    project.exec().must_say(3, &["fleet", "runner lock"]);
    untouched(&fleet);
}

#[test]
fn the_operators_policy_alone_may_deny() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let mut project = Project::new(&fleet);
    project.lock();
    project.write(
        "policy.toml",
        "policy = 1\n\n[environment.\"*\"]\ndeny = { ssh = [\"service:nginx restart\"] }\n",
    );
    project.env.push(("RUNNER_POLICY".into(), project.path("policy.toml").to_str().unwrap().to_owned()));
    let refused = project.exec();
    refused.must_say(3, &["restart", "policy"]);
    untouched(&fleet);
}
