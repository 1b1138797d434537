//! A copy of the example, and the program run on it.

use runner_artifact::Store;
use runner_fleet::{Fleet, Host, until};
use runner_journal::{Damage, Entry, Journal, Reader, Record, Recorded};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The program under test.
pub(crate) const RUNNER: &str = env!("CARGO_BIN_EXE_runner");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/web");

/// A folder with a plan, an inventory and an application: a copy of `examples/web`.
pub(crate) struct Project {
    folder: tempfile::TempDir,
    /// Who runs the program, and how: words in front of it.
    pub(crate) prefix: Vec<String>,
    /// The program.
    pub(crate) program: PathBuf,
    /// Further environment.
    pub(crate) env: Vec<(String, String)>,
}

impl Project {
    /// Of which the environment `fleet` is this fleet.
    pub(crate) fn new(fleet: &Fleet) -> Self {
        Self::in_folder(fleet, Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// In a new folder below this one.
    pub(crate) fn in_folder(fleet: &Fleet, parent: &Path) -> Self {
        fs::create_dir_all(parent).unwrap();
        let folder = tempfile::Builder::new().prefix("project-").tempdir_in(parent).unwrap();
        copy(Path::new(EXAMPLE), folder.path());
        let project = Self { folder, prefix: Vec::new(), program: RUNNER.into(), env: Vec::new() };
        // The key exchange that is asked for by default would be a third of what the tests take.
        let inventory = fs::read_to_string(fleet.inventory()).unwrap();
        project.write("fleet.toml", &inventory.replace("[ssh]\n", "[ssh]\nkex = \"fast\"\n"));
        // What is not sent again must be visible in the bytes: this does not compress.
        fs::write(project.path("app/blob.bin"), noise(1, BLOB)).unwrap();
        for host in fleet.hosts() {
            host.put("shared/settings.json", "{}").unwrap();
        }
        project
    }

    /// Gives the journal of a run another entry wherever one is given, sealed as if it had been written so.
    pub(crate) fn rewrite(&self, run: &str, change: impl Fn(&mut Entry)) {
        let folder = self.path(".runner/runs").join(run);
        let file = folder.join("journal.jsonl");
        let record = Record::load(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let store = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(store.path().join("store")).unwrap());
        let journal = Journal::create(&folder, store, record.header).unwrap();
        for mut recorded in record.entries {
            change(&mut recorded.entry);
            journal.append(&recorded.entry).unwrap();
        }
    }

    /// The file or folder in it.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Writes a file of it.
    pub(crate) fn write(&self, inside: &str, text: &str) {
        fs::write(self.path(inside), text).unwrap();
    }

    /// Replaces what must be there.
    pub(crate) fn edit(&self, inside: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(inside)).unwrap();
        assert!(text.contains(from), "`{inside}` has no `{from}`:\n{text}");
        self.write(inside, &text.replace(from, to));
    }

    /// Replaces what must be in the plan.
    pub(crate) fn edit_plan(&self, from: &str, to: &str) {
        self.edit("plan.toml", from, to);
    }

    /// The next version of the application, which changes one small file.
    pub(crate) fn next_version(&self, version: &str) {
        self.write("app/version.txt", &format!("{version}\n"));
        let plan = fs::read_to_string(self.path("plan.toml")).unwrap();
        let line = plan.lines().find(|line| line.starts_with("version = \"")).unwrap().to_owned();
        self.edit_plan(&line, &format!("version = \"{version}\""));
    }

    /// In the place of the example's plan, one that makes no release and has these steps alone.
    pub(crate) fn steps(&self, steps: &str) {
        const AROUND: &str = "plan = 1\nname = \"web\"\n\n[modules]\nstd = \"builtin\"\n\n[environment.fleet]\n\
             inventory = \"fleet.toml\"\n\n[release]\nroot = \"/srv/app\"\n\n[strategy]\nrole = \"web\"\n\n";
        self.write("plan.toml", &format!("{AROUND}{steps}"));
    }

    /// The program with these arguments, in the project's folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut words = self.prefix.iter().map(String::as_str).chain([self.program.to_str().unwrap()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["RUNNER_POLICY", "SSH_AUTH_SOCK", "CI", "NO_COLOR"] {
            command.env_remove(name);
        }
        // All tests share one cache, as all runs of a user do: modules are compiled once.
        let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/cache");
        command.env("XDG_CACHE_HOME", cache).env("XDG_CONFIG_HOME", self.path("config"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let before = self.runs();
        let output = ended(self.command(arguments).spawn().unwrap());
        self.ran(&before, output.status.code(), &output.stdout, &output.stderr)
    }

    /// Locks the plan for the fleet, which must work.
    pub(crate) fn lock(&self) {
        let locked = self.run(&["lock", "plan.toml", "--environment", "fleet"]);
        assert_eq!(locked.code, Some(0), "{locked}");
    }

    /// Takes it live on the fleet.
    pub(crate) fn exec(&self) -> Ran {
        self.run(&["exec", "plan.toml", "--environment", "fleet", "--events", "events.jsonl"])
    }

    /// Locks, and takes it live.
    pub(crate) fn lock_and_exec(&self) -> Ran {
        self.lock();
        self.exec()
    }

    /// Locks, and takes it live, which must work.
    pub(crate) fn release(&self) -> Ran {
        let ran = self.lock_and_exec();
        assert_eq!(ran.code, Some(0), "{ran}");
        ran
    }

    /// Takes the lock of the targets away from a runner that is dead.
    pub(crate) fn unlock(&self) {
        let unlocked = self.run(&["unlock", "plan.toml", "--environment", "fleet", "--reason", "it is dead"]);
        assert_eq!(unlocked.code, Some(0), "{unlocked}");
    }

    /// Begins to take it live; [`Running::end`] collects.
    pub(crate) fn begin(&self) -> Running<'_> {
        let _ = fs::remove_file(self.path("events.jsonl"));
        self.start(&["exec", "plan.toml", "--environment", "fleet", "--events", "events.jsonl"])
    }

