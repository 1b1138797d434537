//! Plans, their inventories, and the runner's binary on them.

use crate::Outcome;
use runner_fleet::Fleet;
use runner_journal::Record;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder with a plan in it, and a cache of its own, so that what is warm is known.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Writes and locks the plan. The lock compiles the modules, so what comes after is warm.
    pub(crate) fn new(plan: &str, inventory: &str) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("runner-bench-").tempdir()?;
        std::fs::write(folder.path().join("plan.toml"), plan)?;
        std::fs::write(folder.path().join("bench.toml"), inventory)?;
        let place = Self { folder };
        let locked = place.runner("lock").output()?;
        if !locked.status.success() {
            return Err(words("lock the plan", &locked).into());
        }
        Ok(place)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The journal of the last run.
    pub(crate) fn journal(&self) -> Outcome<Record> {
        let runs = std::fs::read_dir(self.path().join(".runner/runs"))?;
        let runs = runs.map(|run| Ok(run?.path())).collect::<std::io::Result<Vec<_>>>()?;
        let last = runs.into_iter().max().ok_or("no run has left a journal")?;
        Ok(Record::load(&last.join("journal.jsonl")).map_err(|damage| format!("{damage:?}"))?)
    }

    /// The release that is deployed: `files` files of 10 KB. `word` is in every fiftieth.
    pub(crate) fn application(&self, files: usize, word: &str) -> Outcome<()> {
        let app = self.path().join("app");
        std::fs::create_dir_all(&app)?;
        std::fs::write(app.join("version.txt"), word)?;
        for number in 0..files {
            let seed = if number % 50 == 0 { word } else { "same" };
            let text: String = (0..640).map(|line| format!("{number:06} {line:04} {seed}\n")).collect();
            std::fs::write(app.join(format!("{number}.txt")), text)?;
        }
        Ok(())
    }

    /// The runner with this subcommand on the plan.
    pub(crate) fn runner(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command.current_dir(self.path()).arg(subcommand).arg("plan.toml");
        command.env("XDG_CACHE_HOME", self.path().join("cache")).stdin(Stdio::null());
        command
    }

    /// A program that stands before the others in PATH: a script that says when it began and, where it comes back,
    /// when it ended.
    pub(crate) fn stand_in(&self, name: &str, times: &Path, comes_back: bool) -> Outcome<OsString> {
        use std::os::unix::fs::PermissionsExt as _;
        let real = find(name)?;
        let (real, times) = (real.display(), times.display());
        let rest = if comes_back {
            format!("\"{real}\" \"$@\"; status=$?; echo end $EPOCHREALTIME >> \"{times}\"; exit $status")
        } else {
            format!("exec \"{real}\" \"$@\"")
        };
        let folder = self.path().join("bin");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/bash\necho begin $EPOCHREALTIME >> \"{times}\"\n{rest}\n"))?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
        let mut path = folder.into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        Ok(path)
    }
}

fn find(program: &str) -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    found.ok_or_else(|| format!("`{program}` is not in PATH").into())
}

/// Why a program failed.
pub(crate) fn words(what: &str, output: &Output) -> String {
    format!("{what}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim())
}

/// One step on each target.
pub(crate) const ONE_STEP: &str = "plan = 1
name = \"start\"

[modules]
std = \"builtin\"

[environment.bench]
inventory = \"bench.toml\"

[strategy]
role = \"web\"
batches = [\"100%\"]

[[rollout]]
id = \"first\"
uses = \"std/command\"
with = { argv = [\"true\"], effect = \"read\" }
";

/// The whole job: package, back up, distribute, switch, restart, ask, prune.
pub(crate) const DEPLOY: &str = "plan = 1
name = \"deploy\"

[modules]
std = \"builtin\"

[environment.bench]
inventory = \"bench.toml\"

[release]
root = \"/srv/app\"
artifact = \"${package.artifact}\"
keep = 5

[strategy]
role = \"web\"
batches = [\"100%\"]

[[prepare]]
id = \"package\"
uses = \"std/package\"
with = { source = \"app\" }

[[stage]]
id = \"backup\"
uses = \"std/backup\"
with = { root = \"${release.root}\", keep = 5 }

[[stage]]
id = \"distribute\"
uses = \"std/distribute\"
with = { artifact = \"${release.artifact}\", root = \"${release.root}\" }

[[rollout]]
id = \"switch\"
uses = \"std/switch\"
with = { root = \"${release.root}\", release = \"${release.id}\" }

[[rollout]]
id = \"restart\"
uses = \"std/restart\"
with = { unit = \"nginx\", when = \"always\" }

[[rollout]]
id = \"smoke-test\"
uses = \"std/smoke-test\"
with = { url = \"http://${target.address}:${target.vars.http-port}/version.txt\", status = 200 }

[[rollout]]
id = \"prune\"
uses = \"std/prune\"
with = { root = \"${release.root}\", keep = \"${release.keep}\" }
";

/// The fleet's inventory with the fast key exchange: what is measured is the runner.
pub(crate) fn inventory(fleet: &Fleet) -> Outcome<String> {
    let text = std::fs::read_to_string(fleet.inventory())?;
    Ok(text.replacen("[ssh]\n", "[ssh]\nkex = \"fast\"\n", 1))
}
