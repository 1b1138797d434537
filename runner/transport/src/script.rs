//! The script that runs on targets, and how requests to it are written.
//!
//! A request is one line, since the remote loop reads one line and evaluates it; whatever a line cannot hold, a
//! quoted argument expresses. Nothing that is not quoted here ever reaches a shell.

use runner_model::{Failure, FailureKind};
use std::sync::LazyLock;

/// The script, in the order in which it is read.
const PARTS: [&str; 12] = [
    include_str!("prelude/base.sh"),
    include_str!("prelude/paths.sh"),
    include_str!("prelude/read.sh"),
    include_str!("prelude/change.sh"),
    include_str!("prelude/release.sh"),
    include_str!("prelude/archive.sh"),
    include_str!("prelude/undo.sh"),
    include_str!("prelude/socket.sh"),
    include_str!("prelude/groups.sh"),
    include_str!("prelude/command.sh"),
    include_str!("prelude/lock.sh"),
    include_str!("prelude/watchdog.sh"),
];

/// The prelude on one line, without comments: a login shell that is not POSIX may refuse line ends in a command.
static PRELUDE: LazyLock<String> = LazyLock::new(|| one_line(&PARTS.concat()));

/// What the remote `sh -c` runs: definitions, then the loop. `announce` is printed in between.
pub(crate) fn program(announce: Option<&str>) -> String {
    let ready = announce.map(|token| format!("printf \"%s\\n\" {token}; ")).unwrap_or_default();
    format!("{}; {ready}while IFS= read -r l; do eval \"$l\"; done", *PRELUDE)
}

/// The environment of every remote shell and so of every command; expanded by the login shell.
pub(crate) const CLEAN: &str = "env -i PATH=\"$PATH\" HOME=\"$HOME\" USER=\"$USER\" LANG=C.UTF-8";

/// The command string of a channel that acts as the login user.
pub(crate) fn login_command() -> String {
    format!("exec {CLEAN} sh -c '{}'", program(None))
}

/// The line that turns a bare `sh`, such as one behind sudo, into ours: it reads ahead, so nothing may follow on its
/// stdin before it has printed the token.
pub(crate) fn takeover(token: &str) -> String {
    format!("exec {CLEAN} sh -c '{}'\n", program(Some(token)))
}

pub(crate) fn one_line(script: &str) -> String {
    let mut line = String::with_capacity(script.len());
    let mut before = "";
    for statement in script.lines().map(str::trim) {
        if statement.is_empty() || statement.starts_with('#') {
            continue;
        }
        if !line.is_empty() {
            line.push_str(if continues(before) { " " } else { "; " });
        }
        line.push_str(statement);
        before = statement;
    }
    line
}

/// Whether a statement cannot end after this line: a word that wants more, or a pattern of `case`.
fn continues(line: &str) -> bool {
    let last = line.rsplit(' ').next().unwrap_or(line);
    matches!(last, "{" | "(" | "do" | "then" | "else" | "in" | "&&" | "||" | "|" | ";;" | "&")
        || line.ends_with(')') && !line.contains('(')
}

/// A request in the making: words of one line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Vec<u8>);

impl Line {
    /// A line that begins with this script text.
    pub(crate) fn new(script: &str) -> Self {
        Self(script.as_bytes().to_vec())
    }

    /// Adds a word that needs no quotes.
    pub(crate) fn word(mut self, word: &str) -> Self {
        self.0.push(b' ');
        self.0.extend_from_slice(word.as_bytes());
        self
    }

    /// Adds an argument, whatever is in it but NUL.
    pub(crate) fn arg(mut self, text: impl AsRef<[u8]>) -> Self {
        self.0.push(b' ');
        quote_into(&mut self.0, text.as_ref());
        self
    }

    /// Adds arguments.
    pub(crate) fn args(self, texts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        texts.into_iter().fold(self, |line, text| line.arg(text))
    }

    /// Adds the words of another line.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.0.push(b' ');
        self.0.extend_from_slice(&other.0);
        self
    }

    /// The bytes, without a line end.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// In single quotes; a line end becomes the variable that holds one.
fn quote_into(line: &mut Vec<u8>, text: &[u8]) {
    line.push(b'\'');
    for &byte in text {
        match byte {
            b'\'' => line.extend_from_slice(b"'\\''"),
            b'\n' => line.extend_from_slice(b"'\"$n\"'"),
            byte => line.push(byte),
        }
    }
    line.push(b'\'');
}

/// Text in single quotes for a script that is itself an argument.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Refuses what no argument, variable or link can hold.
pub(crate) fn no_nul(what: &str, text: &str) -> Result<(), Failure> {
    if text.contains('\0') {
        return Err(Failure::new(FailureKind::Invalid, format!("{what} has a NUL in it")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prelude_is_one_line_without_single_quotes() {
        assert!(!PRELUDE.contains(['\'', '\n']), "{:?}", PRELUDE.find('\''));
        assert!(!PRELUDE.contains("; ;"), "an empty statement");
    }

    #[test]
    fn no_function_takes_the_name_of_another() {
        let parts = PARTS.concat();
        let mut names: Vec<&str> = parts.lines().filter_map(|line| line.strip_suffix("() {")).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert!(all > 100 && names.len() == all, "{names:?}");
    }

    #[test]
    fn quoting_keeps_every_byte_but_the_line_end() {
        let line = Line::new("q 1 v").arg("a'b\nc$`\"\\").arg("");
        assert_eq!(line.bytes(), b"q 1 v 'a'\\''b'\"$n\"'c$`\"\\' ''");
    }
}
