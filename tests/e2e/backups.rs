//! Backups of named paths, and putting them back.

use crate::support::{Project, Ran};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// A plan of one step, which backs up or restores.
fn plan(project: &Project, step: &str, with: &str) {
    project.write(
        "plan.toml",
        &format!(
            "plan = 1\nname = \"keep\"\n[modules]\nstd = \"builtin\"\n[environment.fleet]\ninventory = \"fleet.toml\"\n\
             [strategy]\nrole = \"web\"\nbatches = [\"100%\"]\n\
             [[rollout]]\nid = \"{step}\"\nuses = \"std/{step}\"\nwith = {{ {with} }}\n"
        ),
    );
}

fn done(project: &Project) -> Ran {
    let ran = project.lock_and_exec();
    assert_eq!(ran.code, Some(0), "{ran}");
    ran
}

/// What is in a folder of the host, names and contents.
fn contents(host: &Host, folder: &str) -> Vec<(String, String)> {
    let folder = host.outside(host.root().join(folder));
    let mut found: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|entry| {
            let text = match fs::read_link(entry.path()) {
                Ok(to) => format!("-> {}", to.display()),
                Err(_) => fs::read_to_string(entry.path()).unwrap_or_default(),
            };
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .collect();
    found.sort();
    found
}

#[test]
fn named_paths_come_back_as_they_were() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (project, host) = (Project::new(&fleet), fleet.host(1));
    for (file, text) in
        [("shared/uploads/one", "1"), ("shared/uploads/two", "2"), ("shared/it's.conf", "good")]
    {
        host.put(file, text).unwrap();
    }
    let root = host.root().display().to_string();
    let link = host.inside(&["ln", "-s", "/etc/passwd", &format!("{root}/shared/uploads/link")]).unwrap();
    assert!(link.status.success());
    let uploads = contents(host, "shared/uploads");
    let paths = format!("paths = [\"{root}/shared/uploads\", \"{root}/shared/it's.conf\"]");
    let backup = format!("name = \"data\", {paths}, to = \"{root}/kept\", keep = 1");
    plan(&project, "backup", &backup);
    done(&project);
    let again = project.exec();
    assert_eq!((again.code, again.effects()), (Some(0), vec![]), "nothing has changed: {again}");
    let kept = fs::read_dir(host.outside(host.root().join("kept"))).unwrap().flatten().next().unwrap();
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(kept.path().join("backup.json").exists(), "{kept:?}");

    host.put("shared/uploads/one", "changed").unwrap();
    host.put("shared/uploads/three", "new").unwrap();
    let restore = format!("from = \"{root}/kept\", name = \"data\", {paths}, safety = \"{root}/before\"");
    plan(&project, "restore", &restore);
    let restored = done(&project);
    assert_eq!(contents(host, "shared/uploads"), uploads, "{restored}");
    assert_eq!(contents(host, "before").len(), 1, "only what differed is kept");
    let again = project.exec();
    assert_eq!(again.code, Some(0), "{again}");
    let changed: Vec<_> =
        again.effects().into_iter().filter(|effect| !effect.contains("unarchive")).collect();
    assert_eq!(changed, [""; 0], "all of it is there: {again}");
    assert_eq!(contents(host, "before").len(), 1);

    // What was there before the restore is there for a second thought.
    let before = contents(host, "before")[0].0.clone();
    plan(
        &project,
        "restore",
        &format!("archive = \"{root}/before/{before}\", to = \"{root}/shared/uploads\""),
    );
    done(&project);
    assert!(contents(host, "shared/uploads").contains(&("three".to_owned(), "new".to_owned())));

    // A damaged archive is found before anything is touched.
    let archive =
        fs::read_dir(kept.path()).unwrap().flatten().find(|e| e.file_name() != "backup.json").unwrap();
    let bytes = fs::read(archive.path()).unwrap();
    fs::write(archive.path(), &bytes[..bytes.len() / 2]).unwrap();
    plan(&project, "restore", &restore);
    let failed = project.lock_and_exec();
    failed.must_say(4, &["is damaged"]);
    assert!(contents(host, "shared/uploads").contains(&("three".to_owned(), "new".to_owned())));
}

#[test]
fn a_step_backs_up_and_puts_back_only_what_its_lock_names() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (project, host) = (Project::new(&fleet), fleet.host(1));
    host.put("shared/data/one", "1").unwrap();
    let root = host.root().display().to_string();
    plan(
        &project,
        "backup",
        &format!("name = \"data\", paths = [\"{root}/shared/data\"], to = \"{root}/kept\""),
    );
    done(&project);
    let other = "uploads";
    host.put(&format!("shared/{other}/one"), "1").unwrap();
    project.edit_plan("shared/data", &format!("shared/{other}"));
    project.exec().must_say(3, &["plan.lock"]);
}
