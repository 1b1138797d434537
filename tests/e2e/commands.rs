//! `std/user-command` on real machines: what is done already is not done again, and a failure says which one it was.

use crate::support::Project;
use runner_fleet::{Fleet, fleet_or_skip};
use std::fs;

const STEP: &str = r#"
[[rollout]]
id = "setup"
uses = "std/user-command"
with.commands = [
  { argv = ["mkdir", "${release.root}/made"], creates = "${release.root}/made", effect = "change", undo = ["rmdir", "${release.root}/made"] },
  { argv = ["tee", "who"], stdin = "${target.name}", directory = "${release.root}/made", effect = "change", undo = ["rm", "-f", "who"], skip-if = ["test", "-s", "who"] },
]
"#;

#[test]
fn what_is_done_already_is_not_done_again() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.steps(STEP);
    assert_eq!(project.release().effects().len(), 4);
    for host in fleet.hosts() {
        assert_eq!(fs::read_to_string(host.outside(host.root().join("made/who"))).unwrap(), host.name());
    }
    let again = project.exec();
    assert_eq!((again.code, again.effects().len()), (Some(0), 0), "{again}");
}

#[test]
fn a_failure_says_which_command_it_was() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    project.steps(&STEP.replace("\"tee\", \"who\"", "\"cat\", \"nowhere\""));
    project
        .lock_and_exec()
        .must_say(4, &["command 2: on `web-1`: `cat nowhere` ended with status 1", "No such file"]);
}
