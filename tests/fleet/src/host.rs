//! One host: what it answers, and the faults that it can be given.

use crate::layout::{self, Ports, Site};
use crate::{Error, process};
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A machine of the fleet.
#[derive(Debug)]
pub struct Host {
    number: usize,
    name: String,
    address: Ipv4Addr,
    ports: Ports,
    user: String,
    /// Its files as this machine sees them.
    folder: PathBuf,
    /// `/srv` as the host sees it.
    srv: PathBuf,
    /// What holds the host's namespaces; `None` without.
    namespaces: Option<Child>,
    ssh_keygen: Option<PathBuf>,
}

/// What a host's service answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, without white space around it.
    pub body: String,
}

impl Host {
    pub(crate) fn start(
        site: &Site<'_>,
        number: usize,
        name: String,
        folder: PathBuf,
        srv: PathBuf,
        address: Ipv4Addr,
        disk: Option<&str>,
    ) -> Result<Self, Error> {
        let mut host = Self {
            number,
            name,
            address,
            ports: site.ports,
            user: site.user.to_owned(),
            folder,
            srv,
            namespaces: None,
            ssh_keygen: site.tools.ssh.as_ref().map(|ssh| ssh.keygen.clone()),
        };
        if site.tools.root {
            layout::write(&host.folder.join("host.sh"), 0o644, include_str!("host.sh"))?;
            let folder = host.folder.to_string_lossy().into_owned();
            let script = format!("{folder}/host.sh");
            let mut argv = vec!["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child"];
            // Read by a shell and not run itself: a process that another test forks meanwhile may still hold it open for
            // writing, and then the kernel does not run it.
            argv.extend(["sh", &script, &folder, &host.name, disk.unwrap_or_default()]);
            let child = process::dependent("start a host", &argv, &host.folder.join("host.log"))?;
            host.namespaces = Some(child);
        } else if host.ssh_keygen.is_some() {
            host.start_sshd()?;
        }
        Ok(host)
    }

    /// Returns when its sshd answers.
    pub(crate) fn wait_until_it_answers(&self) -> Result<(), Error> {
        let what = format!("start `{}`", self.name);
        self.until(&what, || {
            let ready = self.namespaces.is_none() || self.init().is_some();
            ready && TcpStream::connect(self.ssh_address()).is_ok()
        })
    }

    /// The number of its first process on this machine.
    fn init(&self) -> Option<i32> {
        let parent = self.namespaces.as_ref()?.id();
        let init = fs::read_to_string(self.folder.join("init")).ok()?.trim().parse().ok()?;
        process::is_child(init, parent).then_some(init)
    }

    /// `web-1`, `web-2`, …
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Where it listens, for SSH and HTTP.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Where its sshd listens.
    pub fn ssh_address(&self) -> SocketAddr {
        (self.address, self.ports.ssh).into()
    }

