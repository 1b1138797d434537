//! The state of a world, and which world the host calls of this thread go to.

use super::grants::Granted;
use super::{Files, HttpAnswer, Machine};
use crate::{Effect, Error, ErrorKind, Result};
use sha2::Digest as _;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// An artifact.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    File(Vec<u8>),
    Tree(Files),
}

/// What a command or a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text, or the value of a secret.
    Text(String),
    /// An artifact, by its digest.
    Artifact(String),
}

/// All that was put into a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanCommand {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What the step declared it to be.
    pub effect: Effect,
    /// Variables, secrets in clear.
    pub env: BTreeMap<String, String>,
    /// What it reads.
    pub stdin: Option<Content>,
    /// The file on the target that it reads.
    pub stdin_file: Option<String>,
    /// That file is unpacked on the way.
    pub decompress: bool,
    /// The file that gets its stdout.
    pub stdout_to: Option<String>,
    /// Its stdout is packed on the way.
    pub compress: bool,
    /// The working folder.
    pub directory: Option<String>,
    /// In milliseconds.
    pub timeout: u32,
    /// Exit statuses beside 0 that are no failure.
    pub accept: Vec<u32>,
    /// The check that is run first.
    pub skip_if: Option<Box<Self>>,
    /// What undoes it.
    pub undo: Option<Box<Self>>,
    /// An undo keeps the file that gets its stdout.
    pub keep: bool,
    /// Twice is as good as once.
    pub repeatable: bool,
}

/// All that was put into a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRequest {
    /// In upper case.
    pub method: String,
    /// As it was given.
    pub url: String,
    /// What the step declared it to be.
    pub effect: Effect,
    /// In order, secrets in clear.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Option<Content>,
    /// The target through whose connection it goes.
    pub via: Option<String>,
    /// The address that it goes to.
    pub connect_to: Option<String>,
    /// In milliseconds.
    pub timeout: u32,
    /// What undoes it.
    pub undo: Option<Box<Self>>,
    /// Twice is as good as once.
    pub repeatable: bool,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) targets: BTreeMap<String, Machine>,
    pub(crate) current: String,
    /// `None`: the current target.
    pub(crate) subject: Option<String>,
    /// When real time began to pass; `None`: only sleeping moves the clock.
    pub(crate) began: Option<std::time::Instant>,
    pub(crate) release_id: Option<String>,
    pub(crate) previous_release: Option<String>,
    pub(crate) workspace: Files,
    pub(crate) artifacts: BTreeMap<String, Stored>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) http: BTreeMap<(String, String), VecDeque<HttpAnswer>>,
    pub(crate) faults: Vec<(String, String, Error)>,
    pub(crate) now: u64,
    pub(crate) log: Vec<String>,
    pub(crate) calls: Vec<String>,
    pub(crate) effects: Vec<String>,
    pub(crate) commands: Vec<RanCommand>,
    pub(crate) requests: Vec<SentRequest>,
    granted: Option<Granted>,
    /// Changes of this invocation, and those of earlier ones that failed: both answer `true`.
    changed: BTreeSet<String>,
    owed: BTreeSet<String>,
}

thread_local! {
    static CURRENT: RefCell<Vec<Rc<RefCell<State>>>> = const { RefCell::new(Vec::new()) };
}

/// Leaves a world also when a test in it panics.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|worlds| worlds.pop());
    }
}

pub(crate) fn enter<T>(world: &Rc<RefCell<State>>, work: impl FnOnce() -> T) -> T {
    CURRENT.with_borrow_mut(|worlds| worlds.push(Rc::clone(world)));
    let _leave = Leave;
    work()
}

