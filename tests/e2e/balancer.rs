//! Load balancers before the hosts of a fleet, and requests through it that never end.

use crate::support::Project;
use runner_fleet::{Fleet, Host, until};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The admin socket, as the host sees it.
pub(crate) const SOCKET: &str = "/srv/lb/admin.sock";
const CONFIG: &str = "/srv/lb/haproxy.cfg";
/// Where the states of its servers are kept over a reload.
pub(crate) const STATES: &str = "/srv/lb/states";
const PID: &str = "/srv/lb/haproxy.pid";

/// HAProxy on one of the last hosts of a fleet, before all others.
pub(crate) struct Balancer<'f> {
    host: &'f Host,
    servers: usize,
}

impl<'f> Balancer<'f> {
    /// Starts it, and gives the project's inventory the role `lb` for its host.
    pub(crate) fn start(fleet: &'f Fleet, project: &Project) -> Self {
        let [balancer] = Self::start_all(fleet, project);
        balancer
    }

    /// Starts some, on as many of the last hosts.
    pub(crate) fn start_all<const N: usize>(fleet: &'f Fleet, project: &Project) -> [Self; N] {
        let hosts = fleet.hosts();
        let (servers, hosts) = hosts.split_at(hosts.len() - N);
        std::array::from_fn(|number| {
            let host = &hosts[number];
            let inventory =
                format!("[target.{}]\naddress = \"{}\"\nroles = [\"web\"]", host.name(), host.address());
            project.edit("fleet.toml", &inventory, &inventory.replace("[\"web\"]", "[\"lb\"]"));
            let config = config(host, servers);
            let script = "mkdir -p /srv/lb; chown deploy /srv/lb; printf %s \"$1\" > /srv/lb/haproxy.cfg";
            host.inside(&["sh", "-euc", script, "sh", &config]).unwrap();
            let balancer = Self { host, servers: servers.len() };
            balancer.run();
            balancer
        })
    }

    /// The table for the plan.
    pub(crate) fn cluster() -> String {
        format!(
            "[cluster]\nuses = \"std/haproxy\"\non = \"lb\"\n\
             with = {{ socket = \"{SOCKET}\", backend = \"shop\", timeout = \"5s\" }}\n\n[strategy]"
        )
    }

    fn run(&self) {
        self.host.inside(&["haproxy", "-D", "-f", CONFIG, "-p", PID]).unwrap();
        self.wait();
    }

    /// Another one takes its place, with its configuration and what its file of states says.
    pub(crate) fn reload(&self) {
        let pid = self.pid();
        self.host.inside(&["haproxy", "-D", "-f", CONFIG, "-p", PID, "-sf", &pid]).unwrap();
        self.wait();
        assert_ne!(self.pid(), pid);
    }

    /// From now on it tells how its servers stand, and lets nobody change it.
    pub(crate) fn only_tell(&self) {
        let script = "sed -i 's/level admin/level operator/' /srv/lb/haproxy.cfg";
        self.host.inside(&["sh", "-euc", script]).unwrap();
        self.reload();
    }

    fn pid(&self) -> String {
        std::fs::read_to_string(self.host.outside(PID)).unwrap().trim().to_owned()
    }

    fn wait(&self) {
        until("haproxy answers", || self.ask("show info\n").is_some());
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        self.host.inside(&["sh", "-euc", "kill -9 $(cat /srv/lb/haproxy.pid)"]).unwrap();
    }

    /// What its admin socket answers.
    pub(crate) fn ask(&self, text: &str) -> Option<String> {
        ask(&self.host.outside(SOCKET), text)
    }

    /// How many servers it sends requests to.
    pub(crate) fn serving(&self) -> usize {
        serving(&self.ask("show stat\n").unwrap())
    }

    /// Waits until it sends requests to all of them.
    pub(crate) fn wait_for_all(&self) {
        until("all serve", || self.serving() == self.servers);
    }

