//! Where a candidate runs: a plan for this machine, an init system that writes down what it is asked, and a server.

use crate::support::toml::inline as toml;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// A server whose answers come in order; the last one stays.
pub(crate) struct Server {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn answers(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let Ok(mut stream) = stream else { return };
                let mut head = vec![0; 64 * 1024];
                let count = stream.read(&mut head).unwrap_or(0);
                kept.lock().expect("no panic").push(String::from_utf8_lossy(&head[..count]).to_lowercase());
                let status = statuses.get(number).or(statuses.last()).copied().unwrap_or(200);
                let _ =
                    write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Self { port, heads }
    }

    /// The heads of the requests, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

/// A folder with a plan.
pub(crate) struct Place(tempfile::TempDir);

/// How a run ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) said: String,
}

impl Place {
    /// A plan with this candidate as its only step. `with`: its parameters; `more`: lines of the step.
    pub(crate) fn new(component: &[u8], with: &Value, more: &str) -> Self {
        // Not below /tmp: an ancestor that anybody may write to is refused, as it should be.
        let place = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder"));
        fs::create_dir(place.path("etc")).expect("a folder");
        fs::write(place.path("step.wasm"), component).expect("a component");
        let init = place.path("init");
        let asked = place.path("asked");
        fs::write(&init, format!("#!/bin/sh\necho \"$1 $2\" >> '{}'\n", asked.display())).expect("a script");
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).expect("a mode");
        let inventory = format!(
            "inventory = 1\n[target.here]\nconnection = \"local\"\nroles = [\"web\"]\n\
             service-command = [{init:?}, \"${{action}}\", \"${{unit}}\"]\n"
        );
        fs::write(place.path("home.toml"), inventory).expect("an inventory");
        let text = place.fill(&toml(with));
        // What a step is given and does not ask for is refused.
        let given = with.get("token").is_some();
        let secrets = if given { "secrets = [\"health\"]" } else { "" };
        let source = if given { "[secrets]\nhealth = { env = \"HEALTH_TOKEN\" }\n\n" } else { "" };
        let plan = format!(
            "plan = 1\nname = \"languages\"\n\n[modules]\nown = {{ path = \"step.wasm\" }}\n\n\
             {source}[environment.home]\ninventory = \"home.toml\"\n\n\
             [strategy]\nrole = \"web\"\n\n[[rollout]]\nid = \"config\"\nuses = \"own\"\nwith = {text}\n{secrets}\n{}\n",
            place.fill(more)
        );
        fs::write(place.path("plan.toml"), plan).expect("a plan");
        place
    }

    /// `{etc}` in a text is the folder that the step writes to.
    fn fill(&self, text: &str) -> String {
        text.replace("{etc}", &self.path("etc").to_string_lossy())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// How often the unit was restarted.
    pub(crate) fn restarts(&self) -> usize {
        self.read("asked").unwrap_or_default().lines().filter(|line| *line == "restart shop").count()
    }

    /// Runs the program on the plan.
    pub(crate) fn runner(&self, arguments: &[&str]) -> Ran {
        let ran = Command::new(env!("CARGO_BIN_EXE_runner"))
            .args(arguments)
            .current_dir(self.0.path())
            // One cache for all: what is compiled once is compiled for all of them.
            .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages-cache"))
            .env("HOME", self.0.path())
            .env("HEALTH_TOKEN", "t0ken-that-nobody-sees")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("RUNNER_POLICY")
            .output()
            .expect("the program starts");
        let said = [ran.stdout, ran.stderr].concat();
        Ran { code: ran.status.code().unwrap_or(-1), said: String::from_utf8(said).expect("UTF-8") }
    }

    /// Locks the plan and takes it live.
    pub(crate) fn exec(&self) -> Ran {
        let locked = self.runner(&["lock"]);
        assert_eq!(locked.code, 0, "{}", locked.said);
        self.runner(&["exec"])
    }

    /// What the step did in the newest run: its calls, effects, lines and its end, without what differs from run to run
    /// and from place to place.
    pub(crate) fn did(&self, port: Option<u16>) -> Vec<Value> {
        let runs = fs::read_dir(self.path(".runner/runs")).expect("runs").flatten();
        let journals =
            runs.map(|run| fs::read_to_string(run.path().join("journal.jsonl")).expect("a journal"));
        // Their names are of the same second.
        let begun = |journal: &String| {
            let header: Value =
                serde_json::from_str(journal.lines().next().expect("a header")).expect("JSON");
            header["entry"]["started"].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time")
        };
        let journal = journals.max_by_key(begun).expect("a run");
        assert!(!journal.contains("t0ken-that-nobody-sees"), "the secret is in the journal");
        let here = self.0.path().to_string_lossy().into_owned();
        let port = port.map(|port| format!(":{port}")).unwrap_or(":none".to_owned());
        let text = journal.replace(&here, "{here}").replace(&port, ":{port}");
        let all = text.lines().filter_map(|line| of_step(&serde_json::from_str(line).expect("JSON")));
        // Lines and progress go their own way: only among themselves do they have an order.
        let (said, did): (Vec<Value>, Vec<Value>) = all.partition(|entry| entry.get("event").is_some());
        said.into_iter().chain(did).collect()
    }
}

/// Digests of secrets are made with a key of the run.
fn without_keyed(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.contains_key("parts") {
                map.remove("digest");
            }
            map.values_mut().for_each(without_keyed);
        }
        Value::Array(values) => values.iter_mut().for_each(without_keyed),
        _ => {}
    }
}

fn of_step(line: &Value) -> Option<Value> {
    let entry = &line["entry"];
    match entry["kind"].as_str()? {
        "call" | "intent" | "outcome" => {
            let mut entry = entry.clone();
            // What the target says of times and inodes, and copies for an undo, are of this run.
            for of_this_run in ["undo", "before", "after", "hash", "acts"] {
                entry.as_object_mut()?.remove(of_this_run);
            }
            without_keyed(&mut entry);
            Some(entry)
        }
        "invocation-ended" => Some(json!({ "kind": "ended", "answer": entry["answer"] })),
        "event" if ["log", "progress"].contains(&entry["what"]["event"].as_str()?) => {
            Some(entry["what"].clone())
        }
        _ => None,
    }
}
