//! Credentials for registries, from where Docker and Podman keep them.
//!
//! The files, in this order, and the first that knows the registry: `REGISTRY_AUTH_FILE`; `$DOCKER_CONFIG/config.json` or
//! `~/.docker/config.json`; `$XDG_RUNTIME_DIR/containers/auth.json`; `$XDG_CONFIG_HOME/containers/auth.json` or
//! `~/.config/containers/auth.json`. In a file: the helper of the registry (`credHelpers`), then what is written in `auths`,
//! then the helper for all (`credsStore`). A key of `auths` may be a registry, or one with the start of a path
//! (`registry.example.org/ops`): the longest that fits is used.
//!
//! A helper is the program `docker-credential-NAME`; it is asked when a registry wants to know who we are, and not before.
//! Nothing that it prints is shown, but for why it fails.

use crate::error::{Error, line};
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use runner_model::oci::Repository;
use runner_model::text::shown;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

/// The largest file of credentials that is read.
const FILE_MAX: u64 = 4 * 1024 * 1024;
/// The most that a helper may print.
const HELPER_MAX: u64 = 256 * 1024;
/// How long a helper may take: it may ask its user.
const HELPER_TIME: Duration = Duration::from_secs(60);
/// What helpers say when they have nothing: a part of their protocol.
const HELPER_HAS_NONE: &str = "credentials not found";
/// The user that a helper names when what it has is a token.
const TOKEN_USER: &str = "<token>";

/// Where credentials are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    files: Vec<PathBuf>,
    path: Option<OsString>,
}

impl Credentials {
    /// What the environment says: the files of Docker and of Podman.
    pub fn from_environment() -> Self {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = folder("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let files = [
            folder("REGISTRY_AUTH_FILE"),
            folder("DOCKER_CONFIG").or_else(|| below_home(".docker")).map(|at| at.join("config.json")),
            folder("XDG_RUNTIME_DIR").map(|at| at.join("containers/auth.json")),
            folder("XDG_CONFIG_HOME")
                .or_else(|| below_home(".config"))
                .map(|at| at.join("containers/auth.json")),
        ];
        Self { files: files.into_iter().flatten().collect(), path: None }
    }

    /// Nobody's: everything is asked for without a name.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those in these files; one that does not exist has none.
    pub fn from_files(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { files: files.into_iter().collect(), path: None }
    }

    /// Where helpers are looked for, in the place of `PATH`.
    #[must_use]
    pub fn helpers_in(mut self, path: impl Into<OsString>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// What there is for a repository, and where it is from.
    pub(crate) async fn find(&self, repository: &Repository) -> Result<(Secret, Source), Error> {
        for file in &self.files {
            let fail = |why: String, mend: &str| Error::Credentials {
                registry: repository.registry().to_owned(),
                why,
                mend: mend.to_owned(),
            };
            let Some(config) = read(file).map_err(|why| fail(why, "mend the file, or log in again"))? else {
                continue;
            };
            let found = match config.choose(repository) {
                Choice::Nothing => None,
                Choice::Entry(key, entry) => {
                    let at = format!("`auths.\"{}\"` of `{}`", shown(key), shown(&file.to_string_lossy()));
                    let secret =
                        entry.secret().map_err(|why| fail(format!("{at}: {why}"), "log in again"))?;
                    secret.map(|secret| (secret, at))
                }
                Choice::Helper(name) => self
                    .ask(name, repository)
                    .await
                    .map_err(|why| {
                        let mend = format!(
                            "it is named in `{}`: install it, unlock what it reads, or log in again",
                            shown(&file.to_string_lossy())
                        );
                        fail(format!("`docker-credential-{}`: {why}", shown(name)), &mend)
                    })?
                    .map(|secret| (secret, format!("`docker-credential-{}`", shown(name)))),
            };
            if let Some((secret, place)) = found {
                let source = Source::Found { user: secret.user().map(str::to_owned), place };
                return Ok((secret, source));
            }
        }
        Ok((Secret::None, Source::Nowhere { looked_in: self.files.clone() }))
    }

    /// Asks a helper; `None` when it has nothing.
    async fn ask(&self, name: &str, repository: &Repository) -> Result<Option<Secret>, String> {
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
            return Err("a helper's name has letters, digits, `.`, `_` and `-`".to_owned());
        }
        let mut command = tokio::process::Command::new(format!("docker-credential-{name}"));
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("it does not start: {error}"))?;
        let key = if repository.registry() == "docker.io" { DOCKER_HUB_KEY } else { repository.registry() };
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let work = async {
            let (mut out, mut err) = (Zeroizing::new(Vec::new()), Vec::new());
            let write = async {
                if let Some(mut stdin) = stdin {
                    // One that does not read its question answers all the same, or fails with a word of its own.
                    let _ = stdin.write_all(key.as_bytes()).await;
                }
            };
            let read_out = async {
                match stdout {
                    Some(stdout) => stdout.take(HELPER_MAX).read_to_end(&mut out).await,
                    None => Ok(0),
                }
            };
            let read_err = async {
                match stderr {
                    Some(stderr) => stderr.take(HELPER_MAX).read_to_end(&mut err).await,
                    None => Ok(0),
                }
            };
            let ((), read, errors) = tokio::join!(write, read_out, read_err);
            read.and(errors).map_err(|error| error.to_string())?;
            let status = child.wait().await.map_err(|error| error.to_string())?;
            Ok::<_, String>((status, out, err))
        };
        let (status, out, err) = tokio::time::timeout(HELPER_TIME, work)
            .await
            .map_err(|_| format!("it does not answer within {} s", HELPER_TIME.as_secs()))??;
        if out.len() as u64 == HELPER_MAX || err.len() as u64 == HELPER_MAX {
            return Err(format!("it prints more than {} KiB", HELPER_MAX / 1024));
        }
        if !status.success() {
            // Helpers print what is wrong to either.
            let text = [out.as_slice(), err.as_slice()].concat();
            let text = String::from_utf8_lossy(&text);
            if text.contains(HELPER_HAS_NONE) {
                return Ok(None);
            }
            return Err(format!("it fails ({status}): {}", line(text.trim())));
        }
        // Not why: that would show a part of what it printed.
        let answer: Answer =
            serde_json::from_slice(&out).map_err(|_| "its answer is not the JSON of a helper".to_owned())?;
        Ok(Some(if answer.username == TOKEN_USER {
            Secret::Identity(answer.secret)
        } else {
            Secret::Password(answer.username, answer.secret)
        }))
    }
}