    /// The administrative state of a server: 0 ready, else out or on its way.
    pub(crate) fn admin_state(&self, server: &str) -> String {
        let state = self.ask("show servers state shop\n").unwrap();
        let line = state.lines().find(|line| line.split(' ').nth(3) == Some(server)).unwrap();
        line.split(' ').nth(6).unwrap().to_owned()
    }

    /// Begins to send requests, and to count who serves them.
    pub(crate) fn load(&self) -> Load {
        let over = Arc::new(AtomicBool::new(false));
        let (socket, ends) = (self.host.outside(SOCKET), Arc::clone(&over));
        let sampler = std::thread::spawn(move || {
            let mut fewest: Option<usize> = None;
            while !ends.load(Ordering::Relaxed) {
                if let Some(stat) = ask(&socket, "show stat\n") {
                    let now = serving(&stat);
                    fewest = Some(fewest.map_or(now, |fewest| fewest.min(now)));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            fewest
        });
        Load { sampler: Some((over, sampler)), ..requests(self.host, &[]) }
    }
}

/// Begins to send requests to a host; `options`: further ones of wrk.
pub(crate) fn requests(host: &Host, options: &[&str]) -> Load {
    let url = format!("http://{}/version.txt", host.http_address());
    let wrk = Command::new("wrk")
        .args(["-t", "1", "-c", "8", "-d", "600s", "--timeout", "20s"])
        .args(options)
        .arg(&url)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Load { wrk, sampler: None }
}

/// Of one that passes requests on to these servers.
fn config(host: &Host, servers: &[Host]) -> String {
    let mut config = format!(
        "global\n  stats socket {SOCKET} mode 660 user deploy level admin\n  server-state-file {STATES}\n\
         defaults\n  mode http\n  retries 0\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n  \
         load-server-state-from-file global\n\
         frontend all\n  bind {}\n  default_backend shop\n\
         backend shop\n  option httpchk GET /version.txt\n  default-server check inter 100ms rise 1 fall 2\n",
        host.http_address()
    );
    for server in servers {
        let _ = writeln!(config, "  server {} {}", server.name(), server.http_address());
    }
    config
}

fn ask(socket: &std::path::Path, text: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn serving(stat: &str) -> usize {
    let server = |line: &&str| line.starts_with("shop,web-");
    stat.lines()
        .filter(server)
        .filter(|line| line.split(',').nth(17).is_some_and(|is| is.starts_with("UP")))
        .count()
}

/// Requests that go on.
pub(crate) struct Load {
    wrk: Child,
    sampler: Option<(Arc<AtomicBool>, JoinHandle<Option<usize>>)>,
}

/// What came of them.
#[derive(Debug)]
pub(crate) struct Served {
    /// Requests that were answered.
    pub(crate) requests: u64,
    /// Those that were not, or not well.
    pub(crate) failed: u64,
    /// The fewest servers at any moment, where they were counted.
    pub(crate) fewest: Option<usize>,
}

impl Load {
    pub(crate) fn end(self) -> Served {
        // wrk reports when it is interrupted.
        let interrupted =
            Command::new("kill").args(["-s", "INT", &self.wrk.id().to_string()]).status().unwrap();
        assert!(interrupted.success());
        let output = self.wrk.wait_with_output().unwrap();
        let fewest = self.sampler.and_then(|(over, sampler)| {
            over.store(true, Ordering::Relaxed);
            sampler.join().unwrap()
        });
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = |text: &str| text.trim().trim_end_matches(',').parse::<u64>().unwrap();
        let requests =
            said.lines().find_map(|line| line.trim().split_once(" requests in ")).map(|(n, _)| number(n));
        let bad = said
            .lines()
            .find_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses:"))
            .map_or(0, number);
        let errors = said
            .lines()
            .find_map(|line| line.trim().strip_prefix("Socket errors:"))
            .map_or(0, |line| line.split(',').map(|part| number(part.rsplit(' ').next().unwrap())).sum());
        Served { requests: requests.unwrap_or_else(|| panic!("{said}")), failed: bad + errors, fewest }
    }
}
