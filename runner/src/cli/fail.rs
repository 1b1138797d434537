//! Why a command ends early, how that is said, and with which exit code: the one place where errors are rendered.

use crate::secret::NotFetched;
use runner_model::Problems;
use runner_model::diagnostic::Style;
use runner_model::text::{shown, shown_lines};
use std::fmt;
use std::io::{IsTerminal as _, Write as _};

/// The command line or the plan is invalid.
pub(crate) const INVALID: u8 = 2;
/// Refused before start.
pub(crate) const REFUSED: u8 = 3;
/// As a run whose targets are unreachable.
pub(crate) const UNREACHABLE: u8 = 5;
/// A step or a test failed, or a target was left out.
pub(crate) const FAILED: u8 = 4;
/// A bug, or the machine that the runner runs on.
const INTERNAL: u8 = 1;

/// Why a command ends before anything was touched.
#[derive(Debug)]
pub(crate) enum Fail {
    /// All that is wrong with what people wrote.
    Invalid(Problems),
    /// One thing that is wrong, without a place in a file.
    Said(Said),
}

/// A message, what belongs below it, and how to mend it.
#[derive(Debug)]
pub(crate) struct Said {
    code: u8,
    message: String,
    detail: String,
    hint: String,
}

impl From<Vec<NotFetched>> for Fail {
    /// Secrets that could not be fetched: nothing was touched.
    fn from(failed: Vec<NotFetched>) -> Self {
        let mut detail = String::new();
        for secret in &failed {
            detail.push_str(&format!("{secret}\n"));
            for line in secret.why.hint.iter().flat_map(|hint| hint.lines()) {
                detail.push_str(&format!("  hint: {line}\n"));
            }
        }
        let message = match failed.len() {
            1 => "a secret of the run cannot be fetched, and nothing was done".to_owned(),
            count => format!("{count} secrets of the run cannot be fetched, and nothing was done"),
        };
        Self::refused(message).detail(detail)
    }
}

impl Fail {
    /// The command line makes no sense.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::said(INVALID, message)
    }

    /// Nothing is wrong with the plan, and it must not run.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::said(REFUSED, message)
    }

    /// The machine that the runner runs on is in the way.
    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self::said(INTERNAL, message)
    }

    /// A signal came before anything was touched.
    pub(crate) fn interrupted(code: u8) -> Self {
        Self::said(code, "interrupted before anything was touched")
    }

    /// A target that must be asked does not answer.
    pub(crate) fn unreachable(message: impl fmt::Display) -> Self {
        Self::said(UNREACHABLE, message)
    }

    /// What happened on targets cannot be told, and must be before anything more is.
    pub(crate) fn undecided(message: impl fmt::Display) -> Self {
        Self::said(FAILED, message)
    }

    fn said(code: u8, message: impl fmt::Display) -> Self {
        Self::Said(Said { code, message: message.to_string(), detail: String::new(), hint: String::new() })
    }

    /// The same with lines below it.
    #[must_use]
    pub(crate) fn detail(mut self, detail: impl fmt::Display) -> Self {
        if let Self::Said(said) = &mut self {
            said.detail = detail.to_string();
        }
        self
    }

    /// The same with how to mend it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        if let Self::Said(said) = &mut self {
            said.hint = hint.to_string();
        }
        self
    }

    /// The message, and all that helps to mend it.
    pub(crate) fn said_and_mend(&self) -> (String, String) {
        match self {
            Self::Invalid(problems) => (problems.plain(), String::new()),
            Self::Said(Said { message, detail, hint, .. }) => (message.clone(), format!("{detail}\n{hint}")),
        }
    }

    /// The exit code, as documented.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Invalid(_) => INVALID,
            Self::Said(said) => said.code,
        }
    }

    /// The whole message, as it goes to stderr.
    pub(crate) fn render(&self, style: Style) -> String {
        match self {
            Self::Invalid(problems) => problems.render(style),
            Self::Said(said) => said.render(style.colour),
        }
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) {
        // A closed stderr leaves the exit code to say it.
        let _ = std::io::stderr().write_all(self.render(style()).as_bytes());
    }
}

impl Said {
    fn render(&self, colour: bool) -> String {
        let paint = |code: &str, text: &str| {
            if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
        };
        // Whoever made the message has made it harmless where it quotes somebody; this is for what was forgotten.
        let mut out = format!("{} {}\n", paint("1;31", "error:"), shown_lines(&self.message));
        for line in self.detail.lines() {
            out.push_str(&format!("  {}\n", shown(line)));
        }
        for (number, line) in self.hint.lines().map(shown).enumerate() {
            if number == 0 {
                out.push_str(&format!("\n{} {line}\n", paint("1;36", "hint:")));
            } else {
                out.push_str(&format!("      {line}\n"));
            }
        }
        out
    }
}

impl From<Problems> for Fail {
    fn from(problems: Problems) -> Self {
        Self::Invalid(problems)
    }
}

impl From<runner_model::Problem> for Fail {
    fn from(problem: runner_model::Problem) -> Self {
        Self::Invalid(problem.into())
    }
}

/// How problems are drawn on this stderr.
pub(crate) fn style() -> Style {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let terminal = std::io::stderr().is_terminal();
    Style { colour: terminal && !no_colour, width: if terminal { 100 } else { 120 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_details_and_its_hint_and_reads_without_colour() {
        let fail = Fail::refused("the plan is not what `plan.lock` accepted")
            .detail("step `switch`\n  + write:/srv/shop")
            .hint("run `runner lock`");
        assert_eq!(fail.exit_code(), 3);
        insta::assert_snapshot!(fail.render(Style { colour: false, width: 80 }), @r"
        error: the plan is not what `plan.lock` accepted
          step `switch`
            + write:/srv/shop

        hint: run `runner lock`
        ");
    }
}