    /// Starts it; [`Running::end`] collects.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running<'_> {
        let before = self.runs();
        Running { project: self, before, child: self.command(arguments).spawn().unwrap() }
    }

    fn runs(&self) -> BTreeSet<PathBuf> {
        let runs = fs::read_dir(self.path(".runner/runs"));
        runs.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }

    fn ran(&self, before: &BTreeSet<PathBuf>, code: Option<i32>, stdout: &[u8], stderr: &[u8]) -> Ran {
        let journal = self.runs().difference(before).next().map(|run| run.join("journal.jsonl"));
        Ran {
            code,
            stdout: String::from_utf8_lossy(stdout).into_owned(),
            stderr: String::from_utf8_lossy(stderr).into_owned(),
            events: self.events(),
            entries: journal.map(|file| entries(&file)).unwrap_or_default(),
        }
    }

    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("events.jsonl")).unwrap_or_default();
        // The last line may be on its way.
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .map(|l| l["what"].clone())
            .collect()
    }
}

/// Whatever takes longer hangs; nothing that is asserted depends on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// Waits for a program; one that hangs is ended, which fails the test.
fn ended(child: Child) -> std::process::Output {
    let pid = child.id().to_string();
    let (done, over) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let hangs =
            over.recv_timeout(PATIENCE).is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout);
        if hangs {
            let _ = Command::new("kill").args(["-s", "KILL", &pid]).status();
        }
        hangs
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    assert!(!watch.join().unwrap(), "it hangs: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The size of the file that no test changes.
pub(crate) const BLOB: usize = 300_000;

/// Bytes that do not compress, the same each time.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    });
    bytes.take(length).collect()
}

/// All that is proved in a journal; anything that is not proved fails the test, but for a last line that a kill cut off.
pub(crate) fn entries(file: &Path) -> Vec<Entry> {
    let proved = |line: Result<Recorded, Damage>| match line {
        Ok(recorded) => Some(recorded.entry),
        Err(Damage::Torn { .. }) => None,
        Err(damage) => panic!("{}: {damage}", file.display()),
    };
    Reader::open(file).unwrap().map_while(proved).collect()
}

/// The program at work.
pub(crate) struct Running<'a> {
    project: &'a Project,
    before: BTreeSet<PathBuf>,
    child: Child,
}

