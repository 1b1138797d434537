//! Single grants and lists of them.

use super::files::{self, Files};
use super::http::{self, Requests};
use super::secrets::{self, Secrets};
use super::ssh::{self, Verb};
use super::words::Why;
use super::{capability, shell};
use crate::template::Scope;
use crate::{EffectClass, RemotePath, ServiceAction};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which list a grant is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum List {
    /// What may be done on targets.
    Ssh,
    /// Which files beside the plan may be used.
    Files,
    /// Which requests may be sent.
    Http,
    /// Which secrets may be used.
    Secrets,
}

impl List {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Ssh, Self::Files, Self::Http, Self::Secrets];

    /// The key that the list has.
    pub fn key(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Files => "files",
            Self::Http => "http",
            Self::Secrets => "secrets",
        }
    }
}

/// Text that is no grant, or a grant that the values at hand make none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a grant: {why}", .grant.escape_debug())]
pub struct GrantError {
    /// The text.
    pub grant: String,
    /// What is wrong.
    pub why: String,
    /// What helps.
    pub hint: Option<String>,
}

impl GrantError {
    pub(super) fn new(grant: impl fmt::Display, why: Why) -> Self {
        Self { grant: grant.to_string().chars().take(500).collect(), why: why.why, hint: why.hint }
    }
}

/// The longest text that is read as a grant.
const LONGEST: usize = 64 * 1024;

/// Refuses what nobody would review.
pub(super) fn check_length(text: &str) -> Result<(), Why> {
    match text.len() > LONGEST {
        true => Err(Why::new(format!("it is longer than {LONGEST} bytes"))),
        false => Ok(()),
    }
}

