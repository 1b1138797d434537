//! The files of a fleet: what each host finds in its `/srv`, `/home` and `/etc`, and what its clients need.

use crate::host::Host;
use crate::needs::Tools;
use crate::{Error, Fleet, Sudo, process};
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who logs in to hosts with users of their own.
pub(crate) const DEPLOY: &str = "deploy";
/// Whoever listens here has all addresses of the network.
pub(crate) const CLAIM_PORT: u16 = 2200;
/// The ports of all hosts; the second ones for machines where the first are taken everywhere.
pub(crate) const PORTS: [Ports; 3] =
    [Ports { ssh: 2222, http: 8080 }, Ports { ssh: 22022, http: 18080 }, Ports { ssh: 32022, http: 28080 }];

/// Where a host listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) ssh: u16,
    pub(crate) http: u16,
}

/// What all hosts have in common.
pub(crate) struct Site<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) fleet: &'a Path,
    pub(crate) user: &'a str,
    pub(crate) ports: Ports,
    pub(crate) sudo: Sudo,
}

impl Site<'_> {
    /// The key that all hosts accept.
    pub(crate) fn client_key(&self) -> Result<(), Error> {
        self.new_key(&self.fleet.join("id_ed25519"), "fleet")
    }

    fn new_key(&self, file: &Path, comment: &str) -> Result<(), Error> {
        let what = "make a key";
        let ssh = self.tools.ssh.as_ref().ok_or_else(|| Error::failed(what, "there is no OpenSSH"))?;
        let mut keygen = Command::new(&ssh.keygen);
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]).arg(file);
        process::run(what, &mut keygen).map(drop)
    }

    /// Writes a host's files and starts it.
    pub(crate) fn host(&self, number: usize, address: Ipv4Addr, disk: Option<&str>) -> Result<Host, Error> {
        let name = format!("web-{number}");
        let folder = self.fleet.join(format!("host-{number}"));
        // Where the host's processes see `/srv`.
        let srv = if self.tools.root { PathBuf::from("/srv") } else { folder.join("srv") };
        for inside in ["srv/app", "srv/bin", "srv/etc/site.d", "srv/run", "srv/log", "home", "etc"] {
            make_folder(&folder.join(inside))?;
        }
        if let Some(ssh) = &self.tools.ssh {
            self.new_key(&folder.join("ssh_host_ed25519_key"), &name)?;
            write(&folder.join("sshd_config"), 0o644, &self.sshd_config(&folder, address))?;
            let sshd = ssh.sshd.display();
            let files = folder.display();
            let start = format!("#!/bin/sh\nexec '{sshd}' -f '{files}/sshd_config' -E '{files}/sshd.log'\n");
            write(&folder.join("start-sshd"), 0o755, &start)?;
        }
        if self.tools.python {
            write(&folder.join("srv/etc/python"), 0o644, &format!("{address} {}\n", self.ports.http))?;
        }
        write(&folder.join("srv/bin/servicectl"), 0o755, include_str!("servicectl.sh"))?;
        write(&folder.join("srv/etc/nginx.conf"), 0o644, &self.nginx_conf(&srv, address))?;
        if self.tools.root {
            self.users(&folder, &name)?;
        } else if self.tools.ssh.is_some() {
            make_folder(&folder.join("home/.ssh"))?;
            self.authorize(&folder.join("home/.ssh"), None)?;
        }
        Host::start(self, number, name, folder, srv, address, disk)
    }

    /// OpenSSH's defaults, but for who may enter.
    fn sshd_config(&self, folder: &Path, address: Ipv4Addr) -> String {
        let files = folder.display();
        let mut text = format!(
            "ListenAddress {address}\nPort {}\nHostKey {files}/ssh_host_ed25519_key\nPidFile {files}/sshd.pid\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin no\nUseDNS no\n\
             Subsystem sftp internal-sftp\n",
            self.ports.ssh
        );
        if !self.tools.root {
            // The way to the folder may lead through one that others may write to, such as `/tmp`.
            let _ = writeln!(text, "AuthorizedKeysFile {files}/home/.ssh/authorized_keys\nStrictModes no");
        }
        text
    }

    fn nginx_conf(&self, srv: &Path, address: Ipv4Addr) -> String {
        // Whoever runs local targets as root has no other user who could read them.
        let user = match (self.tools.root, rustix::process::geteuid().is_root()) {
            (true, _) => "user www-data;\n",
            (false, true) => "user root;\n",
            (false, false) => "",
        };
        let srv = srv.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("  {kind}_temp_path {srv}/run/{kind};\n"))
            .collect();
        format!(
            "{user}worker_processes 1;\npid {srv}/run/nginx.pid;\nerror_log {srv}/log/error.log;\n\
             events {{ worker_connections 64; }}\nhttp {{\n{temporary}  access_log off;\n  default_type text/plain;\n  \
             types {{ text/html html; text/css css; application/json json; }}\n  server {{\n    \
             listen {address}:{};\n    root {srv}/app/current;\n    include {srv}/etc/site.d/*.conf;\n  }}\n}}\n",
            self.ports.http
        )
    }

    /// The host's own users and sudo rules: those of the machine, and `deploy`.
    fn users(&self, folder: &Path, name: &str) -> Result<(), Error> {
        let passwd = read("/etc/passwd")?;
        let group = read("/etc/group")?;
        let taken = |id: u32| {
            let id = id.to_string();
            [&passwd, &group].iter().any(|f| f.lines().any(|l| l.split(':').nth(2) == Some(id.as_str())))
        };
        let id = (61_000..62_000).find(|id| !taken(*id)).unwrap_or(61_000);
        let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
        let deploy = |line: &str| line.starts_with("deploy:");
        let without = |text: &str| {
            text.lines().filter(|line| !deploy(line)).map(|line| format!("{line}\n")).collect::<String>()
        };
        let etc = folder.join("etc");
        let passwd = format!("{}{DEPLOY}:x:{id}:{id}::/home/{DEPLOY}:{shell}\n", without(&passwd));
        write(&etc.join("passwd"), 0o644, &passwd)?;
        write(&etc.join("group"), 0o644, &format!("{}{DEPLOY}:x:{id}:\n", without(&group)))?;
        // Neither locked nor with a password that could be right.
        let shadow = format!("{}{DEPLOY}:*:19000:0:99999:7:::\n", without(&read("/etc/shadow")?));
        write(&etc.join("shadow"), 0o600, &shadow)?;
        write(&etc.join("hosts"), 0o644, &format!("127.0.0.1 localhost\n127.0.1.1 {name}\n"))?;
        let rule = match self.sudo {
            Sudo::Nothing => String::new(),
            Sudo::Everything => format!("{DEPLOY} ALL=(ALL) NOPASSWD: ALL\n"),
            Sudo::ServiceOnly => {
                ["start", "stop", "restart", "reload", "reload-or-restart", "status", "is-active"]
                    .iter()
                    .map(|action| {
                        format!("{DEPLOY} ALL=(root) NOPASSWD: /srv/bin/servicectl {action} nginx\n")
                    })
                    .collect()
            }
        };
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let sudoers =
            format!("Defaults env_reset\nDefaults secure_path=\"{path}\"\nroot ALL=(ALL:ALL) ALL\n{rule}");
        write(&etc.join("sudoers"), 0o440, &sudoers)?;
        let home = folder.join("home").join(DEPLOY);
        make_folder(&home.join(".ssh"))?;
        self.authorize(&home.join(".ssh"), Some(id))?;
        for path in [home.as_path(), &folder.join("srv/app")] {
            own(path, id)?;
        }
        Ok(())
    }

    fn authorize(&self, ssh: &Path, owner: Option<u32>) -> Result<(), Error> {
        let file = ssh.join("authorized_keys");
        write(&file, 0o600, &read(self.fleet.join("id_ed25519.pub"))?)?;
        for path in [ssh, &file] {
            if let Some(owner) = owner {
                own(path, owner)?;
            }
        }
        Ok(())
    }
}