impl Running<'_> {
    /// Waits until the event has happened for the step.
    pub(crate) fn wait_for(&self, event: &str, step: &str) {
        self.wait_until(&format!("{event} of {step}"), |e| e["event"] == event && e["step"] == step);
    }

    /// Waits until there is such an event.
    pub(crate) fn wait_until(&self, what: &str, is: impl Fn(&Value) -> bool) {
        until(what, || self.project.events().iter().any(&is));
    }

    /// Waits until the journal of the run has so many lines, or the run has ended.
    pub(crate) fn wait_for_lines(&self, lines: u64) {
        let has = || {
            let journal = self.project.runs().difference(&self.before).next()?.join("journal.jsonl");
            let text = fs::read(journal).ok()?;
            let closed = text.windows(15).any(|window| window == b"\"kind\":\"closed\"");
            let count = text.iter().filter(|byte| **byte == b'\n').count();
            Some(closed || u64::try_from(count).unwrap() >= lines)
        };
        let start = Instant::now();
        // Whoever counts lines wants to be there soon.
        while has() != Some(true) {
            assert!(start.elapsed() < PATIENCE, "the journal has not {lines} lines");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the end of a run that was killed; the folder of its journal.
    pub(crate) fn end_of_killed(self) -> PathBuf {
        ended(self.child);
        self.project.runs().difference(&self.before).next().unwrap().clone()
    }

    /// Sends a signal, by its name: `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Waits until it has said so on stderr; what it has said so far is lost to whoever collects.
    pub(crate) fn wait_for_word(&mut self, word: &str) {
        let mut lines = BufReader::new(self.child.stderr.as_mut().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(word)), "it ended, and never said `{word}`");
    }

    /// Waits for the end.
    pub(crate) fn end(self) -> Ran {
        let output = ended(self.child);
        self.project.ran(&self.before, output.status.code(), &output.stdout, &output.stderr)
    }
}

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code.
    pub(crate) code: Option<i32>,
    /// For programs.
    pub(crate) stdout: String,
    /// For people.
    pub(crate) stderr: String,
    /// What happened, in order.
    pub(crate) events: Vec<Value>,
    /// The journal; empty when the run never began.
    pub(crate) entries: Vec<Entry>,
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

impl Ran {
    /// Fails the test unless the program ended so and said all of this, on stderr.
    #[track_caller]
    pub(crate) fn must_say(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        // Diagnostics are wrapped to the terminal's width.
        let said = self.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts {
            assert!(said.contains(part), "it does not say `{part}`: {self}");
        }
        assert!(!self.stderr.contains("panicked"), "{self}");
    }

    /// What was about to change something: step, target, call and arguments, in an order that does not depend on time.
    pub(crate) fn effects(&self) -> Vec<String> {
        let mut effects: Vec<_> = self
            .entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Intent { key, class, call, args, after, .. } => {
                    Some((key.clone(), format!("{class:?} {call} {args:?} -> {after:?}")))
                }
                _ => None,
            })
            .collect();
        effects.sort();
        effects
            .into_iter()
            .map(|(key, what)| format!("{} {} {} {}: {what}", key.target, key.step, key.attempt, key.number))
            .map(|effect| without_times(&effect))
            .collect()
    }

    /// The id of the run.
    pub(crate) fn run(&self) -> &str {
        match self.entries.first() {
            Some(Entry::Header(header)) => header.run.as_str(),
            _ => panic!("no run has begun: {self}"),
        }
    }

    /// The events of a kind.
    pub(crate) fn events_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| event["event"] == kind)
    }

    /// Bytes that a step sent to a target.
    pub(crate) fn bytes_sent(&self, step: &str, target: &str) -> u64 {
        let of = |event: &&Value| event["step"] == step && event["target"] == target;
        self.events_of("step-finished")
            .filter(of)
            .filter_map(|event| event["tally"]["bytes-sent"].as_u64())
            .sum()
    }

    /// What a target ended as: `done`, `failed`, `untouched`, …
    pub(crate) fn end_of(&self, target: &str) -> String {
        let of = |event: &&Value| event["target"] == target;
        let end = self
            .events_of("target-finished")
            .find(of)
            .unwrap_or_else(|| panic!("no end of {target}: {self}"));
        end["end"]["state"].as_str().unwrap().to_owned()
    }

    /// The targets of each batch that was begun.
    pub(crate) fn batches(&self) -> Vec<Vec<String>> {
        let names = |event: &Value| {
            event["targets"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect()
        };
        self.events_of("batch-started").map(names).collect()
    }
}