    /// Where its nginx listens once it is started.
    pub fn http_address(&self) -> SocketAddr {
        (self.address, self.ports.http).into()
    }

    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// The URL of a path of its service.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.address, self.ports.http)
    }

    /// The release root, as the host sees it; it belongs to the user who logs in. `/srv/app`, or without root a folder.
    pub fn root(&self) -> PathBuf {
        self.srv.join("app")
    }

    /// The program that starts and stops its service `nginx`, as the host sees it: `servicectl ACTION nginx`.
    pub fn servicectl(&self) -> PathBuf {
        self.srv.join("bin/servicectl")
    }

    /// Its files as this machine sees them.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a path of the host is for this machine.
    pub fn outside(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        let inside = path.strip_prefix("/").unwrap_or(path);
        match (self.init(), self.namespaces.is_some()) {
            (Some(init), _) => Path::new(&format!("/proc/{init}/root")).join(inside),
            // It has ended; the path would be one of this machine's own.
            (None, true) => self.folder.join("ended").join(inside),
            (None, false) => path.to_owned(),
        }
    }

    /// Runs a program as the host's root (without root: as the current user), as if at its console.
    ///
    /// # Errors
    /// When it does not start or does not end with 0.
    pub fn inside(&self, argv: &[&str]) -> Result<Output, Error> {
        let what = format!("run `{}` on `{}`", argv.join(" "), self.name);
        process::run(&what, &mut self.command(argv)?)
    }

    fn command(&self, argv: &[&str]) -> Result<Command, Error> {
        let mut command = match (self.init(), self.namespaces.is_some()) {
            (None, true) => {
                // Never on the machine itself instead.
                return Err(Error::failed(format!("enter `{}`", self.name), "it has ended"));
            }
            (Some(init), _) => {
                let mut nsenter = Command::new("nsenter");
                nsenter.args(["-t", &init.to_string(), "--mount", "--pid", "--uts", "--"]).args(argv);
                nsenter
            }
            (None, false) => {
                let mut plain = Command::new(argv.first().copied().unwrap_or_default());
                plain.args(argv.get(1..).unwrap_or_default());
                plain
            }
        };
        command.current_dir("/");
        Ok(command)
    }

    /// A `sh` script as the host's root; `$1` is the release root.
    fn script(&self, script: &str) -> Result<(), Error> {
        let root = self.root();
        self.inside(&["sh", "-euc", script, "sh", &root.to_string_lossy()]).map(drop)
    }

    /// What its service answers to `GET path`.
    ///
    /// # Errors
    /// When it does not listen, or does not speak HTTP.
    pub fn get(&self, path: &str) -> Result<Answer, Error> {
        let what = format!("get `{}`", self.url(path));
        let fail = |why: &dyn ToString| Error::failed(&what, why.to_string());
        let address = self.http_address();
        let mut stream =
            TcpStream::connect_timeout(&address, Duration::from_secs(5)).map_err(|e| fail(&e))?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(|e| fail(&e))?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(|e| fail(&e))?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(|e| fail(&e))?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| fail(&"not an HTTP answer"))?;
        let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok());
        Ok(Answer { status: status.ok_or_else(|| fail(&"no status"))?, body: body.trim().to_owned() })
    }

    /// Puts a file into the release root, as the user who logs in.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, path: &str, text: &str) -> Result<(), Error> {
        let root = self.root().to_string_lossy().into_owned();
        let script = "root=$1 file=$1/$2 text=$3
            mkdir -p \"${file%/*}\"; printf %s \"$text\" > \"$file\"
            folder=${file%/*}; while [ \"$folder\" != \"$root\" ] && [ \"$folder\" != / ]; do
              chown --reference=\"$root\" \"$folder\"; folder=${folder%/*}
            done; chown --reference=\"$root\" \"$file\"";
        self.inside(&["sh", "-euc", script, "sh", &root, path, text]).map(drop)
    }

    /// What was asked of its service since the start: `restart`, `is-active`, …
    pub fn service_actions(&self) -> Vec<String> {
        let log = self.outside(self.srv.join("log/actions"));
        fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Ends its sshd and all sessions; what the sessions started goes on, as when a network is cut.
    ///
    /// # Errors
    /// When it still answers after a while.
    pub fn stop_sshd(&self) -> Result<(), Error> {
        let what = format!("stop the sshd of `{}`", self.name);
        self.until(&what, || {
            for pid in self.sshd_processes() {
                process::send(pid, Signal::KILL);
            }
            TcpStream::connect(self.ssh_address()).is_err()
        })
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start_sshd(&self) -> Result<(), Error> {
        let start = self.folder.join("start-sshd");
        self.inside(&["sh", &start.to_string_lossy()])?;
        self.wait_until_it_answers()
    }

    /// Its sshd still accepts connections, and says and does nothing any more: what a hung machine looks like.
    pub fn freeze(&self) {
        for pid in self.sshd_processes() {
            process::send(pid, Signal::STOP);
        }
    }

    /// The end of [`Host::freeze`].
    pub fn thaw(&self) {
        for pid in self.sshd_processes() {
            process::send(pid, Signal::CONT);
        }
    }

    /// The listener and all sessions.
    fn sshd_processes(&self) -> Vec<i32> {
        let (root, mut found) = match self.init() {
            Some(init) => (init, Vec::new()),
            None => {
                let pid = fs::read_to_string(self.folder.join("sshd.pid")).unwrap_or_default();
                let Ok(pid) = pid.trim().parse() else { return Vec::new() };
                if self.namespaces.is_some() || !process::serves(pid, &self.folder) {
                    // The number is of the host's own namespace, or of a stranger.
                    return Vec::new();
                }
                (pid, vec![pid])
            }
        };
        found.extend(process::descendants(root));
        found.retain(|pid| process::program(*pid) == "sshd");
        found
    }

    /// Gives it another host key than the known hosts have.
    ///
    /// # Errors
    /// When its sshd does not start with it.
    pub fn change_host_key(&self) -> Result<(), Error> {
        let key = self.folder.join("ssh_host_ed25519_key");
        for file in [&key, &key.with_extension("pub")] {
            fs::remove_file(file).map_err(|e| Error::failed("remove the host key", e))?;
        }
        let program = self.ssh_keygen.as_deref().unwrap_or(Path::new("ssh-keygen"));
        let mut keygen = Command::new(program);
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
        process::run("make another host key", &mut keygen)?;
        self.stop_sshd()?;
        self.start_sshd()
    }

    /// Its sshd forwards no Unix sockets any more.
    ///
    /// # Errors
    /// When its sshd does not start with that.
    pub fn forward_no_sockets(&self) -> Result<(), Error> {
        let file = self.folder.join("sshd_config");
        let text = fs::read_to_string(&file).map_err(|e| Error::failed("read the sshd_config", e))?;
        fs::write(&file, format!("{text}AllowStreamLocalForwarding no\n"))
            .map_err(|e| Error::failed("write the sshd_config", e))?;
        self.stop_sshd()?;
        self.start_sshd()
    }

    /// No key may log in any more.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn refuse_the_key(&self) -> Result<(), Error> {
        let home = if self.namespaces.is_some() { format!("home/{}", self.user) } else { "home".to_owned() };
        let file = self.folder.join(home).join(".ssh/authorized_keys");
        fs::write(file, "").map_err(|e| Error::failed("refuse the key", e))
    }

    /// Takes a program of `/usr/bin` away, as if it were not installed. Needs root.
    ///
    /// # Errors
    /// When it cannot.
    pub fn hide(&self, program: &str) -> Result<(), Error> {
        // A folder of links in place of the real one, which is kept beside it.
        let script = "if ! [ -d /run/shown ]; then
              mkdir /run/bin /run/shown; mount --bind /usr/bin /run/bin
              ln -s /run/bin/* /run/shown/; mount --bind /run/shown /usr/bin
            fi; rm /run/shown/PROGRAM";
        self.script(&script.replace("PROGRAM", program))
    }

    /// Its service does not come up at the next restart: the configuration is wrong.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn break_service(&self) -> Result<(), Error> {
        self.site_file("broken", "this is not a directive;\n")
    }

    /// Every start and stop of its service takes this much longer; a restart in the middle, where it serves nobody.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn slow_service(&self, seconds: u32) -> Result<(), Error> {
        layout::write(&self.folder.join("srv/etc/slow"), 0o644, &seconds.to_string())
    }

    /// No start and stop of its service comes to its end, until [`Host::fix_service`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn hold_service(&self) -> Result<(), Error> {
        layout::write(&self.folder.join("srv/etc/held"), 0o644, "")
    }

    /// From the next restart on, its service answers this at a path, whatever the release has there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn answer(&self, path: &str, body: &str) -> Result<(), Error> {
        self.site_file("answer", &format!("location = {path} {{ return 200 \"{body}\"; }}\n"))
    }

    /// The end of [`Host::break_service`], [`Host::slow_service`], [`Host::hold_service`] and [`Host::answer`], from the next
    /// restart on.
    ///
    /// # Errors
    /// When the files cannot be removed.
    pub fn fix_service(&self) -> Result<(), Error> {
        for name in ["site.d/broken.conf", "site.d/answer.conf", "slow", "held"] {
            match fs::remove_file(self.folder.join("srv/etc").join(name)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::failed("fix the service", e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn site_file(&self, name: &str, text: &str) -> Result<(), Error> {
        layout::write(&self.folder.join(format!("srv/etc/site.d/{name}.conf")), 0o644, text)
    }

    /// Makes a folder of the host one that nobody can write to. Needs root.
    ///
    /// # Errors
    /// When it cannot.
    pub fn make_read_only(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref().to_string_lossy().into_owned();
        self.inside(&["mount", "--bind", &path, &path])?;
        self.inside(&["mount", "-o", "remount,bind,ro", &path]).map(drop)
    }

    /// Fills the disk of a host that has a small one, to its last block.
    ///
    /// # Errors
    /// When it is not such a host.
    pub fn fill_disk(&self) -> Result<(), Error> {
        self.script("mountpoint -q \"$1\"; cat /dev/zero > \"$1/.filler\" 2>/dev/null || true")
    }

    /// The end of [`Host::fill_disk`].
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn free_disk(&self) -> Result<(), Error> {
        self.script("rm -f \"$1/.filler\"")
    }

    fn until(&self, what: &str, mut done: impl FnMut() -> bool) -> Result<(), Error> {
        let start = Instant::now();
        while !done() {
            if start.elapsed() > PATIENCE {
                let logs = ["host.log", "sshd.log"]
                    .map(|log| layout::read(self.folder.join(log)).unwrap_or_default());
                return Err(Error::failed(what, format!("gave up after {PATIENCE:?}; {}", logs.join("\n"))));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(child) = &mut self.namespaces {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}
