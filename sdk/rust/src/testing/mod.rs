//! A world in memory: what the runner is for a step, as far as a test can tell.
//!
//! ```
//! # use runner_sdk::{Attributes, Capabilities, Error, ErrorKind, Result, Step, Target};
//! # use schemars::JsonSchema; use serde::{Deserialize, Serialize};
//! # #[derive(Deserialize, JsonSchema)] struct Params { text: String }
//! # #[derive(Serialize, JsonSchema)] struct Outputs { changed: bool }
//! # struct Motd;
//! # impl Step for Motd {
//! #     const NAME: &'static str = "motd"; const VERSION: &'static str = "0.1.0"; const SUMMARY: &'static str = "says hello";
//! #     const CAPABILITIES: Capabilities = Capabilities { ssh: &["write:/etc/motd"], ..Capabilities::NONE };
//! #     type Params = Params; type Outputs = Outputs;
//! #     fn run(params: Params) -> Result<Outputs> {
//! #         Ok(Outputs { changed: Target::current().write("/etc/motd", &params.text, &Attributes::keep())? })
//! #     }
//! # }
//! use runner_sdk::testing::World;
//! use serde_json::json;
//!
//! let world = World::new(); // one target, `web-1`
//! world.target("web-1").dir("/etc");
//!
//! assert_eq!(world.run::<Motd>(json!({ "text": "hello\n" })).unwrap(), json!({ "changed": true }));
//! assert_eq!(world.effects(), ["web-1: write /etc/motd"]);
//!
//! assert_eq!(world.run::<Motd>(json!({ "text": "hello\n" })).unwrap(), json!({ "changed": false }));
//! assert_eq!(world.effects().len(), 0); // of the last run
//!
//! world.fail("write", "/etc", Error::new(ErrorKind::Denied, "no grant covers it"));
//! assert!(world.run::<Motd>(json!({ "text": "hello\n" })).unwrap_err().is(ErrorKind::Denied));
//! ```
//!
//! [`World::run`] goes the way of the component: the parameters are completed with the schema's defaults and parsed,
//! every call is checked against the step's capabilities bound to them, and the outputs are written as JSON. What the
//! world does not know is the world itself: whether a service comes up, a command works or a disk fills, the test says.

mod grants;
mod machine;
mod socket;
mod state;

pub(crate) use grants::Granted;
pub(crate) use machine::{Machine, Node, What};
pub(crate) use socket::Socket;
pub use state::{Content, RanCommand, SentRequest};
pub(crate) use state::{State, Stored, digest_of, with};

use crate::{Cluster, Error, Mark, Result, Standing, Step, cluster, step};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How a scripted command ends.
#[derive(Debug, Clone)]
pub struct Answer(pub(crate) Result<crate::Output>);

impl Answer {
    /// With status 0 and this on stdout.
    pub fn ok(stdout: &str) -> Self {
        Self(Ok(crate::Output { stdout: stdout.to_owned(), ..crate::Output::default() }))
    }

    /// With this status and this on stderr.
    pub fn status(status: u32, stderr: &str) -> Self {
        Self(Ok(crate::Output { status, stderr: stderr.to_owned(), ..crate::Output::default() }))
    }

    /// Not at all.
    pub fn error(error: Error) -> Self {
        Self(Err(error))
    }
}

/// How a scripted request is answered.
#[derive(Debug, Clone)]
pub struct HttpAnswer(pub(crate) Result<crate::Response>);

impl HttpAnswer {
    /// With this status and no body.
    pub fn status(status: u16) -> Self {
        Self(Ok(crate::Response { status, ..crate::Response::default() }))
    }

    /// Not at all.
    pub fn error(error: Error) -> Self {
        Self(Err(error))
    }

    /// With this body.
    #[must_use]
    pub fn body(self, text: &str) -> Self {
        Self(self.0.map(|answer| crate::Response { body: text.to_owned(), ..answer }))
    }

    /// With this header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.map(|mut answer| {
            let (name, value) = (name.to_ascii_lowercase(), value.to_owned());
            answer.headers.push(crate::Header { name, value });
            answer
        }))
    }
}

