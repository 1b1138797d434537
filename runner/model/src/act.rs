//! What a step did to the world, as far as people and reports need to know it: which file, which service, which program.
//! Never a value: contents, arguments' secrets and bodies of requests are not in it.

use crate::{Change, Command, EffectClass, Failure, Request, ServiceAction, StepId, TargetName, text};
use serde::{Deserialize, Serialize};

/// How much of a command is shown.
const COMMAND_MAX: usize = 200;

/// An effect that is over, one way or another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Effected {
    /// The step.
    pub step: StepId,
    /// The target that the step ran for.
    pub target: TargetName,
    /// 1 for the first try.
    pub attempt: u32,
    /// The number of the call in its invocation: with the other three, its name in the journal.
    pub number: u32,
    /// The machine that it acted on; `None`: the plan's folder, or a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<TargetName>,
    /// What kind of effect.
    pub class: EffectClass,
    /// What was to be done.
    pub act: Act,
    /// What came of it.
    pub end: EffectEnd,
    /// How long it took.
    pub milliseconds: u64,
    /// What is different now; only when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

/// What an effect was to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Act {
    /// A typed verb.
    Change {
        /// Its name: `write`.
        verb: String,
        /// The path that it writes to.
        path: String,
        /// The new name, of a rename.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// Nothing was there before.
        made: bool,
    },
    /// The init system.
    Service {
        /// Which unit.
        unit: String,
        /// What was asked.
        action: ServiceAction,
    },
    /// A command.
    Command {
        /// The program.
        program: String,
        /// With its arguments, cut when they are long.
        line: String,
    },
    /// A request.
    Request {
        /// In upper case.
        method: String,
        /// Without its query, where tokens are.
        url: String,
    },
    /// A program that is asked over a socket.
    Socket {
        /// Where.
        path: String,
    },
    /// A file of the plan's folder.
    Workspace {
        /// Where.
        path: String,
    },
}

/// What came of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum EffectEnd {
    /// It was done.
    Done,
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Nobody waited for its end: it may have happened.
    InDoubt,
    /// It would be done: this is a dry run.
    Planned,
}

/// What a change made different, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Difference {
    /// Text that was replaced by text.
    Text {
        /// As `diff -u` writes it, cut when it is long.
        unified: String,
        /// Lines that are new.
        added: u64,
        /// Lines that are gone.
        removed: u64,
        /// Lines of `unified` that were cut off.
        left_out: u64,
    },
    /// A content that is not shown.
    Hidden {
        /// Why not.
        why: Hidden,
        /// Bytes before; `None`: no file was there.
        before: Option<u64>,
        /// Bytes now.
        after: u64,
    },
    /// A secret is in it: not even its size is told.
    Secret,
    /// Anything that is told in one line.
    Line {
        /// The line.
        line: String,
    },
}

/// Why a content is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hidden {
    /// It is not text.
    Binary,
    /// It is too large.
    Large,
    /// Not everybody on the target may read the file: what is in it does not belong in a log.
    Private,
    /// What was there could not be read, or was changed by somebody else at that moment.
    Unread,
}

impl Hidden {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Binary => "not text",
            Self::Large => "too large to show",
            Self::Private => "not shown, since not everybody may read the file",
            Self::Unread => "not shown, since what was there could not be read",
        }
    }
}

impl Effected {
    /// Passes every text in it that a step or a target had a say in through `hide`.
    pub fn hide(&mut self, hide: impl Fn(&str) -> String) {
        let texts: Vec<&mut String> = match &mut self.act {
            Act::Change { path, to, .. } => std::iter::once(path).chain(to).collect(),
            Act::Service { unit, .. } => vec![unit],
            Act::Command { program, line } => vec![program, line],
            Act::Request { url, .. } => vec![url],
            Act::Socket { path } | Act::Workspace { path } => vec![path],
        };
        let of_the_end: Vec<&mut String> = match &mut self.end {
            EffectEnd::Failed { failure } => vec![&mut failure.message, &mut failure.detail],
            EffectEnd::Done | EffectEnd::InDoubt | EffectEnd::Planned => vec![],
        };
        let of_the_difference = match &mut self.difference {
            Some(Difference::Text { unified: text, .. } | Difference::Line { line: text }) => Some(text),
            Some(Difference::Hidden { .. } | Difference::Secret) | None => None,
        };
        for text in texts.into_iter().chain(of_the_end).chain(of_the_difference) {
            *text = hide(text);
        }
    }
}

