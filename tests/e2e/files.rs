//! `std/files` on real machines: what the list says is there, is left alone when it is, and nothing else can be touched.

use crate::support::Project;
use runner_fleet::{Fleet, Host, Sudo, fleet_or_skip};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;

const LIST: &str = r#"
[[rollout]]
id = "settings"
uses = "std/files"

[rollout.with]
files = [
  { path = "${release.root}/conf", folder = true, mode = "0750" },
  { path = "${release.root}/conf/shop.conf", source = "conf/shop.conf", mode = "0640" },
  { path = "${release.root}/conf/blob", source = "app/blob.bin" },
  { path = "${release.root}/conf/banner", content = "it's \"$HOME\" for ${target.name}\n" },
  { path = "${release.root}/conf/live", link-to = "../current" },
  { path = "${release.root}/old.conf", absent = true },
  { path = "${release.root}/old", absent = true, recursive = true },
]
"#;

fn at(host: &Host, path: &str) -> PathBuf {
    host.outside(host.root().join(path))
}

fn mode(host: &Host, path: &str) -> u32 {
    fs::symlink_metadata(at(host, path)).unwrap().mode() & 0o7777
}

#[test]
fn a_list_of_files_is_made_once_and_what_drifts_is_put_right() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let project = Project::new(&fleet);
    project.steps(LIST);
    fs::create_dir(project.path("conf")).unwrap();
    project.write("conf/shop.conf", "debug = no\n");
    for host in fleet.hosts() {
        for file in ["old.conf", "old/a/b", "old/c"] {
            host.put(file, "old").unwrap();
        }
    }
    let first = project.release();
    for host in fleet.hosts() {
        let text = |path: &str| fs::read_to_string(at(host, path)).unwrap();
        assert_eq!(text("conf/shop.conf"), "debug = no\n");
        assert_eq!(text("conf/banner"), format!("it's \"$HOME\" for {}\n", host.name()));
        assert_eq!(fs::read(at(host, "conf/blob")).unwrap(), fs::read(project.path("app/blob.bin")).unwrap());
        assert_eq!(fs::read_link(at(host, "conf/live")).unwrap(), PathBuf::from("../current"));
        assert!(!at(host, "old.conf").exists() && !at(host, "old").exists());
        let modes = ["conf", "conf/shop.conf", "conf/blob"].map(|path| mode(host, path));
        assert_eq!(modes, [0o750, 0o640, 0o644]);
    }
    assert_eq!(first.effects().len(), 2 * 7, "{first}");

    let second = project.exec();
    assert_eq!(second.code, Some(0), "{second}");
    assert_eq!(second.effects(), [""; 0], "nothing is to be done");

    let host = fleet.host(1);
    host.put("conf/banner", "defaced").unwrap();
    host.inside(&["chmod", "0666", host.root().join("conf/shop.conf").to_str().unwrap()]).unwrap();
    let third = project.exec();
    assert_eq!(third.code, Some(0), "{third}");
    assert_eq!(third.effects().len(), 2, "{:?}", third.effects());
    assert_eq!(mode(host, "conf/shop.conf"), 0o640);
}

#[test]
fn files_for_others_are_written_as_root_where_the_plan_says_so() {
    let fleet = fleet_or_skip!(Fleet::builder(1).sudo(Sudo::Everything).start());
    if !fleet.isolated() {
        eprintln!("SKIPPED: files of other users: needs root");
        return;
    }
    let project = Project::new(&fleet);
    project.steps(
        r#"
[[rollout]]
id = "settings"
uses = "std/files"
become = "root"
with = { files = [
  { path = "/etc/shop", folder = true, owner = "root", group = "deploy", mode = "0750" },
  { path = "/etc/shop/key", content = "x", owner = "deploy", mode = "0400" },
] }
"#,
    );
    project.release();
    let host = fleet.host(1);
    let seen = host.inside(&["stat", "-c", "%U:%G %a", "/etc/shop", "/etc/shop/key"]).unwrap();
    assert_eq!(String::from_utf8(seen.stdout).unwrap(), "root:deploy 750\ndeploy:root 400\n");
    let again = project.exec();
    assert_eq!((again.code, again.effects().len()), (Some(0), 0), "{again}");
}

#[test]
fn a_link_in_the_place_of_a_file_is_replaced_and_not_followed() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    project.steps(
        r#"
[[rollout]]
id = "settings"
uses = "std/files"
with = { files = [{ path = "${release.root}/conf/motd", content = "mine" }] }
"#,
    );
    let host = fleet.host(1);
    host.put("secret/motd", "theirs").unwrap();
    host.put("conf/x", "").unwrap();
    symlink("../secret/motd", at(host, "conf/motd")).unwrap();
    project.release();
    assert_eq!(fs::read_to_string(at(host, "conf/motd")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(at(host, "secret/motd")).unwrap(), "theirs");
}

#[test]
fn what_is_wrong_with_a_list_is_said_before_anything_is_touched() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let project = Project::new(&fleet);
    let check = ["check", "plan.toml", "--environment", "fleet"];
    project.steps(&LIST.replace("folder = true", "foldre = true"));
    project.run(&check).must_say(2, &["`files.0` has no parameter `foldre`", "did you mean `folder`?"]);
    project.steps(&LIST.replace("${release.root}/conf/banner", "conf/banner"));
    project
        .run(&check)
        .must_say(2, &["plan.toml:26", "`conf/banner` is not a path on", "it must be absolute"]);
    project.steps(LIST);
    project.lock_and_exec().must_say(4, &["`files.1`: `conf/shop.conf` is not in the plan's folder"]);
    assert!(!at(fleet.host(1), "conf").exists());
}
