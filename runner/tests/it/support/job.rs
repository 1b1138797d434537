//! A plan whose only module is a puppet, run by the real program against real sshd's.

use super::puppet_with;
use super::toml::inline as toml;
use runner_artifact::Store;
use runner_fleet::Fleet;
use runner_journal::{Entry, Journal, Record};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A folder with a plan, its inventory and its module.
pub(crate) struct Job {
    place: tempfile::TempDir,
    pub(crate) policy: Option<String>,
    /// Variables of the program.
    pub(crate) env: Vec<(String, String)>,
}

/// What the program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Job {
    /// A plan with one step that makes these calls. `capabilities`: what the module declares; `step`: more lines of
    /// the step.
    pub(crate) fn new(fleet: &Fleet, capabilities: &Value, calls: &Value, step: &str) -> Self {
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let job = Self { place, policy: None, env: Vec::new() };
        fs::create_dir(job.plan()).expect("a folder");
        fs::write(job.plan().join("puppet.wasm"), puppet_with(capabilities)).expect("a module");
        fs::copy(fleet.inventory(), job.plan().join("fleet.toml")).expect("an inventory");
        let plan = format!(
            "plan = 1\nname = \"attack\"\n\n[modules]\npuppet = {{ path = \"puppet.wasm\" }}\n\n\
             [environment.test]\ninventory = \"fleet.toml\"\n\n[release]\nroot = {:?}\n\n[strategy]\nrole = \"web\"\n\n\
             [[rollout]]\nid = \"attack\"\nuses = \"puppet\"\nwith = {{ do = {} }}\n{step}\n",
            fleet.host(1).root(),
            toml(calls),
        );
        fs::write(job.plan().join("plan.toml"), plan).expect("a plan");
        job
    }

    /// The same, with its lock.
    pub(crate) fn locked(fleet: &Fleet, capabilities: &Value, calls: &Value, step: &str) -> Self {
        let job = Self::new(fleet, capabilities, calls, step);
        let locked = job.runner(&["lock"]);
        assert_eq!(locked.code, 0, "{locked:?}");
        job
    }

    /// Everything that is the job's own: its plan, its runs, its home and what is temporary.
    pub(crate) fn folder(&self) -> &Path {
        self.place.path()
    }

    /// Writes the lock, which must work.
    pub(crate) fn lock(&self) {
        let locked = self.runner(&["lock"]);
        assert_eq!(locked.code, 0, "{locked:?}");
    }

    /// Adds to the plan: a table of its own.
    pub(crate) fn add(&self, toml: &str) {
        let file = self.plan().join("plan.toml");
        let plan = fs::read_to_string(&file).expect("a plan");
        fs::write(file, format!("{plan}\n{toml}\n")).expect("a plan");
    }

    /// The plan's folder.
    pub(crate) fn plan(&self) -> PathBuf {
        self.place.path().join("plan")
    }

    /// Runs the program: the command and its options come before the plan.
    pub(crate) fn runner(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command.args(arguments).arg(self.plan().join("plan.toml")).current_dir(self.place.path());
        // Shared by all jobs: what is compiled once is compiled for all of them.
        command.env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
        command.env("HOME", self.place.path()).env_remove("XDG_CONFIG_HOME").env_remove("RUNNER_POLICY");
        if let Some(policy) = &self.policy {
            let file = self.place.path().join("policy.toml");
            fs::write(&file, policy).expect("a policy");
            command.env("RUNNER_POLICY", file);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("the program starts");
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The entries of the journal of the only run; `None`: nothing ran.
    pub(crate) fn journal(&self) -> Option<Vec<Value>> {
        let runs: Vec<_> = fs::read_dir(self.plan().join(".runner/runs")).ok()?.flatten().collect();
        assert_eq!(runs.len(), 1, "one run");
        let text = fs::read_to_string(runs[0].path().join("journal.jsonl")).expect("a journal");
        let line = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["entry"].take();
        Some(text.lines().map(line).collect())
    }

    /// Gives the journal of the only run other entries, sealed as if they had been written so; `ends`: the first one that
    /// is forged is the last one.
    pub(crate) fn forge(&self, ends: bool, forge: impl Fn(&mut Entry) -> bool) {
        let runs: Vec<_> = fs::read_dir(self.plan().join(".runner/runs")).expect("runs").flatten().collect();
        assert_eq!(runs.len(), 1, "one run");
        let file = runs[0].path().join("journal.jsonl");
        let record = Record::load(&file).expect("a journal");
        fs::remove_file(&file).expect("removed");
        let store = Arc::new(Store::open(self.place.path().join("forger")).expect("a store"));
        let journal = Journal::create(&runs[0].path(), store, record.header).expect("a journal");
        let mut forged = 0;
        for mut recorded in record.entries {
            forged += u32::from(forge(&mut recorded.entry));
            journal.append(&recorded.entry).expect("written");
            if ends && forged > 0 {
                break;
            }
        }
        assert!(forged > 0, "there is something to forge");
    }

    /// The refusals in the journal: of each its message and its detail.
    pub(crate) fn denials(&self) -> Vec<(String, String)> {
        let entries = self.journal().expect("a journal");
        let calls = entries.iter().filter(|entry| entry["kind"] == "call");
        let failures = calls.filter_map(|entry| entry["answer"].get("failed"));
        failures
            .filter(|failure| failure["kind"] == "denied")
            .map(|failure| {
                let text = |key: &str| failure[key].as_str().unwrap_or_default().to_owned();
                (text("message"), text("detail"))
            })
            .collect()
    }
}

/// Everything below the folder of releases of each host, but for what the runner keeps for itself.
pub(crate) fn digest(fleet: &Fleet) -> Vec<String> {
    let script = "cd /srv && find app -path app/.runner -prune -o -printf '%p %y %m %U %s %l\\n' | sort; \
                  find app -path app/.runner -prune -o -type f -exec sha256sum {} + | sort";
    fleet
        .hosts()
        .iter()
        .map(|host| {
            let output = host.inside(&["sh", "-c", script]).expect("it can be listed");
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
        .collect()
}
