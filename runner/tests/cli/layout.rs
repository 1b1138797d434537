//! `runner fmt`, and schemas that editors find.

use super::{Project, same};
use std::process::Command;

const UGLY: &str = "plan=1\nname   = 'shop' # the shop\n[environment.staging]\ninventory = \"staging.toml\"\n\n\n\n[[prepare]]\nid='a'\nuses='std/package'\nwith={source='.',exclude=['.git','.runner']}\n";

#[test]
fn fmt_lays_out_the_plan_and_its_inventories() {
    let project = Project::new();
    project.write("plan.toml", UGLY);
    project.write("staging.toml", "inventory=1\n[target.web-1]\n");
    same("fmt-check", &project.run(&["fmt", "--check"]));
    assert_eq!(project.read("plan.toml"), UGLY, "nothing is written");
    same("fmt", &project.run(&["fmt"]));
    same("fmt-plan", &project.read("plan.toml"));
    assert_eq!(project.read("staging.toml"), "inventory = 1\n\n[target.web-1]\n");
    assert_eq!(project.run(&["fmt", "--check"]), "exit code 0\n");
    assert_eq!(project.run(&["fmt"]), "exit code 0\n");
    // A link stays one, and the mode what it is.
    project.write("real.toml", "a=1\n");
    let (real, link) = (project.0.path().join("real.toml"), project.0.path().join("link.toml"));
    std::os::unix::fs::symlink("real.toml", &link).expect("a link");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(&real, mode).expect("a mode");
    let said = project.run(&["fmt", "link.toml"]);
    assert!(said.starts_with("exit code 0\n"), "{said}");
    assert!(link.is_symlink());
    assert_eq!(project.read("real.toml"), "a = 1\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&real).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn fmt_refuses_what_it_cannot_lay_out_and_writes_none() {
    let project = Project::new();
    project.write("plan.toml", UGLY);
    project.write("bad.toml", "a = 1\nb = [1,\n");
    same("fmt-invalid", &project.run(&["fmt", "plan.toml", "bad.toml", "missing.toml"]));
    assert_eq!(project.read("plan.toml"), UGLY);
    std::fs::remove_file(project.0.path().join("plan.toml")).expect("it is there");
    same("fmt-nothing-here", &project.run(&["fmt"]));
}

#[test]
fn editors_find_the_schemas_without_a_network() {
    let project = Project::new();
    std::fs::create_dir(project.0.path().join("app")).expect("a folder");
    for name in ["plan.toml", "production.toml"] {
        std::fs::remove_file(project.0.path().join(name)).expect("it is there");
    }
    let init = [
        "init",
        "--app=app",
        "--hosts=web-1.example.org",
        "--user=",
        "--root=/srv/x",
        "--service=",
        "--health-url=",
        "--name=site",
    ];
    let said = project.run(&init);
    assert!(said.starts_with("exit code 0\n"), "{said}");
    assert!(project.read("plan.toml").starts_with("#:schema ./.schema/plan.json\n"));
    assert!(project.read("production.toml").starts_with("#:schema ./.schema/inventory.json\n"));
    // What `init` writes is laid out.
    assert_eq!(project.run(&["fmt", "--check"]), "exit code 0\n");
    same("schema-install", &project.run(&["schema", "--install"]));
    same("schema-install-nowhere", &project.run(&["schema", "--install", "nowhere"]));

    let taplo =
        |file: &str| Command::new("taplo").args(["lint", file]).current_dir(project.0.path()).output();
    let good = match taplo("plan.toml") {
        Ok(good) => good,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: editors_find_the_schemas_without_a_network: there is no taplo");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(good.status.success(), "{}", said(&good));
    let good = taplo("production.toml").expect("it ran before");
    assert!(good.status.success(), "{}", said(&good));
    project.edit("plan.toml", "\nuses = ", "\nuse = ");
    let typo = taplo("plan.toml").expect("it ran before");
    assert!(!typo.status.success() && said(&typo).contains("'use' was unexpected"), "{}", said(&typo));
    project.edit("production.toml", "roles = ", "role = ");
    let typo = taplo("production.toml").expect("it ran before");
    assert!(!typo.status.success() && said(&typo).contains("'role' was unexpected"), "{}", said(&typo));
}
