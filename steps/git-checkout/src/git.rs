//! The exact commands of git, and the grants that are the same words with parameters.

use runner_sdk::{Command, Effect, Result, Target};
use std::time::Duration;

/// What git may speak; without a terminal it asks for nothing.
const ENV: [(&str, &str); 2] = [("GIT_ALLOW_PROTOCOL", "file:https:ssh"), ("GIT_TERMINAL_PROMPT", "0")];

macro_rules! git {
    ($class:literal $($rest:literal)*) => {
        concat!("exec-", $class, ":GIT_ALLOW_PROTOCOL=file:https:ssh GIT_TERMINAL_PROMPT=0 git ", $($rest),*)
    };
}

/// What the step may do.
pub(crate) const GRANTS: &[&str] = &[
    "read:${to}",
    "write:${to}",
    git!("read" "--git-dir=${to}.git rev-parse -q --verify HEAD"),
    git!("read" "--git-dir=${to}.git --work-tree=${to} status --porcelain --untracked-files=no"),
    git!("read" "--git-dir=${to}.git cat-file -e ${commit}"),
    git!("change" "init -q --bare --template= ${to}.git"),
    git!("change" "--git-dir=${to}.git fetch -q --depth=1 --no-tags --no-write-fetch-head -- ${repository} ${commit}"),
    git!("change" "--git-dir=${to}.git prune --expire=now"),
    git!("change" "--git-dir=${to}.git --work-tree=${to} checkout -q --force --detach *"),
    git!("change" "--git-dir=${to}.git --work-tree=${to} read-tree -u --reset *"),
    "exec-change:rm -rf -- ${to}.git",
];

/// The trees with nothing in them, by the length of the ids of a repository.
const EMPTY: [(usize, &str); 2] = [
    (40, "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
    (64, "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"),
];

/// A repository beside the folder of its files.
pub(crate) struct Git<'a> {
    target: &'a Target,
    repository: String,
    files: &'a str,
    patience: Duration,
}

impl<'a> Git<'a> {
    /// `patience`: how long one command may take.
    pub(crate) fn new(target: &'a Target, files: &'a str, patience: Duration) -> Self {
        Self { target, repository: format!("{files}.git"), files, patience }
    }

    fn command(&self, words: &[&str], effect: Effect) -> Command {
        let argv = std::iter::once("git").chain(words.iter().copied());
        let command = Command::new(argv, effect).timeout(self.patience);
        ENV.iter().fold(command, |command, (name, value)| command.env(name, value))
    }

    fn own(&self, words: &[&str], effect: Effect) -> Command {
        let repository = format!("--git-dir={}", self.repository);
        self.command(&[&[repository.as_str()], words].concat(), effect)
    }

    fn with_files(&self, words: &[&str], effect: Effect) -> Command {
        let files = format!("--work-tree={}", self.files);
        self.own(&[&[files.as_str()], words].concat(), effect)
    }

    /// The commit that is checked out.
    pub(crate) fn head(&self) -> Result<Option<String>> {
        let asked = self.own(&["rev-parse", "-q", "--verify", "HEAD"], Effect::Read).accept(1).accept(128);
        let output = asked.run(self.target)?;
        Ok(Some(output.stdout.trim().to_owned()).filter(|id| output.status == 0 && !id.is_empty()))
    }

    /// The files that are not as they were checked out, one a line; none when there are none.
    pub(crate) fn edited(&self) -> Result<String> {
        let asked = self.with_files(&["status", "--porcelain", "--untracked-files=no"], Effect::Read);
        Ok(asked.run(self.target)?.stdout.trim_end().to_owned())
    }

    pub(crate) fn init(&self) -> Result<()> {
        let undo = Command::new(["rm", "-rf", "--", &self.repository], Effect::Change);
        let init = self.command(&["init", "-q", "--bare", "--template=", &self.repository], Effect::Change);
        init.undo_with(undo).repeatable().run(self.target).map(|_| ())
    }

    /// Unless the commit is there already.
    pub(crate) fn fetch(&self, from: &str, commit: &str) -> Result<()> {
        let words = ["fetch", "-q", "--depth=1", "--no-tags", "--no-write-fetch-head", "--", from, commit];
        self.own(&words, Effect::Change)
            .skip_if(self.own(&["cat-file", "-e", commit], Effect::Read))
            .undo_with(self.own(&["prune", "--expire=now"], Effect::Change))
            .repeatable()
            .run(self.target)
            .map(|_| ())
    }

    /// Undone by the commit that was checked out before, or by none.
    pub(crate) fn check_out(&self, commit: &str, before: Option<&str>) -> Result<()> {
        let check_out = |commit: &str| {
            self.with_files(&["checkout", "-q", "--force", "--detach", commit], Effect::Change)
        };
        let empty = EMPTY.iter().find(|(length, _)| *length == commit.len()).map_or("", |(_, id)| id);
        let undo = match before {
            Some(before) => check_out(before),
            None => self.with_files(&["read-tree", "-u", "--reset", empty], Effect::Change),
        };
        check_out(commit).undo_with(undo).repeatable().run(self.target).map(|_| ())
    }
}
