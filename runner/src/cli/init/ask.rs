//! Asking a person, on a terminal.

use super::super::fail::Fail;
use dialoguer::Input;

/// One question.
pub(super) struct Question {
    /// The option that answers it.
    pub(super) flag: &'static str,
    /// What is asked.
    pub(super) text: &'static str,
    /// What an empty line means; `None`: just that.
    pub(super) default: Option<String>,
}

/// Says why an answer is none.
pub(super) type Check<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// Whoever is asked.
pub(super) trait Ask {
    /// Whether there is anybody.
    fn is_there(&self) -> bool;

    /// Asks until the answer passes the check.
    fn ask(&mut self, question: &Question, check: Check<'_>) -> Result<String, Fail>;
}

/// Prompts on the terminal; they go to stderr.
pub(super) struct Prompts {
    /// Whether there is a terminal.
    pub(super) terminal: bool,
}

impl Ask for Prompts {
    fn is_there(&self) -> bool {
        self.terminal
    }

    fn ask(&mut self, question: &Question, check: Check<'_>) -> Result<String, Fail> {
        let mut input = Input::<String>::new().with_prompt(question.text).allow_empty(true);
        if let Some(default) = &question.default {
            input = input.default(default.clone());
        }
        let answer = input.validate_with(|text: &String| check(text.trim())).interact_text();
        answer.map(|text| text.trim().to_owned()).map_err(|error| {
            Fail::usage(format_args!("the terminal gives no answer: {error}"))
                .hint(format_args!("answer with `{}`", question.flag))
        })
    }
}
