//! The ground that attacks happen on: a folder of a target that may be touched, one beside it that may not.

use super::{Result_, Run};
use async_trait::async_trait;
use runner::sandbox::context::Machines;
use runner_fleet::{Error, Fleet, Sudo};
use runner_model::{Acting, Digest, Failure, RemotePath, TargetName};
use runner_transport::{Connection, Executes, Kex, Limits, RunPlace, SshTarget, Transport};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use tokio::sync::OnceCell;

/// Two hosts for all attacks of a test program: each attack has folders of its own. They end with the program.
static FLEET: LazyLock<Option<Fleet>> =
    LazyLock::new(|| match Fleet::builder(2).sudo(Sudo::Everything).start() {
        Ok(fleet) => Some(fleet),
        Err(Error::Missing(missing)) => {
            eprintln!("SKIPPED: hostile modules over SSH: {missing}");
            None
        }
        Err(failed) => panic!("the fleet does not start: {failed}"),
    });

/// How the targets are reached.
#[derive(Clone, Copy)]
pub(crate) enum Via {
    /// This machine, as whoever runs the tests.
    Local,
    /// Hosts of a fleet, as its deploy user.
    Ssh(&'static Fleet),
}

impl Via {
    /// Over SSH; `None`, and a word about it, where there is no sshd.
    pub(crate) fn ssh() -> Option<Self> {
        let via = FLEET.as_ref().map(Self::Ssh);
        if via.is_none() {
            eprintln!("SKIPPED: {}", std::thread::current().name().unwrap_or("a test"));
        }
        via
    }

    /// The folder that the ground is made in, as the target sees it.
    fn parent(self) -> PathBuf {
        match self {
            // Not below /tmp: an ancestor that anybody may write to is refused, as it should be.
            Self::Local => PathBuf::from(env!("CARGO_TARGET_TMPDIR")).canonicalize().expect("it is there"),
            Self::Ssh(fleet) => fleet.host(1).root(),
        }
    }

    /// Where this machine has a path of the target `web-1`.
    pub(crate) fn outside(self, path: &Path) -> PathBuf {
        match self {
            Self::Local => path.to_owned(),
            Self::Ssh(fleet) => fleet.host(1).outside(path),
        }
    }

    async fn connect(self, transport: &Transport, name: &str) -> Result<Arc<dyn Connection>, Failure> {
        let fleet = match self {
            Self::Local => return transport.local(name.parse().expect("a name"), None).await,
            Self::Ssh(fleet) => fleet,
        };
        let host = fleet.host(if name == "db-1" { 2 } else { 1 });
        let target = SshTarget {
            name: name.parse().expect("a name"),
            address: host.address().to_string(),
            user: Some(fleet.user().to_owned()),
            port: Some(host.ssh_address().port()),
            jump: None,
            config: None,
            known_hosts: Some(fleet.known_hosts()),
            identity: Some(fleet.identity()),
            kex: Kex::Fast,
            service_command: None,
        };
        transport.ssh(target).await
    }
}

/// The targets `web-1` and `db-1`, connected when they are first asked for.
struct There {
    via: Via,
    transport: Transport,
    place: RunPlace,
    web: OnceCell<Arc<dyn Connection>>,
    db: OnceCell<Arc<dyn Connection>>,
}

#[async_trait]
impl Machines for There {
    fn has(&self, name: &TargetName) -> bool {
        ["web-1", "db-1"].contains(&name.as_str())
    }

    async fn acting(
        &self,
        name: &TargetName,
        user: &Acting,
    ) -> Result<Arc<dyn runner_transport::Target>, Failure> {
        let slot = if name.as_str() == "db-1" { &self.db } else { &self.web };
        let connection = slot
            .get_or_try_init(|| async {
                let connection = self.via.connect(&self.transport, name.as_str()).await?;
                connection.begin(&self.place).await?;
                Ok::<_, Failure>(connection)
            })
            .await?;
        Ok(connection.acting(user))
    }
}

/// A folder that may be touched, one beside it that may not, and a step in between. Paths are the target's.
pub(crate) struct World {
    pub(crate) run: Run,
    pub(crate) via: Via,
    pub(crate) granted: PathBuf,
    pub(crate) secret: PathBuf,
    base: PathBuf,
    /// Who logs in.
    pub(crate) owner: u32,
}

impl World {
    /// `grants`: with `{granted}` and `{secret}` for the folders.
    pub(crate) async fn new(via: Via, grants: &[&str]) -> Self {
        Self::with_root(via, grants, true).await
    }