/// Does something with the world that this thread is in.
pub(crate) fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    let world = CURRENT.with_borrow(|worlds| worlds.last().map(Rc::clone));
    let Some(world) = world else {
        panic!("a host call outside of a world: run the step with `runner_sdk::testing::World::run`");
    };
    work(&mut world.borrow_mut())
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            targets: BTreeMap::from([("web-1".to_owned(), Machine::default())]),
            current: "web-1".to_owned(),
            subject: None,
            began: None,
            release_id: None,
            previous_release: None,
            workspace: Files::new(),
            artifacts: BTreeMap::new(),
            secrets: BTreeMap::new(),
            http: BTreeMap::new(),
            faults: Vec::new(),
            now: 1_767_225_600_000,
            log: Vec::new(),
            calls: Vec::new(),
            effects: Vec::new(),
            commands: Vec::new(),
            requests: Vec::new(),
            granted: None,
            changed: BTreeSet::new(),
            owed: BTreeSet::new(),
        }
    }

    pub(crate) fn begin(&mut self, granted: Option<Granted>) {
        self.granted = granted;
        self.log.clear();
        self.calls.clear();
        self.effects.clear();
        self.commands.clear();
        self.requests.clear();
        self.changed.clear();
    }

    pub(crate) fn end(&mut self, ok: bool) {
        self.granted = None;
        let changed = std::mem::take(&mut self.changed);
        if ok {
            self.owed.clear();
        } else {
            self.owed.extend(changed);
        }
    }

    pub(crate) fn store(&mut self, stored: Stored) -> String {
        let digest = match &stored {
            Stored::File(content) => digest_of(content),
            Stored::Tree(files) => {
                let lines = files.iter().map(|(path, content)| format!("{path}\0{}\n", digest_of(content)));
                digest_of(lines.collect::<String>().as_bytes())
            }
        };
        self.artifacts.insert(digest.clone(), stored);
        digest
    }

    pub(crate) fn artifact(&self, digest: &str) -> Result<&Stored> {
        self.artifacts
            .get(digest)
            .ok_or_else(|| Error::not_found(format!("artifact `{digest}`: not in this run")))
    }

    /// Every call that touches the world begins here: it is recorded, and then denied, let fail or let through.
    pub(crate) fn call(
        &mut self,
        place: &str,
        name: &str,
        on: &str,
        grant: impl FnOnce(&Granted) -> Result<()>,
    ) -> Result<()> {
        self.calls.push(format!("{place}: {name} {on}"));
        if let Some(granted) = &self.granted {
            grant(granted)?;
        }
        match self.faults.iter().find(|(call, prefix, _)| call == name && on.starts_with(prefix.as_str())) {
            Some((_, _, error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Checks a grant that no call of its own shows.
    pub(crate) fn allow(&self, grant: impl FnOnce(&Granted) -> Result<()>) -> Result<()> {
        self.granted.as_ref().map_or(Ok(()), grant)
    }

    /// A verb on a path of a target.
    pub(crate) fn verb(&mut self, target: &str, name: &str, word: &str, path: &str) -> Result<&mut Machine> {
        Self::check_path(name, path)?;
        self.call(target, name, path, |granted| granted.path(word, path))?;
        self.machine(target)
    }

    /// Refuses paths that no grant covers.
    pub(crate) fn check_path(name: &str, path: &str) -> Result<()> {
        let segments = || path.split('/').skip(1);
        let refused = !path.starts_with('/')
            || (path != "/" && segments().any(|segment| matches!(segment, "" | "." | "..")));
        if refused {
            return Err(Error::invalid(format!("{name} `{path}`: the path must be absolute and normalised")));
        }
        if segments().any(|segment| segment == ".runner" || segment.starts_with(".runner-")) {
            return Err(Error::new(ErrorKind::Denied, format!("{name} `{path}`: it belongs to the runner")));
        }
        Ok(())
    }

    /// The target that is asked about.
    pub(crate) fn subject(&self) -> &str {
        self.subject.as_deref().unwrap_or(&self.current)
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) fn time(&self) -> u64 {
        match self.began {
            Some(began) => self.now + u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            None => self.now,
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, milliseconds: u32) {
        match self.began {
            Some(_) => std::thread::sleep(std::time::Duration::from_millis(milliseconds.into())),
            None => self.now += u64::from(milliseconds),
        }
    }

    pub(crate) fn machine(&mut self, target: &str) -> Result<&mut Machine> {
        let now = self.now;
        let machine =
            self.targets.get_mut(target).ok_or_else(|| Error::not_found(format!("target `{target}`")))?;
        machine.now = now;
        Ok(machine)
    }

    /// Every change ends here. `true` also when an earlier invocation changed it and then failed.
    pub(crate) fn changed(&mut self, changed: bool, what: String) -> bool {
        let owed = self.owed.contains(&what);
        if changed || owed {
            self.changed.insert(what.clone());
        }
        if changed {
            self.effects.push(what);
        }
        changed || owed
    }
}

pub(crate) fn digest_of(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(content)))
}
