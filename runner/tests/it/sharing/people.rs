//! People with SSH keys, and the operator who knows them.

use super::project::{Project, ran};
use super::registries::{calls, version};
use std::path::PathBuf;
use std::process::Command;

/// A project with a module in a file.
pub(crate) fn of_a_file() -> (Project, Vec<u8>) {
    let project = Project::new("{ path = \"own.wasm\" }", &calls());
    let bytes = version(&project, "0.1.0", &[]);
    project.write("own.wasm", &bytes);
    (project, bytes)
}

impl Project {
    /// Somebody's key, made now: the private half.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.key_with(name, "")
    }

    /// The same, locked by a passphrase.
    pub(crate) fn key_with(&self, name: &str, passphrase: &str) -> PathBuf {
        let file = self.path(name);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f"]).arg(&file);
        let made = ran(command);
        assert_eq!(made.code, 0, "{}", made.said);
        file
    }

    /// A line of `allowed_signers`: this key is that person's, under these options.
    pub(crate) fn allowed(&self, key: &str, principal: &str, options: &str) -> String {
        let public = self.read(&format!("{key}.pub"));
        let mut words = public.split_whitespace();
        let (kind, base64) = (words.next().expect("a type"), words.next().expect("a key"));
        format!("{principal} {options} {kind} {base64}\n")
    }

    /// The operator's policy, and who may sign by it.
    pub(crate) fn policy(&mut self, rules: &str, allowed: &str) {
        std::fs::create_dir_all(self.path("operator")).expect("a folder");
        self.write("operator/allowed_signers", allowed);
        let trust = if allowed.is_empty() { "" } else { "[trust]\nallowed-signers = \"allowed_signers\"\n" };
        let text = format!("policy = 1\n\n{trust}{rules}\n");
        self.write("operator/policy.toml", text);
        let file = self.path("operator/policy.toml").to_string_lossy().into_owned();
        self.set("RUNNER_POLICY", &file);
    }

    /// Sets a variable of the program.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Whether anything was compiled so far for the module of this digest.
    pub(crate) fn is_compiled(&self, digest: &str) -> bool {
        let hex = digest.trim_start_matches("sha256:");
        let compiled = std::fs::read_dir(self.path("cache/runner/compiled"));
        compiled.is_ok_and(|mut files| {
            files.any(|file| file.expect("a file").file_name().to_string_lossy().starts_with(hex))
        })
    }
}
