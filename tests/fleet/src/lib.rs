//! A throw-away fleet of real OpenSSH servers with nginx as their service, for the tests and the demo.
//!
//! As root each host has namespaces of its own: its own `/srv/app`, users, sudo rules and processes; the machine
//! itself is not changed. Users of a fleet log in as `deploy`, who is not root and may do one thing with sudo: ask
//! for the service. Without root a host is a folder, and its sshd runs as the current user. All addresses are on the
//! loopback network; no two fleets share one. `MaxSessions` and `MaxStartups` are OpenSSH's defaults.
//!
//! Where there is no sshd, [`Builder::local`] makes the folders and services of a fleet on this machine.
//!
//! A fleet ends when it is dropped, and as well when its owner is killed: what runs in it waits on a pipe.
//!
//! ```no_run
//! let fleet = runner_fleet::Fleet::start(3)?;
//! fleet.host(2).stop_sshd()?;
//! assert_eq!(fleet.host(1).get("/version.txt")?.status, 404);
//! # Ok::<(), runner_fleet::Error>(())
//! ```

mod host;
mod layout;
mod needs;
mod process;
mod registry;

pub use host::{Answer, Host};
pub use needs::Missing;
pub use registry::{Registry, RegistryBuilder};

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The most hosts that a fleet may have.
pub const MOST_HOSTS: usize = 240;

/// Whatever takes longer hangs; nothing that a test asserts depends on it.
const PATIENCE: Duration = Duration::from_secs(150);

/// Waits until something is so, with the thread that asks.
///
/// # Panics
/// It never is.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Why there is no fleet, or why it does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks something: a test is skipped, the demo falls back to local targets.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// Something that should have worked did not.
    #[error("{what}: {why}")]
    Failed {
        /// What was tried.
        what: String,
        /// How it went.
        why: String,
    },
}

impl Error {
    pub(crate) fn failed(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Failed { what: what.into(), why: why.to_string() }
    }
}

/// What the deploy user may do with sudo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sudo {
    /// Ask for the service `nginx`, and nothing else.
    #[default]
    ServiceOnly,
    /// Anything, as anyone, without a password.
    Everything,
    /// Nothing.
    Nothing,
}

/// What a fleet is to be like.
#[derive(Debug, Clone)]
pub struct Builder {
    hosts: usize,
    sudo: Sudo,
    small_disks: Vec<(usize, String)>,
    folder: Option<PathBuf>,
    local: bool,
}

impl Builder {
    /// What the deploy user may do with sudo; without root it is of no effect.
    #[must_use]
    pub fn sudo(mut self, sudo: Sudo) -> Self {
        self.sudo = sudo;
        self
    }

    /// Makes the disk of a host this small (as in `mount -o size=`). Needs root.
    #[must_use]
    pub fn small_disk(mut self, host: usize, size: &str) -> Self {
        self.small_disks.push((host, size.to_owned()));
        self
    }

    /// No sshd: the hosts are folders of this machine, and the inventory says `connection = "local"`. For a demo where
    /// OpenSSH is missing; nothing that is said of SSH can be shown with it.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// Keeps the fleet's files in this folder, which must be new or empty, and is removed in the end.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Starts it and returns when every sshd answers.
    ///
    /// # Errors
    /// [`Error::Missing`] when the machine cannot have a fleet, else what failed.
    pub fn start(self) -> Result<Fleet, Error> {
        Fleet::build(self)
    }
}

/// A fleet that runs. Hosts count from 1: `host(1)` is `web-1`.
#[derive(Debug)]
pub struct Fleet {
    /// Dropped first: their pipes close, and they end.
    hosts: Vec<Host>,
    keeper: Child,
    folder: PathBuf,
    user: String,
    isolated: bool,
    local: bool,
    _claim: TcpListener,
}

