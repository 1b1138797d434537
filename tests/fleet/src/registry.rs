//! A throw-away OCI registry: Debian's `docker-registry`, which knows no referrers, with users and TLS where a test wants
//! them. What it stores lies in a folder, so that a test can change it behind its back.

use crate::needs::find_program;
use crate::{Error, Missing, process};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often another port is tried, when somebody took the one that was free a moment ago.
const PORTS: usize = 5;

/// What a registry is to be like.
#[derive(Debug, Clone, Default)]
pub struct RegistryBuilder {
    tls: bool,
    users: Vec<(String, String)>,
}

impl RegistryBuilder {
    /// It speaks TLS, with a certificate for `localhost` and `127.0.0.1` that an authority of its own has signed.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Only this user, and others who are named so, may use it.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Starts it and returns when it answers.
    ///
    /// # Errors
    /// [`Error::Missing`] when the machine lacks a program, else what failed.
    pub fn start(self) -> Result<Registry, Error> {
        let mut needed = vec![("docker-registry", "docker-registry"), ("setsid", "util-linux")];
        needed.extend(self.tls.then_some(("openssl", "openssl")));
        needed.extend((!self.users.is_empty()).then_some(("htpasswd", "apache2-utils")));
        let missing: Vec<_> =
            needed.into_iter().filter(|(program, _)| find_program(program).is_none()).collect();
        if !missing.is_empty() {
            return Err(Missing::programs("a registry", &missing).into());
        }
        let io = |error: std::io::Error| Error::failed("start a registry", error);
        let folder = tempfile::Builder::new().prefix("runner-registry-").tempdir().map_err(io)?.keep();
        let mut users = String::new();
        for (name, password) in &self.users {
            let mut command = Command::new("htpasswd");
            let line = process::run("make a user", command.args(["-nbB", name, password]))?;
            users.push_str(String::from_utf8_lossy(&line.stdout).trim());
            users.push('\n');
        }
        fs::write(folder.join("users"), users).map_err(io)?;
        if self.tls {
            certificate(&folder)?;
        }
        let mut registry = Registry { folder, port: 0, users: self.users, tls: self.tls, child: None };
        registry.start()?;
        Ok(registry)
    }
}

/// A registry that runs, and ends when it is dropped, or its owner is killed.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    port: u16,
    tls: bool,
    users: Vec<(String, String)>,
    child: Option<Child>,
}

impl Registry {
    /// A registry that anybody may use, without TLS.
    ///
    /// # Errors
    /// As [`RegistryBuilder::start`].
    pub fn start_plain() -> Result<Self, Error> {
        Self::builder().start()
    }

    /// For a registry with something special about it.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// What it is called in references: `127.0.0.1:PORT`.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate of its authority, in PEM.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A folder for `DOCKER_CONFIG`, in which its first user is logged in.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn docker_config(&self) -> Result<PathBuf, Error> {
        let folder = self.folder.join("docker");
        let (name, password) = self.users.first().map_or(("", ""), |(name, password)| (name, password));
        let config = format!(
            "{{\"auths\": {{\"{}\": {{\"auth\": \"{}\"}}}}}}\n",
            self.authority(),
            STANDARD.encode(format!("{name}:{password}"))
        );
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("config.json"), config))
            .map_err(|error| Error::failed("log in", error))?;
        Ok(folder)
    }

    /// The file with the content of that digest (`sha256:` and 64 digits), be it a manifest or a layer.
    pub fn content(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let prefix = hex.get(..2).unwrap_or_default();
        self.folder.join("storage/docker/registry/v2/blobs/sha256").join(prefix).join(hex).join("data")
    }

    /// The file with the digest that a tag names.
    pub fn tag(&self, path: &str, tag: &str) -> PathBuf {
        let repositories = self.folder.join("storage/docker/registry/v2/repositories");
        repositories.join(path).join("_manifests/tags").join(tag).join("current/link")
    }

    /// Ends it. What it stored stays.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }

    /// Starts it again after [`Registry::stop`], on another port.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&mut self) -> Result<(), Error> {
        for _ in 0..PORTS {
            if self.try_port()? {
                return Ok(());
            }
        }
        Err(Error::failed("start a registry", "every port is taken"))
    }

    /// `false`: somebody took the port.
    fn try_port(&mut self) -> Result<bool, Error> {
        const WHAT: &str = "start a registry";
        let io = |error: std::io::Error| Error::failed(WHAT, error);
        let free = TcpListener::bind("127.0.0.1:0").map_err(io)?;
        self.port = free.local_addr().map_err(io)?.port();
        drop(free);
        let at = self.folder.display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {at}/storage}}, delete: {{enabled: true}}}}\n\
             http:\n  addr: 127.0.0.1:{}\n  secret: of a test\n",
            self.port
        );
        if self.tls {
            config.push_str(&format!("  tls: {{certificate: {at}/cert.pem, key: {at}/key.pem}}\n"));
        }
        if !self.users.is_empty() {
            config.push_str(&format!("auth: {{htpasswd: {{realm: a test, path: {at}/users}}}}\n"));
        }
        let file = self.folder.join("config.yml");
        fs::write(&file, config).map_err(io)?;
        let log = self.folder.join("log");
        // It ends when the pipe closes, which it does however its owner ends.
        let script =
            "docker-registry serve \"$1\" < /dev/null & child=$!; cat > /dev/null; kill -KILL $child; wait";
        let file = file.to_string_lossy();
        self.child = Some(process::dependent(WHAT, &["sh", "-c", script, "registry", &file], &log)?);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            if said.contains("address already in use") {
                self.stop();
                return Ok(false);
            }
            if said.contains("level=fatal") || said.contains("panic") || started.elapsed() > crate::PATIENCE {
                return Err(Error::failed(WHAT, said));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An authority, and what it signs for this machine.
fn certificate(folder: &Path) -> Result<(), Error> {
    const CURVE: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
    fs::write(folder.join("names"), names).map_err(|error| Error::failed("make a certificate", error))?;
    for arguments in [
        format!("req -x509 {CURVE} -days 2 -subj /CN=an-authority-of-a-test -keyout ca.key -out ca.pem"),
        format!("req {CURVE} -subj /CN=localhost -keyout key.pem -out request.pem"),
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem"
            .to_owned(),
    ] {
        let mut command = Command::new("openssl");
        command.current_dir(folder).args(arguments.split(' ')).stdin(Stdio::null());
        process::run("make a certificate", &mut command)?;
    }
    Ok(())
}
