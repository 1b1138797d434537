//! Secrets in encrypted files beside the plan: `runner secrets`, the real `age` and the real `sops` read what the others
//! write.

use crate::support::job::Job;
use runner_fleet::{Fleet, fleet_or_skip};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const WRITTEN: &str = "secrets.age is written, for the 1 key in secrets.age.recipients\n";
const TEXT: &str = "db-password = \"correct-horse\"\n[smtp]\npassword = \"battery-staple\"\n";

/// A folder with keys of age, and an editor.
struct Desk(tempfile::TempDir);

impl Desk {
    /// `None`, and a visible skip, without the program.
    fn new() -> Option<Self> {
        if Command::new("age").arg("--version").output().is_err() {
            eprintln!("SKIPPED: `age` is not installed");
            return None;
        }
        let desk = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder"));
        for name in ["me", "you"] {
            ran(Command::new("age-keygen").arg("-o").arg(desk.path(name)));
        }
        desk.recipients(&["me"]);
        Some(desk)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The public key of a name.
    fn public(&self, name: &str) -> String {
        ran(Command::new("age-keygen").arg("-y").arg(self.path(name))).trim().to_owned()
    }

    fn recipients(&self, names: &[&str]) {
        let keys: String = names.iter().map(|name| format!("# {name}\n{}\n", self.public(name))).collect();
        fs::write(self.path("secrets.age.recipients"), keys).expect("written");
    }

    /// `runner secrets COMMAND secrets.age`, with the key of a name and an editor that is a script.
    fn runner(&self, command: &str, key: Option<&str>, editor: &str) -> (i32, String) {
        let script = self.path("editor.sh");
        fs::write(&script, editor).expect("written");
        let mut runner = Command::new(env!("CARGO_BIN_EXE_runner"));
        runner.args(["secrets", command, "secrets.age"]).current_dir(self.0.path()).stdin(Stdio::null());
        runner
            .env("HOME", self.0.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("VISUAL")
            .env("NO_COLOR", "1");
        runner.env("EDITOR", format!("sh '{}'", script.display())).env_remove("RUNNER_AGE_IDENTITY");
        runner.envs(key.map(|name| ("RUNNER_AGE_IDENTITY", self.path(name))));
        let output = runner.output().expect("it starts");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn edit(&self, text: &str) -> (i32, String) {
        fs::write(self.path("wanted"), text).expect("written");
        self.runner("edit", Some("me"), &format!("cat '{}' > \"$1\"", self.path("wanted").display()))
    }

    /// What the real program finds in the file.
    fn opened(&self, key: &str) -> Option<String> {
        let mut age = Command::new("age");
        let output =
            age.args(["-d", "-i"]).arg(self.path(key)).arg(self.path("secrets.age")).output().expect("age");
        output.status.success().then(|| String::from_utf8(output.stdout).expect("text"))
    }
}

fn ran(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_file_that_was_edited_is_one_that_age_opens() {
    let Some(desk) = Desk::new() else { return };
    assert_eq!(desk.edit(TEXT), (0, WRITTEN.to_owned()));
    assert_eq!(desk.opened("me").as_deref(), Some(TEXT));
    assert_eq!(desk.opened("you"), None);
    // The editor sees what is in it; what it leaves alone is left alone.
    let cipher = fs::read(desk.path("secrets.age")).expect("there");
    let look = format!(
        "cp \"$1\" '{}'; echo \"$1\" > '{}'",
        desk.path("seen").display(),
        desk.path("place").display()
    );
    let look = desk.runner("edit", Some("me"), &look);
    assert_eq!(look, (0, "secrets.age is as it was\n".to_owned()));
    assert_eq!(fs::read_to_string(desk.path("seen")).expect("seen"), TEXT);
    assert_eq!(fs::read(desk.path("secrets.age")).expect("there"), cipher);
    let place = fs::read_to_string(desk.path("place")).expect("written");
    assert!(!Path::new(place.trim()).parent().expect("a folder").exists(), "the text is gone: {place}");
    // A link to the file stays one.
    fs::create_dir(desk.path("sub")).expect("a folder");
    fs::rename(desk.path("secrets.age"), desk.path("sub/secrets.age")).expect("moved");
    fs::rename(desk.path("secrets.age.recipients"), desk.path("sub/secrets.age.recipients")).expect("moved");
    std::os::unix::fs::symlink("sub/secrets.age", desk.path("secrets.age")).expect("a link");
    assert_eq!(desk.edit("token = \"a-new-value\"\n").0, 0);
    assert!(desk.path("secrets.age").is_symlink());
    assert_eq!(desk.opened("me").as_deref(), Some("token = \"a-new-value\"\n"));
}

/// What was kept, which nobody else may see; it is gone then.
fn remove_kept(said: &str) -> Vec<u8> {
    let kept =
        said.split("what you wrote is in ").nth(1).and_then(|rest| rest.split(',').next()).expect("a path");
    let folder = Path::new(kept).parent().expect("a folder");
    assert_eq!(fs::metadata(folder).expect("there").permissions().mode() & 0o777, 0o700);
    let text = fs::read(kept).expect("kept");
    fs::remove_dir_all(folder).expect("removed");
    text
}

#[test]
fn nothing_is_lost_when_something_goes_wrong() {
    let Some(desk) = Desk::new() else { return };
    desk.edit(TEXT);
    let cipher = fs::read(desk.path("secrets.age")).expect("there");
    let same = || assert_eq!(fs::read(desk.path("secrets.age")).expect("there"), cipher);

    let (code, said) = desk.runner("edit", Some("me"), "exit 3");
    assert!(code == 2 && said.contains("ended with exit status: 3"), "{said}");
    same();
    let (code, said) = desk.edit("db-password = hunter22\n");
    assert!(code == 2 && said.contains("secrets.age is as it was: it is not TOML: line 1"), "{said}");
    assert!(!said.contains("hunter22"), "{said}");
    same();
    // What was written is kept for whoever wrote it, and for nobody else.
    let kept =
        said.split("what you wrote is in ").nth(1).and_then(|rest| rest.split(',').next()).expect("a path");
    assert_eq!(fs::read_to_string(kept).expect("kept"), "db-password = hunter22\n");
    let folder = Path::new(kept).parent().expect("a folder");
    assert_eq!(fs::metadata(folder).expect("there").permissions().mode() & 0o777, 0o700);
    fs::remove_dir_all(folder).expect("removed");

    // An editor that saved and then failed, and one that wrote something else than text.
    for (editor, why) in [
        ("echo 'a = \"saved-it\"' > \"$1\"; exit 1", "ended with exit status: 1"),
        ("printf '\\377' > \"$1\"", "not UTF-8"),
    ] {
        let (code, said) = desk.runner("edit", Some("me"), editor);
        assert!(code == 2 && said.contains(why) && said.contains("what you wrote is in "), "{said}");
        same();
        remove_kept(&said);
    }
    // Whoever ends the runner ends the editor, and nothing stays where it was decrypted to.
    let place = desk.path("place");
    let editor = format!("echo \"$1\" > '{}'; kill -s TERM $PPID; exec sleep 1000", place.display());
    let (code, said) = desk.runner("edit", Some("me"), &editor);
    assert_eq!(code, 143, "{said}");
    let text = fs::read_to_string(&place).expect("written");
    assert!(!Path::new(text.trim()).exists(), "{text}");
    same();

    let (code, said) = desk.runner("edit", Some("you"), "exit 0");
    assert!(code == 2 && said.contains("none of your keys opens it"), "{said}");
    let (code, said) = desk.runner("edit", None, "exit 0");
    assert!(code == 2 && said.contains("`RUNNER_AGE_IDENTITY` names no file"), "{said}");
    desk.recipients(&["you"]);
    let (code, said) = desk.runner("rekey", Some("me"), "");
    assert!(code == 2 && said.contains("you could not open it yourself"), "{said}");
    fs::remove_file(desk.path("secrets.age.recipients")).expect("removed");
    let (code, said) = desk.runner("rekey", Some("me"), "");
    assert!(code == 2 && said.contains("nobody is named who may open secrets.age"), "{said}");
    same();
}

#[test]
fn a_rekey_lets_others_in() {
    let Some(desk) = Desk::new() else { return };
    desk.edit(TEXT);
    desk.recipients(&["me", "you"]);
    let (code, said) = desk.runner("rekey", Some("me"), "");
    assert_eq!(
        (code, said.as_str()),
        (0, "secrets.age is encrypted for the 2 keys in secrets.age.recipients\n")
    );
    assert_eq!((desk.opened("me"), desk.opened("you")), (Some(TEXT.to_owned()), Some(TEXT.to_owned())));
}

#[test]
fn a_key_of_ssh_is_enough() {
    let Some(desk) = Desk::new() else { return };
    fs::create_dir(desk.path(".ssh")).expect("a folder");
    let key = desk.path(".ssh/id_ed25519");
    ran(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
    fs::copy(desk.path(".ssh/id_ed25519.pub"), desk.path("secrets.age.recipients")).expect("copied");
    fs::write(desk.path("wanted"), TEXT).expect("written");
    let editor = format!("cat '{}' > \"$1\"", desk.path("wanted").display());
    assert_eq!(desk.runner("edit", None, &editor), (0, WRITTEN.to_owned()));
    assert_eq!(desk.opened(".ssh/id_ed25519").as_deref(), Some(TEXT));
}

/// A plan that writes two secrets into files of the target.
fn job(fleet: &Fleet, sources: &str) -> Job {
    let capabilities = json!({ "ssh": ["write:/srv/app"], "secrets": ["*"] });
    let write =
        |path: &str, secret: &str| json!({ "call": "targets.write-secret", "path": path, "secret": secret });
    let calls = json!([write("/srv/app/one", "db-password"), write("/srv/app/two", "smtp")]);
    let job = Job::new(fleet, &capabilities, &calls, "secrets = [\"db-password\", \"smtp\"]");
    job.add(&format!("[secrets]\n{sources}"));
    job
}

fn written(fleet: &Fleet, job: &Job) {
    job.lock();
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let read = |path: &str| fs::read_to_string(fleet.host(1).outside(path)).expect("written");
    assert_eq!(
        (read("/srv/app/one").as_str(), read("/srv/app/two").as_str()),
        ("correct-horse", "battery-staple")
    );
    for entry in job.journal().expect("a journal") {
        assert!(!entry.to_string().contains("battery-staple"), "{entry}");
    }
}

#[test]
fn a_run_takes_values_out_of_what_age_encrypted() {
    let Some(desk) = Desk::new() else { return };
    let fleet = fleet_or_skip!(Fleet::start(1));
    let mut job = job(
        &fleet,
        "db-password = { age = \"secrets.age\" }\nsmtp = { age = \"secrets.age\", key = \"smtp.password\" }\n",
    );
    fs::write(desk.path("plain"), TEXT).expect("written");
    let mut age = Command::new("age");
    age.args(["-r", &desk.public("me"), "-o"]).arg(job.plan().join("secrets.age")).arg(desk.path("plain"));
    ran(&mut age);
    job.env = vec![("RUNNER_AGE_IDENTITY".to_owned(), desk.path("me").display().to_string())];
    written(&fleet, &job);

    job.env = vec![("RUNNER_AGE_IDENTITY".to_owned(), desk.path("you").display().to_string())];
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    for said in ["(from age secrets.age db-password)", "none of your keys opens it", "runner secrets rekey"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
}

#[test]
fn a_run_takes_values_out_of_what_sops_encrypted() {
    let sops = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin/sops");
    if !Path::new(sops).exists() {
        eprintln!("SKIPPED: `sops` is not installed");
        return;
    }
    let Some(desk) = Desk::new() else { return };
    let fleet = fleet_or_skip!(Fleet::start(1));
    let mut job = job(
        &fleet,
        "db-password = { sops = \"secrets.yaml\" }\nsmtp = { sops = \"secrets.yaml\", key = \"smtp.password\" }\n",
    );
    let yaml = job.plan().join("secrets.yaml");
    fs::write(&yaml, "db-password: correct-horse\nsmtp:\n  password: battery-staple\n").expect("written");
    ran(Command::new(sops).args(["--encrypt", "--in-place", "--age", &desk.public("me")]).arg(&yaml));
    assert!(!fs::read_to_string(&yaml).expect("there").contains("battery"), "encrypted");
    let folder = Path::new(sops).parent().expect("a folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").expect("a path"));
    let key = desk.path("me").display().to_string();
    job.env = vec![("PATH".to_owned(), path), ("SOPS_AGE_KEY_FILE".to_owned(), key)];
    written(&fleet, &job);

    job.env[1].1 = desk.path("you").display().to_string();
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("(from sops secrets.yaml db-password)"), "{ran:?}");
}