impl Fleet {
    /// Starts a fleet with nothing special about it.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn start(hosts: usize) -> Result<Self, Error> {
        Self::builder(hosts).start()
    }

    /// For a fleet with something special about it.
    pub fn builder(hosts: usize) -> Builder {
        Builder { hosts, sudo: Sudo::default(), small_disks: Vec::new(), folder: None, local: false }
    }

    fn build(builder: Builder) -> Result<Self, Error> {
        if builder.hosts == 0 || builder.hosts > MOST_HOSTS {
            return Err(Error::failed("start a fleet", format!("it must have 1 to {MOST_HOSTS} hosts")));
        }
        let tools = if builder.local { needs::Tools::find_local()? } else { needs::Tools::find()? };
        if !tools.root && !builder.small_disks.is_empty() {
            return Err(Missing::root("a small disk").into());
        }
        let (claim, network, ports) = claim()?;
        let folder = new_folder(builder.folder.as_deref(), tools.root)?;
        let keeper = process::keeper(&folder, tools.root)?;
        let mut fleet = Self {
            hosts: Vec::new(),
            keeper,
            user: if tools.root { layout::DEPLOY.to_owned() } else { tools.user.clone() },
            isolated: tools.root,
            local: builder.local,
            folder,
            _claim: claim,
        };
        let site = layout::Site {
            tools: &tools,
            fleet: &fleet.folder,
            user: &fleet.user,
            ports,
            sudo: builder.sudo,
        };
        if !builder.local {
            site.client_key()?;
        }
        for number in 1..=builder.hosts {
            let address = Ipv4Addr::new(127, network.0, network.1, u8::try_from(number).unwrap_or(u8::MAX));
            let disk = builder.small_disks.iter().rev().find(|d| d.0 == number).map(|d| d.1.as_str());
            fleet.hosts.push(site.host(number, address, disk)?);
        }
        for host in fleet.hosts.iter().filter(|_| !builder.local) {
            host.wait_until_it_answers()?;
        }
        layout::write_index(&fleet)?;
        Ok(fleet)
    }

    /// A host, counted from 1.
    ///
    /// # Panics
    /// When there is no such host.
    pub fn host(&self, number: usize) -> &Host {
        &self.hosts[number - 1]
    }

    /// All of them.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Where the fleet's files are; removed in the end.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Who logs in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether each host has namespaces of its own, `deploy` and sudo; false without root.
    pub fn isolated(&self) -> bool {
        self.isolated
    }

    /// Whether there is no sshd: see [`Builder::local`].
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// A client configuration that knows the hosts by name, with the key and the known hosts.
    pub fn ssh_config(&self) -> PathBuf {
        self.folder.join("ssh_config")
    }

    /// The public keys of all hosts.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// The private key that the hosts accept.
    pub fn identity(&self) -> PathBuf {
        self.folder.join("id_ed25519")
    }

    /// An inventory of all hosts, with the role `web`.
    pub fn inventory(&self) -> PathBuf {
        self.folder.join("inventory.toml")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.hosts.clear();
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Starts a fleet, or says `SKIPPED: …` and returns from the test.
///
/// ```no_run
/// let fleet = runner_fleet::fleet_or_skip!(runner_fleet::Fleet::start(2));
/// ```
#[macro_export]
macro_rules! fleet_or_skip {
    ($start:expr) => {
        match $start {
            Ok(fleet) => fleet,
            Err($crate::Error::Missing(missing)) => {
                eprintln!("SKIPPED: {}: {missing}", ::std::thread::current().name().unwrap_or("a test"));
                return;
            }
            Err(other) => panic!("the fleet does not start: {other}"),
        }
    };
}

/// Addresses that no other fleet has: whoever holds the listener on the last one has all of `127.a.b.*`.
fn claim() -> Result<(TcpListener, (u8, u8), layout::Ports), Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const NETWORKS: u32 = 200 * 250;
    let start = std::process::id().wrapping_mul(17);
    for _ in 0..NETWORKS {
        let slot = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % NETWORKS;
        let network =
            (u8::try_from(16 + slot / 250).unwrap_or(u8::MAX), u8::try_from(slot % 250).unwrap_or(0));
        let last = Ipv4Addr::new(127, network.0, network.1, 254);
        for ports in layout::PORTS {
            // A listener on 0.0.0.0 takes its port from every address.
            if [ports.ssh, ports.http].iter().any(|port| TcpListener::bind((last, *port)).is_err()) {
                continue;
            }
            if let Ok(claim) = TcpListener::bind((last, layout::CLAIM_PORT)) {
                return Ok((claim, network, ports));
            }
        }
    }
    Err(Error::failed("find free loopback addresses for a fleet", "all are taken"))
}

fn new_folder(wanted: Option<&Path>, isolated: bool) -> Result<PathBuf, Error> {
    let what = "make the fleet's folder";
    let Some(folder) = wanted else {
        // Without namespaces release roots are in it, and no root may be below a folder that others write to: not
        // in `/tmp`, but beside this program.
        let program = std::env::current_exe().map_err(|e| Error::failed(what, e))?;
        let beside = program.parent().filter(|_| !isolated).map(|folder| folder.join("fleets"));
        let parent = beside.unwrap_or_else(std::env::temp_dir);
        fs::create_dir_all(&parent).map_err(|e| Error::failed(what, e))?;
        let folder = tempfile::Builder::new().prefix("runner-fleet-").tempdir_in(parent);
        return Ok(folder.map_err(|e| Error::failed(what, e))?.keep());
    };
    fs::create_dir_all(folder).map_err(|e| Error::failed(format!("{what} `{}`", folder.display()), e))?;
    let folder = folder.canonicalize().map_err(|e| Error::failed(what, e))?;
    let mut inside = fs::read_dir(&folder).map_err(|e| Error::failed(what, e))?;
    if inside.next().is_some() {
        return Err(Error::failed(what, format!("`{}` is not empty", folder.display())));
    }
    Ok(folder)
}