/// What clients need, for all hosts together.
pub(crate) fn write_index(fleet: &Fleet) -> Result<(), Error> {
    let mut table = String::new();
    for host in fleet.hosts() {
        let (name, address, root) = (host.name(), host.address(), host.root());
        let _ =
            writeln!(table, "{name}\t{address}\t{}\t{}\t{}", host.ports().ssh, host.url(""), root.display());
    }
    write(&fleet.folder().join("hosts.tsv"), 0o644, &table)?;
    write(&fleet.inventory(), 0o644, &inventory(fleet))?;
    if fleet.is_local() { Ok(()) } else { write_ssh(fleet) }
}

fn write_ssh(fleet: &Fleet) -> Result<(), Error> {
    let mut known_hosts = String::new();
    let mut ssh_config = String::new();
    for host in fleet.hosts() {
        let (name, address, port) = (host.name(), host.address(), host.ports().ssh);
        let key = read(host.folder().join("ssh_host_ed25519_key.pub"))?;
        let key: Vec<&str> = key.split_whitespace().take(2).collect();
        let _ = writeln!(known_hosts, "[{address}]:{port} {}", key.join(" "));
        let _ = writeln!(ssh_config, "Host {name}\n  HostName {address}");
    }
    let _ = write!(
        ssh_config,
        "Host web-* 127.*\n  User {}\n  Port {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
         UserKnownHostsFile {}\n  StrictHostKeyChecking yes\n",
        fleet.user(),
        fleet.host(1).ports().ssh,
        fleet.identity().display(),
        fleet.known_hosts().display()
    );
    write(&fleet.known_hosts(), 0o644, &known_hosts)?;
    write(&fleet.ssh_config(), 0o644, &ssh_config)
}

