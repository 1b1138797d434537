//! What the machine must have for a fleet, and how to say that it has not.

use std::fmt;
use std::path::{Path, PathBuf};

const FLEET: &str = "a fleet of real hosts";

/// What the machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What cannot be had.
    of: &'static str,
    what: Vec<String>,
    packages: Vec<&'static str>,
}

impl Missing {
    pub(crate) fn root(what: &str) -> Self {
        Self { of: FLEET, what: vec![format!("root, for {what}")], packages: Vec::new() }
    }

    /// Programs, with the packages that have them.
    pub(crate) fn programs(of: &'static str, programs: &[(&str, &'static str)]) -> Self {
        let what = programs.iter().map(|(program, _)| format!("`{program}`")).collect();
        Self { of, what, packages: programs.iter().map(|(_, package)| *package).collect() }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs {}", self.of, self.what.join(", "))?;
        if !self.packages.is_empty() {
            write!(f, " (hint: `apt-get install {}`)", self.packages.join(" "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Missing {}

/// The programs that a fleet is made of.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) root: bool,
    /// Who runs this.
    pub(crate) user: String,
    /// `None` for local targets.
    pub(crate) ssh: Option<Ssh>,
    /// Whether python3 serves files in the place of nginx.
    pub(crate) python: bool,
}

/// OpenSSH's programs.
#[derive(Debug)]
pub(crate) struct Ssh {
    pub(crate) sshd: PathBuf,
    pub(crate) keygen: PathBuf,
}

impl Tools {
    pub(crate) fn find() -> Result<Self, Missing> {
        let root = rustix::process::geteuid().is_root();
        let mut missing = Missing { of: FLEET, what: Vec::new(), packages: Vec::new() };
        let mut need = |program: &str, package| {
            let found = find_program(program);
            if found.is_none() {
                missing.what.push(format!("`{program}`"));
                if !missing.packages.contains(&package) {
                    missing.packages.push(package);
                }
            }
            found.unwrap_or_default()
        };
        let sshd = need("sshd", "openssh-server");
        let keygen = need("ssh-keygen", "openssh-client");
        need("ssh", "openssh-client");
        need("nginx", "nginx-light");
        need("setsid", "util-linux");
        if root {
            need("sudo", "sudo");
            need("unshare", "util-linux");
            need("nsenter", "util-linux");
        }
        if root && missing.what.is_empty() && !may_have_namespaces() {
            missing.what.push("namespaces, which this machine or container refuses".to_owned());
        }
        if !missing.what.is_empty() {
            return Err(missing);
        }
        Ok(Self { root, user: user_name(), ssh: Some(Ssh { sshd, keygen }), python: false })
    }

    /// Local targets have no namespaces, whoever runs this, and are content with less.
    pub(crate) fn find_local() -> Result<Self, Missing> {
        let python = find_program("nginx").is_none();
        if python && find_program("python3").is_none() {
            return Err(Missing {
                of: FLEET,
                what: vec!["`nginx` or `python3`".to_owned()],
                packages: vec!["nginx-light"],
            });
        }
        Ok(Self { root: false, user: user_name(), ssh: None, python })
    }
}

fn may_have_namespaces() -> bool {
    std::process::Command::new("unshare")
        .args(["--mount", "--pid", "--uts", "--fork", "mount", "-t", "proc", "proc", "/proc"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The same places as in `PATH`, and where Debian puts servers.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(servers).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn user_name() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    std::fs::read_to_string(Path::new("/etc/passwd"))
        .unwrap_or_default()
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&uid.as_str()))
        .and_then(|fields| fields.first().map(|name| (*name).to_owned()))
        .or_else(|| std::env::var("USER").ok())
        .unwrap_or(uid)
}