impl Act {
    /// A typed verb; `made`: nothing was there.
    pub fn of_change(change: &Change, made: bool) -> Self {
        Self::Change {
            verb: change.verb().to_owned(),
            path: change.path().to_string(),
            to: change.also_writes().map(ToString::to_string),
            made,
        }
    }

    /// A command.
    pub fn of_command(command: &Command) -> Self {
        let line = command.argv.join(" ");
        let mut end = line.len().min(COMMAND_MAX);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let cut = if end < line.len() { " …" } else { "" };
        Self::Command {
            program: command.argv.first().cloned().unwrap_or_default(),
            line: format!("{}{cut}", &line[..end]),
        }
    }

    /// A request.
    pub fn of_request(request: &Request) -> Self {
        let url = request.url.split(['?', '#']).next().unwrap_or_default();
        Self::Request { method: request.method.clone(), url: url.to_owned() }
    }

    /// One word for its kind: the verb of a change, `service`, `command`, `request`, `socket` or `workspace`.
    pub fn kind(&self) -> &str {
        match self {
            Self::Change { verb, .. } => verb,
            Self::Service { .. } => "service",
            Self::Command { .. } => "command",
            Self::Request { .. } => "request",
            Self::Socket { .. } => "socket",
            Self::Workspace { .. } => "workspace",
        }
    }

    /// In words, harmless to show.
    pub fn words(&self) -> String {
        let words = match self {
            Self::Change { verb, path, to: Some(to), .. } => format!("{verb} {path} to {to}"),
            Self::Change { verb, path, to: None, .. } => format!("{verb} {path}"),
            Self::Service { unit, action } => format!("{} {unit}", action.word()),
            Self::Command { line, .. } => format!("run {line}"),
            Self::Request { method, url } => format!("{method} {url}"),
            Self::Socket { path } => format!("ask the socket {path}"),
            Self::Workspace { path } => format!("write {path} in the plan's folder"),
        };
        text::shown(&words).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_an_effect_is_hidden() {
        let name = |text: &str| text.parse().expect(text);
        let texts = |act: Act, end: EffectEnd, difference: Option<Difference>| {
            let mut effected = Effected {
                step: "s".parse().expect("a step"),
                target: name("t"),
                attempt: 1,
                number: 1,
                on: None,
                class: EffectClass::Change,
                act,
                end,
                milliseconds: 0,
                difference,
            };
            effected.hide(|text| text.replace("hunter22", "***"));
            serde_json::to_string(&effected).expect("JSON")
        };
        let text = || "a hunter22".to_owned();
        let acts = [
            Act::Change { verb: "rename".to_owned(), path: text(), to: Some(text()), made: false },
            Act::Service { unit: text(), action: ServiceAction::Restart },
            Act::Command { program: text(), line: text() },
            Act::Request { method: "POST".to_owned(), url: text() },
            Act::Socket { path: text() },
            Act::Workspace { path: text() },
        ];
        for act in acts {
            let failure = Failure::new(crate::FailureKind::Other, text()).with_detail(text());
            let unified = Difference::Text { unified: text(), added: 1, removed: 0, left_out: 0 };
            for difference in [unified, Difference::Line { line: text() }] {
                let told =
                    texts(act.clone(), EffectEnd::Failed { failure: failure.clone() }, Some(difference));
                assert!(!told.contains("hunter22") && told.contains("***"), "{told}");
            }
        }
    }

    #[test]
    fn a_long_command_is_cut_between_characters_and_a_query_is_not_told() {
        let command = Command {
            argv: vec!["/usr/bin/printf".to_owned(), "ü".repeat(400)],
            effect: EffectClass::Opaque,
            env: Default::default(),
            secret_env: Default::default(),
            stdin: None,
            stdin_file: None,
            decompress: false,
            stdout_to: None,
            compress: false,
            directory: None,
            timeout: 1,
            accept: Vec::new(),
            skip_if: None,
            undo: None,
            keep: false,
            repeatable: false,
        };
        let act = Act::of_command(&command);
        let Act::Command { program, line } = &act else { panic!("{act:?}") };
        assert_eq!(program, "/usr/bin/printf");
        assert!(line.len() <= COMMAND_MAX + 4 && line.ends_with("ü …"), "{line}");
        let request = Request {
            method: "POST".to_owned(),
            url: "https://ci.example.org/hook?token=x#y".to_owned(),
            effect: EffectClass::Opaque,
            headers: Vec::new(),
            secret_headers: Vec::new(),
            body: None,
            via: None,
            connect_to: None,
            timeout: 1,
            undo: None,
            repeatable: false,
        };
        assert_eq!(Act::of_request(&request).words(), "POST https://ci.example.org/hook");
    }
}
