//! What people write wrongly: an error with the place, the cause and the mend, exit code 2, and no connection.

use crate::support::{Project, Ran, current, version};
use runner_fleet::{Fleet, fleet_or_skip};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// A project whose fleet cannot be reached: what is refused before the first connection does not notice.
fn project() -> Option<(Fleet, Project)> {
    let fleet = match Fleet::builder(1).local().start() {
        Ok(fleet) => fleet,
        Err(missing) => {
            eprintln!("SKIPPED: {}: {missing}", std::thread::current().name().unwrap_or("a test"));
            return None;
        }
    };
    let project = Project::new(&fleet);
    Some((fleet, project))
}

/// `check`, `lock` and `exec` all refuse it alike.
fn refused(project: &Project, parts: &[&str]) {
    for command in ["check", "lock", "exec"] {
        let ran: Ran = project.run(&[command, "plan.toml", "--environment", "fleet"]);
        ran.must_say(2, parts);
        assert!(ran.entries.is_empty(), "no run begins");
    }
}

#[test]
fn malformed_toml_is_shown_with_its_place() {
    let Some((_fleet, project)) = project() else { return };
    project.edit_plan("name = \"web\"", "name = \"web");
    refused(&project, &["plan.toml:2:"]);
}

#[test]
fn everything_that_is_wrong_is_said_together() {
    let Some((_fleet, project)) = project() else { return };
    project.edit_plan("role = \"web\"", "rolle = \"web\"");
    project.edit_plan("${release.root}\", keep = 3", "${relaese.root}\", keep = 3");
    refused(&project, &["rolle", "`role`", "relaese"]);
}

#[test]
fn a_plan_of_ten_megabytes_is_refused_at_once() {
    let Some((_fleet, project)) = project() else { return };
    let plan = fs::read_to_string(project.path("plan.toml")).unwrap();
    project.write("plan.toml", &format!("{plan}\n{}", "# filler\n".repeat(1_200_000)));
    refused(&project, &["plan.toml", "1 MiB"]);
}

#[test]
fn keys_of_later_versions_are_not_supported_yet() {
    let Some((_fleet, project)) = project() else { return };
    project.edit_plan("[strategy]", "[report]\njunit = \"out.xml\"\n\n[strategy]");
    refused(&project, &["report", "not yet"]);
}

#[test]
fn what_is_no_step_is_refused_by_name() {
    let component: &[u8] = b"\0asm\x0d\0\x01\0";
    for (name, bytes) in [
        ("not-a-component", b"hello".as_slice()),
        ("a-core-module", b"\0asm\x01\0\0\0"),
        ("truncated", &component[..6]),
        ("another-world", component),
    ] {
        let Some((_fleet, project)) = project() else { return };
        fs::write(project.path("step.wasm"), bytes).unwrap();
        project.edit_plan("std = \"builtin\"", "std = \"builtin\"\nown = { path = \"step.wasm\" }");
        project.edit_plan("uses = \"std/prune\"", "uses = \"own\"");
        eprintln!("{name}");
        refused(&project, &["step.wasm"]);
    }
}

#[test]
fn parameters_off_the_schema_are_shown_with_their_place() {
    let Some((_fleet, project)) = project() else { return };
    project.edit_plan("with = { unit = \"nginx\", root", "with = { unit = 7, when = \"later\", root");
    refused(&project, &["plan.toml:", "unit", "when"]);
}

#[test]
fn a_plan_without_targets_is_an_error() {
    let Some((_fleet, project)) = project() else { return };
    project.edit_plan("role = \"web\"", "role = \"database\"");
    refused(&project, &["database"]);
}

#[test]
fn odd_file_names_arrive_as_they_are() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    let names = [
        "with space",
        "quote's \"here\"",
        "new\nline",
        "-rf",
        "--",
        "$(touch x)",
        "ü",
        "a;b",
        "*",
        "back\\slash",
    ];
    for name in names {
        fs::write(project.path("app").join(name), name).unwrap();
    }
    project.release();
    let live = fleet.host(1).outside(fleet.host(1).root()).join(current(fleet.host(1)).unwrap());
    for name in names {
        assert_eq!(fs::read_to_string(live.join(name)).unwrap(), name);
    }
    project.next_version("1.0.1");
    project.release();
    assert_eq!(version(fleet.host(1)), "1.0.1");
}

#[test]
fn a_name_that_is_not_utf8_is_refused_by_name() {
    let Some((fleet, project)) = project() else { return };
    fs::write(project.path("app").join(OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    project.lock_and_exec().must_say(4, &["package", "caf\\xe9", "UTF-8"]);
    assert_eq!(current(fleet.host(1)), None);
}

#[test]
fn a_link_out_of_the_source_is_refused_by_name() {
    let Some((fleet, project)) = project() else { return };
    std::os::unix::fs::symlink("/etc/passwd", project.path("app/users")).unwrap();
    project.lock_and_exec().must_say(4, &["package", "users"]);
    assert_eq!(current(fleet.host(1)), None);
}
