//! What a step asks for, as the layers see it.

use super::argv::check_program;
use super::files::WorkspacePath;
use super::http::{is_method, usual_class};
use super::origin::{Authority, parse_url};
use super::set::List;
use super::ssh::{class_word, is_unit};
use super::words::quoted;
use crate::template::{Template, escape};
use crate::{
    Change, Command, EffectClass, Exchange, Failure, RemotePath, Request, SecretName, ServiceAction,
    TargetName, UserName,
};
use std::collections::BTreeMap;
use std::fmt;
use url::Url;

/// What a step asks for. Borrowed from the call: an ask is made, checked and forgotten.
#[derive(Debug, Clone, Copy)]
pub enum Ask<'a> {
    /// To read one path: `stat`, `read`, `read-dir`, `read-link`, `disk-free`, the digest of a file.
    Read(&'a RemotePath),
    /// To read a path and all below it: `fetch`, `digest` of a folder, what `archive` packs, what `unpack` reuses, what
    /// `unarchive` takes.
    ReadTree(&'a RemotePath),
    /// To change one path.
    Write(&'a RemotePath),
    /// To change a path and all below it: `remove-tree`, `unpack`, `unarchive`, both ends of `rename`.
    WriteTree(&'a RemotePath),
    /// To ask the init system.
    Service {
        /// The unit, as the step names it.
        unit: &'a str,
        /// What is asked.
        action: ServiceAction,
    },
    /// To look whether a unit runs.
    ServiceState {
        /// The unit, as the step names it.
        unit: &'a str,
    },
    /// To use a target other than the current one.
    Target(&'a TargetName),
    /// To act as this user. Asked by the host for the plan's `become`, not by the module.
    As(&'a UserName),
    /// To speak to a socket.
    Socket {
        /// What the step declares it to be.
        class: EffectClass,
        /// The socket.
        path: &'a RemotePath,
    },
    /// To run a command.
    Exec {
        /// What the step declares it to be.
        class: EffectClass,
        /// The program and its arguments.
        argv: &'a [String],
        /// The variables that the step sets.
        env: &'a BTreeMap<String, String>,
    },
    /// To use a file of the workspace.
    File {
        /// To write it.
        write: bool,
        /// The path, as the step names it.
        path: &'a str,
    },
    /// To use a secret.
    Secret {
        /// Its name in the plan.
        name: &'a SecretName,
        /// Where its value comes from, as a [`SecretSource`](crate::plan::SecretSource) is written.
        source: &'a str,
    },
    /// To send a request.
    Http {
        /// What the step declares it to be.
        class: EffectClass,
        /// The method, in upper case.
        method: &'a str,
        /// From [`parse_url`].
        url: &'a Url,
        /// What `connect-to` says.
        at: Option<&'a str>,
        /// Whether it goes through a target's connection.
        via_target: bool,
    },
}

impl<'a> Ask<'a> {
    /// All that a change needs.
    pub fn of_change(change: &'a Change) -> Vec<Self> {
        let tree = matches!(
            change,
            Change::RemoveTree { .. }
                | Change::Rename { .. }
                | Change::Unpack { .. }
                | Change::Unarchive { .. }
        );
        let write = if tree { Self::WriteTree } else { Self::Write };
        std::iter::once(write(change.path()))
            .chain(change.also_writes().map(write))
            .chain(change.reads().map(Self::ReadTree))
            .collect()
    }

    /// All that a command needs, without its undo and its check, which are commands of their own. The working folder
    /// is read: what many programs do depends on what lies there.
    pub fn of_command(command: &'a Command) -> Vec<Self> {
        std::iter::once(Self::Exec { class: command.effect, argv: &command.argv, env: &command.env })
            .chain(command.stdout_to.as_ref().map(Self::Write))
            .chain(command.directory.as_ref().map(Self::Read))
            .chain(command.stdin_file.as_ref().map(Self::Read))
            .collect()
    }

    /// What an exchange needs.
    pub fn of_exchange(exchange: &'a Exchange) -> Self {
        Self::Socket { class: exchange.effect, path: &exchange.path }
    }

    /// What a request needs, without its undo, which is a request of its own. `url` is what [`parse_url`] made of its URL.
    pub fn of_request(request: &'a Request, url: &'a Url) -> Self {
        Self::Http {
            class: request.effect,
            method: &request.method,
            url,
            at: request.connect_to.as_deref(),
            via_target: request.via.is_some(),
        }
    }

    /// Why no grant could ever cover it.
    pub(super) fn makes_no_sense(&self) -> Option<String> {
        match self {
            Self::Exec { argv, env, .. } => {
                let Some(program) = argv.first() else { return Some("no program is named".to_owned()) };
                if let Err(why) = check_program(program) {
                    return Some(why);
                }
                let has_nul = |text: &String| text.contains('\0');
                if argv.iter().any(has_nul) || env.iter().any(|(name, value)| has_nul(name) || has_nul(value))
                {
                    return Some("an argument has a NUL in it".to_owned());
                }
                None
            }
            Self::Socket { class: EffectClass::Change, .. } => {
                Some("what is said to a socket is no `change`: nothing undoes it".to_owned())
            }
            Self::Service { unit, .. } | Self::ServiceState { unit } if !is_unit(unit) => {
                Some("that cannot be the name of a unit".to_owned())
            }
            Self::File { path, .. } => path.parse::<WorkspacePath>().err().map(|error| error.to_string()),
            Self::Http { method, url, at, .. } => {
                if !is_method(method) {
                    return Some("that is no method in upper case".to_owned());
                }
                if let Err(Failure { message, .. }) = parse_url(url.as_str()) {
                    return Some(message);
                }
                at.and_then(|at| Authority::read(at).err())
            }
            _ => None,
        }
    }

    /// The grant that would cover it and nothing else that could be told apart. `None` where it would be too long for
    /// anybody to review.
    pub(super) fn grant(&self) -> Option<(List, String)> {
        let plain = |text: &str| escape(text, false);
        let (list, text) = match self {
            Self::Read(path) | Self::ReadTree(path) => (List::Ssh, format!("read:{}", plain(path.as_str()))),
            Self::Write(path) | Self::WriteTree(path) => {
                (List::Ssh, format!("write:{}", plain(path.as_str())))
            }
            Self::Service { unit, action } => (List::Ssh, format!("service:{unit} {}", action.word())),
            Self::ServiceState { unit } => (List::Ssh, format!("service:{unit} is-active")),
            Self::Target(name) => (List::Ssh, format!("target:{name}")),
            Self::As(user) => (List::Ssh, format!("as:{user}")),
            Self::Socket { class, path } => {
                (List::Ssh, format!("socket-{}:{}", class_word(*class), plain(path.as_str())))
            }
            Self::Exec { class, argv, env } => {
                // Values may be secret; names are not.
                let variables = env.keys().map(|name| format!("{name}=*"));
                let arguments = argv.iter().map(|argument| quoted(&Template::literal(argument.as_str())));
                let words: Vec<String> = variables.chain(arguments).collect();
                (List::Ssh, format!("exec-{}:{}", class_word(*class), words.join(" ")))
            }
            Self::File { write, path } => {
                let path = path.parse::<WorkspacePath>().ok()?;
                (List::Files, format!("{}:{}", if *write { "write" } else { "read" }, plain(path.as_str())))
            }
            Self::Secret { name, .. } => (List::Secrets, name.to_string()),
            Self::Http { class, method, url, at, via_target } => {
                let mut url = (*url).clone();
                url.set_query(None);
                let mut text = match *class == usual_class(method) {
                    true => String::new(),
                    false => format!("{} ", class_word(*class)),
                };
                text.push_str(&format!("{method} {}", plain(url.as_str())));
                if let Some(at) = at {
                    text.push_str(&format!(" at {}", Authority::read(at).ok()?));
                }
                if *via_target {
                    text.push_str(" from target");
                }
                (List::Http, text)
            }
        };
        (text.len() <= 2000).then_some((list, text))
    }
}

/// What is asked for, in one line that is safe to print, whatever a module put into it.
impl fmt::Display for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path) => write!(f, "read {}", Shown(path.as_str())),
            Self::ReadTree(path) => write!(f, "read all of {}", Shown(path.as_str())),
            Self::Write(path) => write!(f, "write {}", Shown(path.as_str())),
            Self::WriteTree(path) => write!(f, "write all of {}", Shown(path.as_str())),
            Self::Service { unit, action } => write!(f, "{} the service {}", action.word(), Shown(unit)),
            Self::ServiceState { unit } => write!(f, "look at the service {}", Shown(unit)),
            Self::Target(name) => write!(f, "use the target {}", Shown(name.as_str())),
            Self::As(user) => write!(f, "become {}", Shown(user.as_str())),
            Self::Socket { class, path } => {
                write!(f, "speak to the socket {} as `{}`", Shown(path.as_str()), class_word(*class))
            }
            Self::Exec { class, argv, env } => {
                let variables = env.keys().map(|name| format!("{name}=…"));
                let arguments =
                    argv.iter().take(64).map(|argument| quoted(&Template::literal(argument.as_str())));
                let words: Vec<String> = variables.chain(arguments).collect();
                write!(f, "run {} as `{}`", Shown(&words.join(" ")), class_word(*class))
            }
            Self::File { write, path } => {
                write!(f, "{} the file {}", if *write { "write" } else { "read" }, Shown(path))
            }
            Self::Secret { name, source } => write!(f, "use the secret `{name}` from {}", Shown(source)),
            Self::Http { class, method, url, at, via_target } => {
                write!(f, "send {}", Shown(&format!("{method} {url}")))?;
                if let Some(at) = at {
                    write!(f, " at {}", Shown(at))?;
                }
                if *via_target {
                    f.write_str(" from the target")?;
                }
                write!(f, " as `{}`", class_word(*class))
            }
        }
    }
}

/// Text of a module between backticks: no control characters, no end of it beyond what anybody reads.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 200;
        let text: String = self.0.chars().take(MOST).collect();
        let more = if text.len() < self.0.len() { "…" } else { "" };
        write!(f, "`{}{more}`", printable(&text))
    }
}

/// Text with its control and invisible characters spelled out.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '\'' | '"' | '\\' => vec![c],
            c => c.escape_debug().collect(),
        })
        .collect()
}