/// Everything that a step can see and touch.
#[derive(Debug, Clone)]
pub struct World(Rc<RefCell<State>>);

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// One empty target, `web-1`, which is the current one; an empty workspace; nothing scripted; 2026-01-01 UTC.
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new(State::new())))
    }

    /// The target of this name, made when it is new.
    pub fn target(&self, name: &str) -> Machinery {
        self.0.borrow_mut().targets.entry(name.to_owned()).or_default();
        Machinery { state: Rc::clone(&self.0), name: name.to_owned() }
    }

    /// Makes this target the current one, and the subject.
    pub fn current(&self, name: &str) -> &Self {
        self.target(name);
        self.0.borrow_mut().current = name.to_owned();
        self
    }

    /// Makes this target the subject: for a cluster, the target that it is asked about; the current one is the balancer.
    pub fn subject(&self, name: &str) -> &Self {
        self.target(name);
        self.0.borrow_mut().subject = Some(name.to_owned());
        self
    }

    /// Lets real time pass, and sleeping take its time: for tests with a real program behind a socket.
    pub fn real_time(&self) -> &Self {
        self.0.borrow_mut().began = Some(std::time::Instant::now());
        self
    }

    /// Puts a file into the workspace.
    pub fn file(&self, path: &str, text: &str) -> &Self {
        self.0.borrow_mut().workspace.insert(path.to_owned(), text.as_bytes().to_vec());
        self
    }

    /// What a file of the workspace holds.
    pub fn text(&self, path: &str) -> Option<String> {
        let state = self.0.borrow();
        state.workspace.get(path).map(|content| String::from_utf8_lossy(content).into_owned())
    }

    /// Puts a tree into the artifact store and answers its digest.
    pub fn tree(&self, files: &[(&str, &str)]) -> String {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        self.0.borrow_mut().store(Stored::Tree(files))
    }

    /// Gives the step a secret.
    pub fn secret(&self, name: &str, value: &str) -> &Self {
        self.0.borrow_mut().secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// What the run releases.
    pub fn release_id(&self, id: &str) -> &Self {
        self.0.borrow_mut().release_id = Some(id.to_owned());
        self
    }

    /// What was live on the subject when the run began.
    pub fn previous_release(&self, id: &str) -> &Self {
        self.0.borrow_mut().previous_release = Some(id.to_owned());
        self
    }

    /// Answers the next request of this method to this URL. Several answers are given one after the other, the last one
    /// again and again. Requests that nothing answers are `unreachable`.
    pub fn http(&self, method: &str, url: &str, answer: HttpAnswer) -> &Self {
        let key = (method.to_owned(), url.to_owned());
        self.0.borrow_mut().http.entry(key).or_default().push_back(answer);
        self
    }

    /// Lets every call of this name (`write`, `service`, `run`, `send`, `pack`, as in the WIT) fail whose path, unit,
    /// program or URL starts with `on`.
    pub fn fail(&self, call: &str, on: &str, error: Error) -> &Self {
        self.0.borrow_mut().faults.push((call.to_owned(), on.to_owned(), error));
        self
    }

    /// Takes back all that [`World::fail`] said.
    pub fn heal(&self) -> &Self {
        self.0.borrow_mut().faults.clear();
        self
    }

    /// Milliseconds since 1970-01-01 UTC; sleeping moves it.
    pub fn now(&self) -> u64 {
        self.0.borrow().time()
    }

    /// Sets the clock.
    pub fn set_now(&self, milliseconds: u64) -> &Self {
        self.0.borrow_mut().now = milliseconds;
        self
    }

    /// Runs a step as the runner would.
    ///
    /// # Errors
    /// What the step answers.
    pub fn run<S: Step>(&self, params: Value) -> Result<Value> {
        let manifest: Value = serde_json::from_str(&step::describe::<S>())?;
        let params = grants::complete(params, &manifest["parameters"]);
        self.0.borrow_mut().begin(Some(grants::Granted::bind(S::CAPABILITIES, &params)));
        let answer = self.enter(|| step::call::<S>(&params.to_string()));
        self.0.borrow_mut().end(answer.is_ok());
        Ok(serde_json::from_str(&answer?)?)
    }

    /// Asks a cluster how the subject stands, as the runner would.
    ///
    /// # Errors
    /// What the cluster answers.
    pub fn observe<C: Cluster>(&self, params: Value) -> Result<Standing> {
        self.with_cluster::<C, _>(params, cluster::call_observe::<C>)
    }

    /// Has a cluster take the subject out of service, as the runner would.
    ///
    /// # Errors
    /// What the cluster answers.
    pub fn leave<C: Cluster>(&self, params: Value) -> Result<()> {
        self.with_cluster::<C, _>(params, cluster::call_leave::<C>)
    }

    /// Has a cluster put the subject back into service, as the runner would.
    ///
    /// # Errors
    /// What the cluster answers.
    pub fn join<C: Cluster>(&self, params: Value) -> Result<()> {
        self.with_cluster::<C, _>(params, cluster::call_join::<C>)
    }

    fn with_cluster<C: Cluster, T>(&self, params: Value, call: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        let manifest: Value = serde_json::from_str(&cluster::describe_cluster::<C>())?;
        let params = grants::complete(params, &manifest["parameters"]);
        self.0.borrow_mut().begin(Some(grants::Granted::bind(C::CAPABILITIES, &params)));
        let answer = self.enter(|| call(&params.to_string()));
        self.0.borrow_mut().end(answer.is_ok());
        answer
    }

    /// Makes this the world of all host calls in `work`, with no grants checked: for tests of a part of a step.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        state::enter(&self.0, work)
    }

    /// What the last run really did, in order, a line each: `web-1: symlink /srv/shop/current -> releases/b`. What was
    /// there already is not in it.
    pub fn effects(&self) -> Vec<String> {
        self.0.borrow().effects.clone()
    }

    /// All calls of the last run that touch the world, reads too: `web-1: stat /srv/shop/current`.
    pub fn calls(&self) -> Vec<String> {
        self.0.borrow().calls.clone()
    }

    /// The commands that the last run ran, checks too, with all that was put into them.
    pub fn commands(&self) -> Vec<RanCommand> {
        self.0.borrow().commands.clone()
    }

    /// The requests that the last run sent, with all that was put into them.
    pub fn requests(&self) -> Vec<SentRequest> {
        self.0.borrow().requests.clone()
    }

    /// The lines of the last run's log: `info: switching`.
    pub fn log(&self) -> Vec<String> {
        self.0.borrow().log.clone()
    }
}