macro_rules! grant {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $shape:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(pub(super) $inner);

        impl $name {
            /// Fills in what the scope knows; what is symbolic stays.
            ///
            /// # Errors
            /// A reference that is unknown, and a value that does not fit into its place.
            pub fn resolve(&self, scope: &dyn Scope) -> Result<Self, GrantError> {
                self.0.resolve(scope).map(Self).map_err(|why| GrantError::new(self, why))
            }

            /// Whether something in it is not known yet. Such a grant covers nothing.
            pub fn is_symbolic(&self) -> bool {
                self.0.is_symbolic()
            }
        }

        impl FromStr for $name {
            type Err = GrantError;

            fn from_str(text: &str) -> Result<Self, GrantError> {
                check_length(text)
                    .and_then(|()| <$shape>::parse(text))
                    .and_then(|shape| <$inner>::new(&shape))
                    .map(Self)
                    .map_err(|why| GrantError::new(text, why))
            }
        }

        impl TryFrom<String> for $name {
            type Error = GrantError;

            fn try_from(text: String) -> Result<Self, GrantError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(grant: $name) -> Self {
                grant.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

grant!(/** What a step may do on targets. */ SshGrant, Verb, ssh::Shape<crate::template::Reference>);
grant!(/** Which files beside the plan a step may use. */ FileGrant, Files, files::Shape<crate::template::Reference>);
grant!(/** Which requests a step may send. */ HttpGrant, Requests, http::Shape<crate::template::Reference>);
grant!(/** Which secrets a step may use. */ SecretGrant, Secrets, secrets::Shape<crate::template::Reference>);

impl SecretGrant {
    /// The secret of this name, from this source.
    pub fn one(name: crate::SecretName, source: &crate::plan::SecretSource) -> Self {
        Self(Secrets::one(name, source))
    }
}

impl SshGrant {
    /// Becoming this user: what `become` in a plan or an inventory adds to the lock.
    pub fn become_user(user: &crate::UserName) -> Self {
        Self(Verb::As(super::bound::Choice::Is(super::bound::Bound::Now(user.clone()))))
    }

    /// The class of the commands that it allows; `None` for what is no command.
    pub fn class(&self) -> Option<EffectClass> {
        match &self.0 {
            Verb::Exec(exec) => Some(exec.class),
            _ => None,
        }
    }

    /// Whether it lets a step write to a path.
    pub fn is_write(&self) -> bool {
        matches!(self.0, Verb::Write(_))
    }

    /// Whether it lets a step read or write a path.
    pub fn is_of_path(&self) -> bool {
        matches!(self.0, Verb::Read(_) | Verb::Write(_))
    }

    /// Whether it lets a step ask a service for something.
    pub fn is_of_service(&self) -> bool {
        matches!(self.0, Verb::Service { .. })
    }

    /// The unit and the action, where it names one of each and the unit is known.
    pub fn service(&self) -> Option<(&str, ServiceAction)> {
        self.0.one_service()
    }

    /// Whether whoever has it can change nothing with it.
    pub fn only_reads(&self) -> bool {
        self.0.only_reads()
    }

    /// Whether whoever has it can run anything, as far as that can be told from the text.
    pub fn equals_a_shell(&self) -> bool {
        match &self.0 {
            Verb::Exec(exec) => exec.equals_a_shell(),
            Verb::Socket { path, .. } => path.now().is_some_and(shell::socket_runs_programs),
            _ => false,
        }
    }

    /// Whether it is `as:USER`.
    pub fn is_become(&self) -> bool {
        matches!(self.0, Verb::As(_))
    }

    /// The path that it lets a step read, once it is known.
    pub fn reads(&self) -> Option<&RemotePath> {
        match &self.0 {
            Verb::Read(path) => path.now(),
            _ => None,
        }
    }

    /// The socket that it lets a step speak to, once it is known.
    pub fn socket(&self) -> Option<&RemotePath> {
        match &self.0 {
            Verb::Socket { path, .. } => path.now(),
            _ => None,
        }
    }

    /// The path that it lets a step write to, once it is known.
    pub fn writes(&self) -> Option<&RemotePath> {
        match &self.0 {
            Verb::Write(path) => path.now(),
            _ => None,
        }
    }
}

/// All that is granted. A list that is left out is empty, and an empty list denies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantSet {
    /// What may be done on targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<SshGrant>,
    /// Which files beside the plan may be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileGrant>,
    /// Which requests may be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpGrant>,
    /// Which secrets may be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretGrant>,
}

impl GrantSet {
    /// Whether whoever has all of it can change nothing, neither on targets nor here nor by a request.
    pub fn only_reads(&self) -> bool {
        self.ssh.iter().all(SshGrant::only_reads)
            && self.files.iter().all(|grant| !grant.0.write)
            && self.http.iter().all(|grant| grant.0.class == EffectClass::Read)
    }

    /// Reads lists of grants.
    ///
    /// # Errors
    /// The first text that is none.
    pub fn from_lists<'a>(
        ssh: impl IntoIterator<Item = &'a str>,
        files: impl IntoIterator<Item = &'a str>,
        http: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, GrantError> {
        Ok(Self {
            ssh: ssh.into_iter().map(str::parse).collect::<Result<_, _>>()?,
            files: files.into_iter().map(str::parse).collect::<Result<_, _>>()?,
            http: http.into_iter().map(str::parse).collect::<Result<_, _>>()?,
            secrets: Vec::new(),
        })
    }

    /// The same with these secrets.
    ///
    /// # Errors
    /// The first text that is none.
    pub fn with_secrets<'a>(self, secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, GrantError> {
        let secrets = secrets.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { secrets, ..self })
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.ssh.is_empty() && self.files.is_empty() && self.http.is_empty() && self.secrets.is_empty()
    }

    /// Fills in what the scope knows; what is symbolic stays.
    ///
    /// # Errors
    /// A reference that is unknown, and a value that does not fit into its place.
    pub fn resolve(&self, scope: &dyn Scope) -> Result<Self, GrantError> {
        Ok(Self {
            ssh: self.ssh.iter().map(|grant| grant.resolve(scope)).collect::<Result<_, _>>()?,
            files: self.files.iter().map(|grant| grant.resolve(scope)).collect::<Result<_, _>>()?,
            http: self.http.iter().map(|grant| grant.resolve(scope)).collect::<Result<_, _>>()?,
            secrets: self.secrets.iter().map(|grant| grant.resolve(scope)).collect::<Result<_, _>>()?,
        })
    }

    /// The texts of all grants, with the list that each is in.
    pub fn texts(&self) -> Vec<(List, String)> {
        let ssh = self.ssh.iter().map(|grant| (List::Ssh, grant.to_string()));
        let files = self.files.iter().map(|grant| (List::Files, grant.to_string()));
        let http = self.http.iter().map(|grant| (List::Http, grant.to_string()));
        let secrets = self.secrets.iter().map(|grant| (List::Secrets, grant.to_string()));
        ssh.chain(files).chain(http).chain(secrets).collect()
    }

    /// Whether one of the grants lets a step run anything, as far as that can be told from the texts.
    pub fn equals_a_shell(&self) -> bool {
        self.ssh.iter().any(SshGrant::equals_a_shell)
    }

    /// What a reviewer should know of some of the grants, with the text of each.
    pub fn labels(&self, user: &str) -> Vec<(String, String)> {
        let ssh = self.ssh.iter().filter_map(|grant| {
            let label = match &grant.0 {
                Verb::Exec(exec) if exec.equals_a_shell() => format!("equals a shell as {user}"),
                Verb::Write(path) if path.now().is_some_and(shell::changes_what_runs) => {
                    format!("equals a shell as {user}, where {user} may write there")
                }
                Verb::Socket { path, .. } if path.now().is_some_and(shell::socket_runs_programs) => {
                    "equals a shell as root".to_owned()
                }
                Verb::Socket { class: EffectClass::Opaque, .. } => {
                    "opaque: what is said there can be neither previewed nor undone".to_owned()
                }
                Verb::Read(path) if path.now() == Some(&RemotePath::root()) => {
                    format!("reads all that {user} may read")
                }
                _ => return None,
            };
            Some((grant.to_string(), label))
        });
        let http = self.http.iter().filter_map(|grant| {
            let host = grant.0.any_host()?;
            Some((grant.to_string(), format!("speaks to whatever host `${{{host}}}` names")))
        });
        // Whoever runs a command with a secret, or reads where it was written, has the value.
        let opens = match (self.ssh.iter().any(|grant| grant.class().is_some()), self.equals_a_shell()) {
            (true, true) => Some("the step can read it: it runs commands of its choice"),
            (true, false) => Some("the step can read it where one of its commands shows it"),
            (false, _) if self.reads_what_it_writes() => {
                Some("the step can read it: it may read where it may write it")
            }
            (false, _) => None,
        };
        let secrets = self.secrets.iter().filter_map(|grant| Some((grant.to_string(), opens?.to_owned())));
        ssh.chain(http).chain(secrets).collect()
    }

    /// Whether something that it may write it may also read.
    fn reads_what_it_writes(&self) -> bool {
        let paths = |bound: fn(&Verb) -> Option<Option<&RemotePath>>| {
            self.ssh.iter().filter_map(move |grant| bound(&grant.0)).collect::<Vec<_>>()
        };
        let reads = paths(|verb| match verb {
            Verb::Read(path) => Some(path.now()),
            _ => None,
        });
        let writes = paths(|verb| match verb {
            Verb::Write(path) => Some(path.now()),
            _ => None,
        });
        // What is not known yet could be the same.
        let meet = |a: &Option<&RemotePath>, b: &Option<&RemotePath>| match (a, b) {
            (Some(a), Some(b)) => a.is_within(b) || b.is_within(a),
            _ => true,
        };
        reads.iter().any(|read| writes.iter().any(|write| meet(read, write)))
    }

    /// Takes away what stands there twice; the order stays.
    pub(super) fn without_repetitions(mut self) -> Self {
        capability::keep_first(&mut self.ssh);
        capability::keep_first(&mut self.files);
        capability::keep_first(&mut self.http);
        capability::keep_first(&mut self.secrets);
        self
    }
}
