//! What the tests and the demo rely on.

#![expect(clippy::unwrap_used, reason = "tests")]

use runner_fleet::{Fleet, Host, Sudo, fleet_or_skip};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn ssh(fleet: &Fleet, host: &Host, command: &str) -> Output {
    let config = fleet.ssh_config();
    let options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-F"];
    Command::new("ssh").args(options).arg(config).args([host.name(), command]).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn each_host_has_its_own_files_user_and_service() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let root = fleet.host(1).root();
    let root = root.display();
    let laid = ssh(
        &fleet,
        fleet.host(1),
        &format!(
            "mkdir -p {root}/r1 && echo one > {root}/r1/version.txt && ln -s r1 {root}/current && id -un"
        ),
    );
    assert_eq!(out(&laid), fleet.user(), "{}", err(&laid));
    assert_eq!(
        ssh(&fleet, fleet.host(2), &format!("ls {}/r1", fleet.host(2).root().display())).status.code(),
        Some(2)
    );

    let sudo = if fleet.isolated() { "sudo -n " } else { "" };
    for host in fleet.hosts() {
        let restart = format!("{sudo}{} restart nginx", host.servicectl().display());
        let restarted = ssh(&fleet, host, &restart);
        assert!(restarted.status.success(), "{}", err(&restarted));
    }
    let answer = fleet.host(1).get("/version.txt").unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "one"));
    assert_eq!(fleet.host(2).get("/version.txt").unwrap().status, 404);
    assert_eq!(fleet.host(1).service_actions(), ["restart"]);
}

#[test]
fn the_deploy_user_is_root_for_the_service_only_and_the_machine_stays_as_it_is() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    if !fleet.isolated() {
        eprintln!("SKIPPED: what sudo may do needs root");
        return;
    }
    let host = fleet.host(1);
    assert!(!ssh(&fleet, host, "sudo -n id").status.success());
    assert!(!ssh(&fleet, host, "sudo -n /srv/bin/servicectl restart sshd").status.success());
    assert!(!ssh(&fleet, host, "echo > /srv/bin/servicectl").status.success());
    assert!(!std::fs::read_to_string("/etc/passwd").unwrap().contains("/home/deploy"));
    drop(fleet);
    let fleet = fleet_or_skip!(Fleet::builder(1).sudo(Sudo::Everything).start());
    assert_eq!(out(&ssh(&fleet, fleet.host(1), "sudo -n id -u")), "0");
}

#[test]
fn faults_are_what_they_say() {
    let fleet = fleet_or_skip!(Fleet::builder(4).start());
    let host = fleet.host(1);
    host.stop_sshd().unwrap();
    assert!(err(&ssh(&fleet, host, "true")).contains("refused"));
    host.start_sshd().unwrap();
    assert!(ssh(&fleet, host, "true").status.success());

    host.change_host_key().unwrap();
    assert!(err(&ssh(&fleet, host, "true")).contains("HOST IDENTIFICATION HAS CHANGED"));

    fleet.host(2).refuse_the_key().unwrap();
    assert!(err(&ssh(&fleet, fleet.host(2), "true")).contains("Permission denied"));

    let host = fleet.host(3);
    host.break_service().unwrap();
    let control = host.servicectl();
    let restart = [control.to_str().unwrap(), "restart", "nginx"];
    assert!(host.inside(&restart).is_err());
    host.fix_service().unwrap();
    host.answer("/version.txt", "broken").unwrap();
    host.inside(&restart).unwrap();
    assert_eq!(host.get("/version.txt").unwrap().body, "broken");

    let host = fleet.host(4);
    host.freeze();
    assert!(err(&ssh(&fleet, host, "true")).contains("timed out"));
    host.thaw();
    assert!(ssh(&fleet, host, "true").status.success());
}

#[test]
fn disks_fill_up_folders_are_read_only_and_programs_go_missing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: these faults are mounts and need root");
        return;
    }
    let fleet = fleet_or_skip!(Fleet::builder(2).small_disk(1, "1m").start());
    let host = fleet.host(1);
    let write = "dd if=/dev/zero of=/srv/app/x bs=64k count=1";
    assert!(ssh(&fleet, host, write).status.success());
    host.fill_disk().unwrap();
    assert!(
        err(&ssh(&fleet, host, "dd if=/dev/zero of=/srv/app/y bs=64k count=1")).contains("No space left")
    );
    host.free_disk().unwrap();
    assert!(ssh(&fleet, host, write).status.success());
    assert!(fleet.host(2).fill_disk().is_err());

    host.make_read_only("/srv/app").unwrap();
    assert!(err(&ssh(&fleet, host, write)).contains("Read-only"));

    let host = fleet.host(2);
    host.hide("tar").unwrap();
    host.hide("zstd").unwrap();
    assert_eq!(ssh(&fleet, host, "tar --version").status.code(), Some(127));
    assert!(
        ssh(&fleet, host, "command -v sudo && gzip --version && sudo -n /srv/bin/servicectl restart nginx")
            .status
            .success()
    );
}

#[test]
fn a_fleet_ends_with_its_owner_however_that_ends() {
    let script = "cat \"$FLEET_DIR/hosts.tsv\"; echo \"$FLEET_DIR\"; cat";
    let mut owner = Command::new(env!("CARGO_BIN_EXE_runner-fleet"))
        .args(["2", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let Some(first) = lines.next() else {
        owner.wait().unwrap();
        eprintln!("SKIPPED: there is no fleet on this machine");
        return;
    };
    let address = first.split('\t').nth(1).unwrap().to_owned();
    let port: u16 = first.split('\t').nth(2).unwrap().parse().unwrap();
    let folder = lines.nth(1).unwrap();
    assert!(std::net::TcpStream::connect((address.as_str(), port)).is_ok());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let start = Instant::now();
    while std::net::TcpStream::connect((address.as_str(), port)).is_ok() || Path::new(&folder).exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "`{folder}` is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn local_targets_are_folders_with_a_service_each() {
    let fleet = fleet_or_skip!(Fleet::builder(2).local().start());
    let host = fleet.host(1);
    host.put("r1/version.txt", "one").unwrap();
    std::os::unix::fs::symlink("r1", host.root().join("current")).unwrap();
    let control = host.servicectl();
    host.inside(&[control.to_str().unwrap(), "restart", "nginx"]).unwrap();
    assert_eq!(host.get("/version.txt").unwrap().body, "one");
    let inventory = std::fs::read_to_string(fleet.inventory()).unwrap();
    assert!(inventory.contains("connection = \"local\"") && !inventory.contains("[ssh]"), "{inventory}");
    let folder = fleet.folder().to_owned();
    drop(fleet);
    assert!(!folder.exists());
}