    /// The same; `has_root`: whether the granted folder is the release root, or the plan has none.
    pub(crate) async fn with_root(via: Via, grants: &[&str], has_root: bool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let parent = via.parent();
        let owner = fs::metadata(via.outside(&parent)).expect("it is there").uid();
        let base = parent.join(format!("world-{}-{number}", std::process::id()));
        let (granted, secret) = (base.join("granted"), base.join("granted-not"));
        let fill = |text: &&str| {
            text.replace("{granted}", &granted.to_string_lossy())
                .replace("{secret}", &secret.to_string_lossy())
        };
        let grants: Vec<String> = grants.iter().map(fill).collect();
        let mut run = Run::granted(&grants.iter().map(String::as_str).collect::<Vec<_>>(), &[], &[]);
        run.reserved = vec![remote(&granted.join(".runner"))];
        let place = RunPlace {
            root: has_root.then(|| remote(&granted)),
            plan: "shop".to_owned(),
            run: "r-7".parse().expect("a run"),
            executes: Executes { plan: Digest::of("plan"), lock: Digest::of("lock") },
            who: String::new(),
            made_at: String::new(),
        };
        let transport = Transport::new(run.store(), Limits::default());
        let there = There { via, transport, place, web: OnceCell::new(), db: OnceCell::new() };
        run.machines = Arc::new(there);
        let world = Self { run, via, granted, secret, base, owner };
        for folder in [&world.base, &world.granted, &world.secret] {
            world.mkdir(folder);
        }
        world.write(world.secret.join("key"), "hunter2");
        world.write(world.granted.join("file"), "hello\n");
        world
    }

    /// Both, below the folder only.
    pub(crate) async fn read_write(via: Via) -> Self {
        Self::new(via, &["read:{granted}", "write:{granted}"]).await
    }

    pub(crate) fn in_granted(&self, path: &str) -> String {
        self.granted.join(path).to_string_lossy().into_owned()
    }

    pub(crate) fn in_secret(&self, path: &str) -> String {
        self.secret.join(path).to_string_lossy().into_owned()
    }

    /// Where this machine has a path of the target.
    pub(crate) fn outside(&self, path: impl AsRef<Path>) -> PathBuf {
        self.via.outside(path.as_ref())
    }

    fn own(&self, path: &Path) {
        lchown(path, Some(self.owner), Some(self.owner)).expect("given to the one who logs in");
    }

    /// Makes a folder of whoever logs in.
    pub(crate) fn mkdir(&self, path: impl AsRef<Path>) {
        let path = self.outside(path);
        fs::create_dir(&path).expect("a folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        self.own(&path);
    }

    /// Writes a file of whoever logs in.
    pub(crate) fn write(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.outside(path);
        fs::write(&path, text).expect("a file");
        self.own(&path);
    }

    /// Makes a link of whoever logs in.
    pub(crate) fn link(&self, points_to: impl AsRef<Path>, at: impl AsRef<Path>) {
        let at = self.outside(at);
        symlink(points_to, &at).expect("a link");
        self.own(&at);
    }

    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.outside(path)).expect("a file")
    }

    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.outside(path).exists()
    }

    pub(crate) fn mode(&self, path: impl AsRef<Path>) -> u32 {
        fs::metadata(self.outside(path)).expect("it is there").permissions().mode() & 0o7777
    }

    /// Gives it to another user.
    pub(crate) fn give(&self, path: impl AsRef<Path>, owner: u32) {
        lchown(self.outside(path), Some(owner), Some(owner)).expect("given away");
    }

    pub(crate) fn set_mode(&self, path: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(self.outside(path), fs::Permissions::from_mode(mode)).expect("a mode");
    }

    pub(crate) fn owner_of(&self, path: impl AsRef<Path>) -> u32 {
        fs::symlink_metadata(self.outside(path)).expect("it is there").uid()
    }

    pub(crate) async fn calls(&self, calls: Value) -> Result_ {
        self.run.calls(calls).await
    }

    /// Nothing of the folder that is not granted was read, changed or added to.
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(self.read(self.secret.join("key")), "hunter2");
        let secret = self.outside(&self.secret);
        assert_eq!(fs::read_dir(&secret).expect("still there").count(), 1);
        assert_eq!(self.mode(&self.secret), 0o755);
        assert_eq!(self.mode(self.secret.join("key")) & 0o022, 0);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.outside(&self.base));
    }
}

pub(crate) fn remote(path: &Path) -> RemotePath {
    path.to_string_lossy().parse().expect("a path")
}