/// The text with every time in the name of a backup, `20260131T235959Z`, as `TIME`.
fn without_times(text: &str) -> String {
    const SHAPE: &[u8] = b"00000000T000000Z";
    let is_time = |window: &[u8]| {
        window
            .iter()
            .zip(SHAPE)
            .all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
    };
    match text.as_bytes().windows(SHAPE.len()).position(is_time) {
        Some(at) => format!("{}TIME{}", &text[..at], without_times(&text[at + SHAPE.len()..])),
        None => text.to_owned(),
    }
}

/// All that is in the release root of a host, but for what the runner keeps there for itself.
#[derive(Debug, PartialEq)]
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// The releases alone.
    pub(crate) fn releases(self) -> Self {
        Self(self.0.into_iter().filter(|(path, _)| path.starts_with("releases/")).collect())
    }

    /// Whether the other has all of this, unchanged.
    #[track_caller]
    pub(crate) fn must_be_in(&self, other: &Self) {
        for (path, what) in &self.0 {
            assert_eq!(other.0.get(path), Some(what), "`{path}` is not what it was");
        }
    }

    /// The paths that are not the same in both.
    pub(crate) fn differences(&self, other: &Self) -> BTreeSet<String> {
        let paths = self.0.keys().chain(other.0.keys());
        paths.filter(|path| self.0.get(*path) != other.0.get(*path)).cloned().collect()
    }
}

/// What is in the release root of a host now.
pub(crate) fn tree(host: &Host) -> Tree {
    let mut found = BTreeMap::new();
    let root = host.outside(host.root());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let mode = meta.mode();
            let what = if meta.is_dir() {
                format!("folder {mode:o}")
            } else if meta.is_symlink() {
                format!("link {} to {:?}", meta.ino(), fs::read_link(&path).unwrap())
            } else {
                format!("file {} {mode:o} {}", meta.ino(), runner_model::Digest::of(fs::read(&path).unwrap()))
            };
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if ![".runner", ".filler"].contains(&name.as_str()) {
                if meta.is_dir() {
                    folders.push(path);
                }
                found.insert(name, what);
            }
        }
    }
    Tree(found)
}

/// Waits until nothing runs on the host any more that a run has begun.
pub(crate) fn settled(host: &Host) {
    const BUSY: &str = "for p in /proc/[0-9]*; do
        read -r name < $p/comm || continue
        case $name in
          sshd) ;;
          servicectl) echo $name ;;
          *) [ \"$(stat -c %U $p)\" != deploy ] || echo $name ;;
        esac
      done 2>/dev/null; true";
    let start = Instant::now();
    loop {
        let busy = host.inside(&["sh", "-c", BUSY]).unwrap();
        if busy.stdout.is_empty() {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{}: {}", host.name(), String::from_utf8_lossy(&busy.stdout));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a host serves as its version; in words when it does not.
pub(crate) fn version(host: &Host) -> String {
    match host.get("/version.txt") {
        Ok(answer) if answer.status == 200 => answer.body,
        Ok(answer) => format!("status {}", answer.status),
        Err(error) => format!("nothing: {error}"),
    }
}

/// Where `current` of a host leads to; `None` when there is none.
pub(crate) fn current(host: &Host) -> Option<PathBuf> {
    fs::read_link(host.outside(host.root().join("current"))).ok()
}

/// How often the host's service was restarted.
pub(crate) fn restarts(host: &Host) -> usize {
    host.service_actions().iter().filter(|action| *action == "restart").count()
}

/// Everything in the release root of a host that a run could leave half done: what is neither a whole release nor known.
pub(crate) fn leftovers(host: &Host) -> String {
    let root = host.outside(host.root());
    let mut found = String::new();
    for folder in ["", "releases"] {
        for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known =
                ["releases", "shared", "current", "backups", ".runner", ".filler"].contains(&name.as_str());
            let whole = folder == "releases" && entry.path().join("version.txt").exists();
            if !(known && folder.is_empty() || whole) {
                writeln!(found, "{folder}/{name}").unwrap();
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let into = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &into);
        } else if !["plan.lock", "fleet.toml"].contains(&entry.file_name().to_str().unwrap()) {
            fs::copy(entry.path(), into).unwrap();
        }
    }
}