fn inventory(fleet: &Fleet) -> String {
    let ports = fleet.host(1).ports();
    let mut text =
        String::from("# A throw-away fleet; gone when the program that started it ends.\ninventory = 1\n");
    if !fleet.is_local() {
        let (identity, known_hosts) = (fleet.identity(), fleet.known_hosts());
        let _ = write!(text, "\n[ssh]\nidentity = {identity:?}\nknown-hosts = {known_hosts:?}\n");
    }
    let _ = write!(text, "\n[defaults]\nvars = {{ http-port = {} }}\n", ports.http);
    let _ = if fleet.is_local() {
        writeln!(text, "connection = \"local\"")
    } else {
        writeln!(text, "user = {:?}\nport = {}", fleet.user(), ports.ssh)
    };
    let sudo = if fleet.isolated() { "\"/usr/bin/sudo\", \"-n\", " } else { "" };
    let service = |host: &Host| {
        format!("service-command = [{sudo}{:?}, \"${{action}}\", \"${{unit}}\"]\n", host.servicectl())
    };
    if fleet.isolated() {
        text.push_str(&service(fleet.host(1)));
    }
    for host in fleet.hosts() {
        let _ =
            write!(text, "\n[target.{}]\naddress = \"{}\"\nroles = [\"web\"]\n", host.name(), host.address());
        if !fleet.isolated() {
            let _ = write!(text, "root = {:?}\n{}", host.root(), service(host));
        }
    }
    text
}

pub(crate) fn read(file: impl AsRef<Path>) -> Result<String, Error> {
    let file = file.as_ref();
    fs::read_to_string(file).map_err(|e| Error::failed(format!("read `{}`", file.display()), e))
}

pub(crate) fn write(file: &Path, mode: u32, text: &str) -> Result<(), Error> {
    fs::write(file, text)
        .and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(mode)))
        .map_err(|e| Error::failed(format!("write `{}`", file.display()), e))
}

/// Whatever the umask is: the hosts' users must be able to enter it.
fn make_folder(folder: &Path) -> Result<(), Error> {
    let what = || format!("make the folder `{}`", folder.display());
    fs::create_dir_all(folder).map_err(|e| Error::failed(what(), e))?;
    for part in folder.ancestors().take(3) {
        let inside_host = part.components().any(|c| c.as_os_str().to_string_lossy().starts_with("host-"));
        let mode = if part.ends_with(".ssh") { 0o700 } else { 0o755 };
        if inside_host {
            fs::set_permissions(part, fs::Permissions::from_mode(mode))
                .map_err(|e| Error::failed(what(), e))?;
        }
    }
    Ok(())
}

fn own(path: &Path, id: u32) -> Result<(), Error> {
    chown(path, Some(id), Some(id)).map_err(|e| Error::failed(format!("give `{}` away", path.display()), e))
}