/// A target of a [`World`], to set up and to look at.
#[derive(Debug, Clone)]
pub struct Machinery {
    state: Rc<RefCell<State>>,
    name: String,
}

impl Machinery {
    fn machine<T>(&self, work: impl FnOnce(&mut Machine) -> T) -> T {
        let mut state = self.state.borrow_mut();
        let now = state.now;
        let machine = state.targets.entry(self.name.clone()).or_default();
        machine.now = now;
        work(machine)
    }

    /// A file with this text, mode 0644, and the folders that it is in.
    pub fn file(&self, path: &str, text: &str) -> &Self {
        self.machine(|machine| machine.put(path, What::File(text.as_bytes().to_vec())));
        self
    }

    /// A folder, and those that it is in.
    pub fn dir(&self, path: &str) -> &Self {
        self.machine(|machine| machine.put(path, What::Directory));
        self
    }

    /// A symbolic link, and the folders that it is in.
    pub fn link(&self, path: &str, points_to: &str) -> &Self {
        self.machine(|machine| machine.put(path, What::Symlink(points_to.to_owned())));
        self
    }

    /// A release that is laid out, with its account; the newest one.
    pub fn release(&self, root: &str, id: &str, mark: Mark) -> &Self {
        self.machine(|machine| {
            machine.put(&format!("{root}/releases/{id}"), What::Directory);
            machine.know(root, id, mark);
        });
        self
    }

    /// Points `current` to a release.
    pub fn live(&self, root: &str, id: &str) -> &Self {
        self.link(&format!("{root}/current"), &format!("releases/{id}"))
    }

    /// A unit that runs or not.
    pub fn service(&self, unit: &str, active: bool) -> &Self {
        self.machine(|machine| machine.services.insert(unit.to_owned(), active));
        self
    }

    /// A fact; `has:<program>` is "false" unless it is said.
    pub fn fact(&self, name: &str, value: &str) -> &Self {
        self.machine(|machine| machine.facts.insert(name.to_owned(), value.to_owned()));
        self
    }

    /// A variable of the inventory.
    pub fn var(&self, name: &str, value: &str) -> &Self {
        self.machine(|machine| machine.vars.insert(name.to_owned(), value.to_owned()));
        self
    }

    /// Bytes that are free.
    pub fn disk_free(&self, bytes: u64) -> &Self {
        self.machine(|machine| machine.disk_free = bytes);
        self
    }

    /// Answers the next run of exactly this command. Several answers are given one after the other, the last one again
    /// and again. A command that nothing answers is `not-found`.
    pub fn answer(&self, argv: &[&str], answer: Answer) -> &Self {
        let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
        self.machine(|machine| machine.answers.entry(argv).or_default().push_back(answer));
        self
    }

    /// What listens at a socket: it is given what is said, and answers. Without, there is no such socket.
    pub fn socket(&self, path: &str, listener: impl FnMut(&str) -> Result<String> + 'static) -> &Self {
        self.machine(|machine| machine.sockets.insert(path.to_owned(), Socket::new(listener)));
        self
    }

    /// What the file holds.
    pub fn text(&self, path: &str) -> Option<String> {
        self.machine(|machine| match &machine.nodes.get(path)?.what {
            What::File(content) => Some(String::from_utf8_lossy(content).into_owned()),
            _ => None,
        })
    }

    /// What is written in the link.
    pub fn points_to(&self, path: &str) -> Option<String> {
        self.machine(|machine| match &machine.nodes.get(path)?.what {
            What::Symlink(to) => Some(to.clone()),
            _ => None,
        })
    }

    /// Whether there is anything.
    pub fn exists(&self, path: &str) -> bool {
        self.machine(|machine| machine.nodes.contains_key(path))
    }

    /// Permission bits, owner and group.
    pub fn attributes(&self, path: &str) -> Option<(u32, String, String)> {
        self.machine(|machine| {
            let node = machine.nodes.get(path)?;
            Some((node.mode, node.owner.clone(), node.group.clone()))
        })
    }

    /// The names of what is in the folder, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        self.machine(|machine| machine.children(path).map(|(name, _)| name.to_owned()).collect())
    }
}

pub(crate) type Files = BTreeMap<String, Vec<u8>>;
