//! The exact commands of git, and the grants that are the same words with parameters.
//!
//! What is configured for whoever runs git must not decide what comes of a commit, and what is committed must not decide
//! which of the configured programs run: hooks and monitors are off, and attributes of the repository itself, which win
//! over all others, take filters and conversions away.

use runner_sdk::{Attributes, Command, Effect, Result, Target};
use std::time::Duration;

/// What git may speak; without a terminal it asks for nothing.
const ENV: [(&str, &str); 2] = [("GIT_ALLOW_PROTOCOL", "file:https:ssh"), ("GIT_TERMINAL_PROMPT", "0")];

/// What every command begins with.
const GIT: [&str; 6] =
    ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];

/// Every file is what was committed, byte for byte. See gitattributes(5).
const ATTRIBUTES: &str = "* -text -filter -ident -working-tree-encoding\n";

macro_rules! git {
    ($class:literal $rest:literal) => {
        concat!(
            "exec-",
            $class,
            ":GIT_ALLOW_PROTOCOL=file:https:ssh GIT_TERMINAL_PROMPT=0 ",
            "git --no-optional-locks -c core.fsmonitor=false -c core.hooksPath=/dev/null ",
            $rest
        )
    };
}

/// What the step may do.
pub(crate) const GRANTS: &[&str] = &[
    "read:${to}",
    "write:${to}",
    "read:${to}.git",
    "write:${to}.git/info",
    git!("read" "--git-dir=${to}.git rev-parse -q --verify HEAD"),
    git!("read" "--git-dir=${to}.git --work-tree=${to} status --porcelain --untracked-files=no"),
    git!("read" "--git-dir=${to}.git --work-tree=${to} status --porcelain --untracked-files=all --ignored"),
    git!("change" "init -q --bare --template= ${to}.git"),
    git!("change" "--git-dir=${to}.git fetch -q --depth=1 --no-tags --no-write-fetch-head -- ${repository} ${commit}"),
    git!("change" "--git-dir=${to}.git prune --expire=now"),
    git!("change" "--git-dir=${to}.git --work-tree=${to} checkout -q --no-overwrite-ignore --detach *"),
    git!("change" "--git-dir=${to}.git --work-tree=${to} checkout -q --force --detach *"),
    "exec-change:rm -rf -- ${to}.git",
    "exec-change:rm -rf -- ${to}",
];

/// A repository beside the folder of its files.
pub(crate) struct Git<'a> {
    target: &'a Target,
    repository: String,
    files: &'a str,
    patience: Duration,
}

/// How a commit is checked out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Over what the commit before had, and nothing else.
    Own,
    /// Over whatever is there.
    All,
}

impl<'a> Git<'a> {
    /// `patience`: how long one command may take.
    pub(crate) fn new(target: &'a Target, files: &'a str, patience: Duration) -> Self {
        Self { target, repository: format!("{files}.git"), files, patience }
    }

    fn command(&self, words: &[&str], effect: Effect) -> Command {
        let command = Command::new(GIT.iter().chain(words).copied(), effect).timeout(self.patience);
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

    /// Whether there is a repository. What is in it decides what git does: one that somebody else could have made is
    /// refused by the look at its file, before git reads it.
    pub(crate) fn exists(&self) -> Result<bool> {
        Ok(self.target.stat(&format!("{}/HEAD", self.repository))?.is_some())
    }

    /// The commit that is checked out; none in a repository where no checkout came to its end.
    pub(crate) fn head(&self) -> Result<Option<String>> {
        let output =
            self.own(&["rev-parse", "-q", "--verify", "HEAD"], Effect::Read).accept(1).run(self.target)?;
        Ok(Some(output.stdout.trim().to_owned()).filter(|id| output.status == 0 && !id.is_empty()))
    }

    /// The files that are not as they were checked out, one a line; none when there are none.
    pub(crate) fn edited(&self) -> Result<String> {
        self.status(&["--untracked-files=no"])
    }

    /// The same with files that are not of the commit.
    pub(crate) fn not_of_the_commit(&self) -> Result<String> {
        self.status(&["--untracked-files=all", "--ignored"])
    }

    fn status(&self, options: &[&str]) -> Result<String> {
        let asked = self.with_files(&[&["status", "--porcelain"], options].concat(), Effect::Read);
        Ok(asked.run(self.target)?.stdout.trim_end().to_owned())
    }

    pub(crate) fn init(&self) -> Result<()> {
        let undo = Command::new(["rm", "-rf", "--", &self.repository], Effect::Change);
        let init = self.command(&["init", "-q", "--bare", "--template=", &self.repository], Effect::Change);
        init.undo_with(undo).repeatable().run(self.target).map(|_| ())
    }

    /// Also where an earlier run came to here: it may have been another version of this step.
    pub(crate) fn set_attributes(&self) -> Result<()> {
        let folder = format!("{}/info", self.repository);
        self.target.mkdir(&folder, &Attributes::default())?;
        self.target.write(&format!("{folder}/attributes"), ATTRIBUTES, &Attributes::default()).map(|_| ())
    }

    /// Always asks: a fetch that was interrupted leaves the commit without its files.
    pub(crate) fn fetch(&self, from: &str, commit: &str) -> Result<()> {
        let words = ["fetch", "-q", "--depth=1", "--no-tags", "--no-write-fetch-head", "--", from, commit];
        let undo = self.own(&["prune", "--expire=now"], Effect::Change);
        self.own(&words, Effect::Change).undo_with(undo).repeatable().run(self.target).map(|_| ())
    }

    /// Whether a checkout has begun and not come to its end: what is there is of two commits.
    pub(crate) fn is_between(&self) -> Result<bool> {
        Ok(self.target.stat(&self.mark())?.is_some())
    }

    fn mark(&self) -> String {
        format!("{}/info/checking-out", self.repository)
    }

    /// Undone by the commit that was checked out before, or by removing what was new.
    pub(crate) fn check_out(&self, commit: &str, before: Option<&str>, over: Over) -> Result<()> {
        let how = if over == Over::All { "--force" } else { "--no-overwrite-ignore" };
        let check_out =
            |commit: &str| self.with_files(&["checkout", "-q", how, "--detach", commit], Effect::Change);
        let undo = match before {
            Some(before) => check_out(before),
            None => Command::new(["rm", "-rf", "--", self.files], Effect::Change),
        };
        self.target.write(&self.mark(), commit, &Attributes::default())?;
        check_out(commit).undo_with(undo).repeatable().run(self.target)?;
        self.target.remove(&self.mark()).map(|_| ())
    }
}
