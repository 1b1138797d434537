//! Commands of a page and what they say: fenced blocks of the language `console`, run in order in an empty folder.
//!
//! A line that begins with `$ ` is a command, the lines after it are its output. `…` alone in a line stands for any
//! lines. Times, sizes, digests and ids of runs may differ. A `toml` block with a file's name before it is written first.

use super::{pages, repository, updating};
use runner_fleet::Fleet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The component of `examples/steps/hello`; built once.
static HELLO: LazyLock<PathBuf> = LazyLock::new(|| {
    let executable = std::env::current_exe().expect("a test is a file");
    let target = runner_guests::outer_target_dir(&executable).expect("it is in cargo's folder");
    let manifest = repository().join("examples/steps/hello/Cargo.toml");
    let guests = runner_guests::Build::new(manifest, target.join("hello")).run();
    let mut guests = guests.unwrap_or_else(|error| panic!("{error}"));
    let file = target.join("hello/hello.wasm");
    std::fs::write(&file, guests.remove(0).component).expect("it is written");
    file
});

pub(crate) fn hello() -> &'static Path {
    &HELLO
}

/// A shell that remembers its folder and its last exit status from one command to the next.
struct Shell {
    home: tempfile::TempDir,
    folder: PathBuf,
    status: i32,
}

impl Shell {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().canonicalize().expect("a path");
        Self { home, folder, status: 0 }
    }

    /// What `/tmp` is on pages: nobody's real one.
    fn tmp(&self) -> String {
        self.home.path().join("tmp").display().to_string()
    }

    fn run(&mut self, command: &str) -> String {
        let at = self.home.path().join(".at");
        let command = command.replace("/tmp", &self.tmp());
        let script = format!(
            "exec 2>&1\n(exit {})\n{command}\nstatus=$?\npwd > '{}'\nexit $status",
            self.status,
            at.display()
        );
        let runner = Path::new(env!("CARGO_BIN_EXE_runner"));
        let path = format!(
            "{}:{}",
            runner.parent().expect("a folder").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let mut shell = Command::new("sh");
        for variable in ["RUNNER_POLICY", "XDG_CONFIG_HOME", "CI", "RUST_LOG"] {
            shell.env_remove(variable);
        }
        let ran = shell
            .args(["-c", &script])
            .current_dir(&self.folder)
            .env("HOME", self.home.path())
            .env("XDG_CACHE_HOME", super::cache())
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .stdin(std::process::Stdio::null())
            .output()
            .expect("sh runs");
        self.status = ran.status.code().unwrap_or(128);
        self.folder = std::fs::read_to_string(&at).expect("a path").trim_end().into();
        String::from_utf8_lossy(&ran.stdout).replace(&self.tmp(), "/tmp")
    }
}

/// The same line without what differs from run to run.
fn blurred(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let runs = word.split_inclusive(|c: char| !c.is_ascii_hexdigit());
        let word: String = runs
            .map(|run| {
                let digits = run.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
                let known = digits.len() >= 6 && digits.contains(|c: char| c.is_ascii_digit());
                if known { format!("#{}", &run[digits.len()..]) } else { run.to_owned() }
            })
            .collect();
        let bare = word.trim_matches(['(', ')', ',', ';', ':']);
        let time = ["ms", "µs", "s"].iter().find_map(|unit| bare.strip_suffix(unit));
        if time.is_some_and(|number| number.parse::<f64>().is_ok()) {
            words.push(word.replace(bare, "#"));
        } else if ["B", "KiB", "MiB", "ms", "s", "min", "h"].contains(&bare) {
            words.pop_if(|number| number.trim_start_matches('(').parse::<f64>().is_ok());
            words.push(word.replace(bare, "#"));
        } else {
            words.push(word);
        }
    }
    words.join(" ")
}

/// Whether an output is what the page says.
fn fits(page: &[&str], said: &[&str]) -> bool {
    match page {
        [] => said.is_empty(),
        ["…", rest @ ..] => (0..=said.len()).any(|skipped| fits(rest, &said[skipped..])),
        [line, rest @ ..] => said
            .split_first()
            .is_some_and(|(first, more)| blurred(line) == blurred(first) && fits(rest, more)),
    }
}

/// Runs a page. `replaced`: files that are written with another content than the page's, by their names.
fn run(page: &str, mut shell: Shell, replaced: &[(&str, String)]) {
    let path = repository().join(page);
    let text = pages::read(&path);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut wrong = Vec::new();
    // Where an output is on the page, from the end, so that replacing one does not move the others.
    let mut places = Vec::new();
    for block in pages::blocks(&text) {
        let other = replaced.iter().find(|(file, _)| block.file.as_deref() == Some(file));
        block.write(&shell.folder, |text| match other {
            Some((_, other)) => other.clone(),
            None => text.replace("/tmp", &shell.tmp()),
        });
        if block.language != "console" {
            continue;
        }
        let shown: Vec<&str> = block.text.lines().collect();
        let starts: Vec<usize> = (0..shown.len()).filter(|index| shown[*index].starts_with("$ ")).collect();
        assert_eq!(starts.first(), Some(&0), "{page}:{}: a block begins with a command", block.line);
        for (number, start) in starts.iter().enumerate() {
            let end = starts.get(number + 1).copied().unwrap_or(shown.len());
            let command = &shown[*start][2..];
            let said = shell.run(command);
            let said: Vec<&str> = said.lines().collect();
            if !fits(&shown[start + 1..end], &said) {
                wrong.push(format!("{page}:{}: $ {command}\n{}", block.line + start + 1, said.join("\n")));
                let said: Vec<String> = said.iter().map(|line| line.trim_end().to_owned()).collect();
                places.push((block.line + start + 1..block.line + end, said));
            }
        }
    }
    if updating() {
        for (place, said) in places.into_iter().rev() {
            lines.splice(place, said);
        }
        std::fs::write(&path, lines.join("\n") + "\n").expect("the page is written");
    } else {
        assert!(
            wrong.is_empty(),
            "says something else now:\n{}\nhint: {}",
            wrong.join("\n\n"),
            super::COMMAND
        );
    }
}

#[test]
fn the_tutorial_says_what_happens() {
    let fleet: Fleet = match Fleet::start(1) {
        Ok(fleet) => fleet,
        Err(why) => {
            eprintln!("SKIPPED: the tutorial: {why}");
            return;
        }
    };
    let inventory = std::fs::read_to_string(fleet.inventory()).expect("an inventory");
    run("docs/tutorial.md", Shell::new(), &[("staging.toml", inventory)]);
}

#[test]
fn the_guide_for_authors_says_what_happens() {
    let shell = Shell::new();
    let folder = shell.home.path().join("hello/target");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(hello(), folder.join("hello.wasm")).expect("a copy");
    run("docs/writing-a-step.md", shell, &[]);
}

#[test]
fn what_differs_from_run_to_run_is_not_compared() {
    let page = "      0.1 s  here  distribute: ok in 112 ms (2 changes, 294 B sent)";
    assert!(fits(&[page], &["     12.0 s  here  distribute: ok in 1.2 s (2 changes, 1.2 KiB sent)"]));
    assert!(!fits(&[page], &["      0.0 s  here  distribute: ok in 1.2 s (3 changes, 1.2 KiB sent)"]));
    assert!(fits(&["release d8d57a1171b7", "…", "end"], &["release 12815913d594", "a", "b", "end"]));
    assert!(!fits(&["…", "end"], &["a"]));
}
