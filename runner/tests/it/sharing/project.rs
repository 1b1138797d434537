//! A folder with a plan for this machine, and the program on it.

use crate::support::toml;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// How the program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) said: String,
}

impl Ran {
    /// Ended with this code, and said all of this.
    pub(crate) fn expect(&self, code: i32, said: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{}", self.said);
        for words in said {
            assert!(self.said.contains(words), "it does not say {words:?}:\n{}", self.said);
        }
        self
    }
}

/// A plan with one step of the module `own`, which puts files below `{etc}`.
pub(crate) struct Project {
    place: tempfile::TempDir,
    pub(crate) env: Vec<(String, String)>,
}

impl Project {
    /// `module`: the entry of `[modules]`; `calls`: what the puppet does.
    pub(crate) fn new(module: &str, calls: &Value) -> Self {
        // Not below /tmp: an ancestor that anybody may write to is refused, as it should be.
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let project = Self { place, env: Vec::new() };
        fs::create_dir(project.path("etc")).expect("a folder");
        project
            .write("home.toml", "inventory = 1\n[target.here]\nconnection = \"local\"\nroles = [\"web\"]\n");
        let calls = calls.to_string().replace("{etc}", &project.path("etc").to_string_lossy());
        let calls: Value = serde_json::from_str(&calls).expect("JSON");
        let with = toml::inline(&serde_json::json!({ "do": calls }));
        project.write(
            "plan.toml",
            format!(
                "plan = 1\nname = \"sharing\"\n\n[modules]\nown = {module}\n\n[environment.home]\n\
                 inventory = \"home.toml\"\n\n[strategy]\nrole = \"web\"\n\n[[rollout]]\nid = \"own\"\nuses = \"own\"\n\
                 with = {with}\n"
            ),
        );
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("it is written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("it is read")
    }

    /// `{etc}` in a text is the folder that the step writes to.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("{etc}", &self.path("etc").to_string_lossy())
    }

    /// The program, with a home and a cache of this project's own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command
            .args(arguments)
            .current_dir(self.place.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("HOME", self.place.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("RUNNER_POLICY")
            .env_remove("DOCKER_CONFIG")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments))
    }
}

/// Runs a program to its end.
pub(crate) fn ran(mut command: Command) -> Ran {
    let output = command.output().expect("the program starts");
    let said = [output.stdout, output.stderr].concat();
    Ran { code: output.status.code().unwrap_or(-1), said: String::from_utf8_lossy(&said).into_owned() }
}