/// Which credentials were used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// None, since none were found.
    Nowhere {
        /// The files that were looked for.
        looked_in: Vec<PathBuf>,
    },
    /// These.
    Found {
        /// Whose; `None` for a token.
        user: Option<String>,
        /// Where they are from: a key of a file, or a helper.
        place: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere { looked_in } if looked_in.is_empty() => f.write_str("without credentials"),
            Self::Nowhere { looked_in } => {
                let files: Vec<_> =
                    looked_in.iter().map(|at| format!("`{}`", shown(&at.to_string_lossy()))).collect();
                write!(f, "without credentials (there are none for it in {})", files.join(", "))
            }
            Self::Found { user: Some(user), place } => write!(f, "as `{}` of {place}", shown(user)),
            Self::Found { user: None, place } => write!(f, "with the token of {place}"),
        }
    }
}

/// What proves who we are.
pub(crate) enum Secret {
    None,
    Password(String, Zeroizing<String>),
    /// Exchanged for a token of a repository, at the registry's token service.
    Identity(Zeroizing<String>),
    /// Sent to the registry as it is.
    Bearer(Zeroizing<String>),
}

impl Secret {
    fn user(&self) -> Option<&str> {
        match self {
            Self::Password(user, _) => Some(user),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: Zeroizing<String>,
}

/// What is read of a file; there is much else in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
struct Entry {
    auth: Option<Zeroizing<String>>,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
    identitytoken: Option<Zeroizing<String>>,
    registrytoken: Option<Zeroizing<String>>,
}

enum Choice<'c> {
    Nothing,
    Entry(&'c str, &'c Entry),
    Helper(&'c str),
}

/// The file's content; `None` when there is no file.
fn read(file: &Path) -> Result<Option<Config>, String> {
    let name = shown(&file.to_string_lossy()).into_owned();
    let mut text = Zeroizing::new(Vec::new());
    match std::fs::File::open(file) {
        Ok(opened) => {
            opened.take(FILE_MAX).read_to_end(&mut text).map_err(|error| format!("`{name}`: {error}"))?
        }
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(format!("`{name}`: {error}")),
    };
    // Only the place: the message may quote a secret.
    let config = serde_json::from_slice(&text).map_err(|error| {
        format!("`{name}`, line {}, column {}: it is not what Docker writes", error.line(), error.column())
    })?;
    Ok(Some(config))
}

/// Docker's key for its own registry.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

impl Config {
    fn choose(&self, repository: &Repository) -> Choice<'_> {
        let registry = repository.registry();
        let helper = self.cred_helpers.iter().find(|(key, name)| place(key) == registry && !name.is_empty());
        if let Some((_, name)) = helper {
            return Choice::Helper(name);
        }
        let whole = repository.to_string();
        let fits =
            |key: &str| whole.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let entry = self.auths.iter().filter(|(key, entry)| fits(place(key)) && !entry.is_empty());
        if let Some((key, entry)) = entry.max_by_key(|(key, _)| place(key).len()) {
            return Choice::Entry(key, entry);
        }
        match &self.creds_store {
            Some(name) if !name.is_empty() => Choice::Helper(name),
            _ => Choice::Nothing,
        }
    }
}

/// What a key is about: `https://registry.example.org/v1/` is about `registry.example.org`; a path counts without a scheme.
fn place(key: &str) -> &str {
    let place = match key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => key.trim_end_matches('/'),
    };
    match place {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        place => place,
    }
}

impl Entry {
    /// Docker leaves empty entries where a helper has the secret.
    fn is_empty(&self) -> bool {
        let empty = |text: &Option<Zeroizing<String>>| text.as_ref().is_none_or(|text| text.is_empty());
        [&self.auth, &self.password, &self.identitytoken, &self.registrytoken].into_iter().all(empty)
    }

    fn secret(&self) -> Result<Option<Secret>, String> {
        let some = |text: &Option<Zeroizing<String>>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = some(&self.registrytoken) {
            return Ok(Some(Secret::Bearer(token)));
        }
        if let Some(token) = some(&self.identitytoken) {
            return Ok(Some(Secret::Identity(token)));
        }
        if let Some(auth) = some(&self.auth) {
            let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let decoded =
                GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(auth.trim().as_bytes());
            let decoded = Zeroizing::new(decoded.map_err(|_| "`auth` is not Base64".to_owned())?);
            let text = std::str::from_utf8(&decoded).map_err(|_| "`auth` is not UTF-8".to_owned())?;
            let (user, password) =
                text.split_once(':').ok_or_else(|| "`auth` is not a user, `:` and a password".to_owned())?;
            let password = Zeroizing::new(password.trim_end_matches('\0').to_owned());
            return Ok(Some(Secret::Password(user.to_owned(), password)));
        }
        Ok(match (&self.username, some(&self.password)) {
            (Some(user), Some(password)) => Some(Secret::Password(user.clone(), password)),
            _ => None,
        })
    }
}

#[cfg(test)]
#[path = "credentials/tests.rs"]
mod tests;
