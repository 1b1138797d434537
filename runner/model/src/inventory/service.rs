//! The command that starts and stops services on a target without systemd.

use crate::ServiceAction;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A program and its arguments, with `${action}` and `${unit}` to fill in. Never a shell line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub struct ServiceCommand(Vec<String>);

/// A list that is no service command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadServiceCommand {
    /// There is no program.
    #[error("a service command needs a program: `[\"/srv/app/bin/appctl\", \"${{action}}\"]`")]
    Empty,
    /// The program is looked up on the target, by a path that steps cannot move.
    #[error("`{}` must be the absolute path of a program", .0.escape_debug())]
    Program(String),
    /// Every action would do the same.
    #[error("no argument is `${{action}}`: start and stop would be the same")]
    NoAction,
    /// Something else than the two references.
    #[error("`{}` refers to something else than `${{action}}` and `${{unit}}`", .0.escape_debug())]
    Reference(String),
    /// A terminal or a log would show something else than what is run.
    #[error("`{}` has a control character in it", .0.escape_debug())]
    Control(String),
}

const ACTION: &str = "${action}";
const UNIT: &str = "${unit}";

impl ServiceCommand {
    /// A command from its arguments.
    ///
    /// # Errors
    /// Its program is no absolute path, `${action}` is nowhere, or there are other references.
    pub fn new(argv: Vec<String>) -> Result<Self, BadServiceCommand> {
        let program = argv.first().ok_or(BadServiceCommand::Empty)?;
        if !program.starts_with('/') || program.contains("${") {
            return Err(BadServiceCommand::Program(program.clone()));
        }
        if let Some(argument) = argv.iter().find(|argument| argument.chars().any(char::is_control)) {
            return Err(BadServiceCommand::Control(argument.clone()));
        }
        if let Some(other) = argv.iter().find(|a| a.replace(ACTION, "").replace(UNIT, "").contains("${")) {
            return Err(BadServiceCommand::Reference(other.clone()));
        }
        if !argv.iter().any(|argument| argument.contains(ACTION)) {
            return Err(BadServiceCommand::NoAction);
        }
        Ok(Self(argv))
    }

    /// As it is written.
    pub fn written(&self) -> &[String] {
        &self.0
    }

    /// The arguments for one action; each stays one argument, whatever the unit is called.
    pub fn argv(&self, unit: &str, action: ServiceAction) -> Vec<String> {
        self.0.iter().map(|argument| fill(argument, unit, action)).collect()
    }
}

/// Fills in from the left, so that a unit called `${action}` stays what it is.
fn fill(argument: &str, unit: &str, action: ServiceAction) -> String {
    let mut filled = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find("${") {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix(ACTION) {
            filled.push_str(action.word());
            rest = after;
        } else if let Some(after) = rest.strip_prefix(UNIT) {
            filled.push_str(unit);
            rest = after;
        } else {
            break;
        }
    }
    filled.push_str(rest);
    filled
}

impl TryFrom<Vec<String>> for ServiceCommand {
    type Error = BadServiceCommand;
    fn try_from(argv: Vec<String>) -> Result<Self, BadServiceCommand> {
        Self::new(argv)
    }
}

impl From<ServiceCommand> for Vec<String> {
    fn from(command: ServiceCommand) -> Self {
        command.0
    }
}

impl JsonSchema for ServiceCommand {
    fn schema_name() -> Cow<'static, str> {
        "ServiceCommand".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "items": { "type": "string" },
            "minItems": 2,
            "description": "A program and its arguments: `[\"/srv/app/bin/appctl\", \"${action}\"]`."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(argv: &[&str]) -> Result<ServiceCommand, BadServiceCommand> {
        ServiceCommand::new(argv.iter().map(|a| (*a).to_owned()).collect())
    }

    #[test]
    fn action_and_unit_are_filled_in_once() {
        let command = command(&["/bin/appctl", "--unit=${unit}", "${action}"]).expect("good");
        assert_eq!(
            command.argv("${action} x", ServiceAction::Restart),
            ["/bin/appctl", "--unit=${action} x", "restart"]
        );
    }

    #[test]
    fn what_is_no_service_command_is_refused() {
        for argv in [
            &[][..],
            &["appctl", "${action}"],
            &["/bin/appctl"],
            &["/bin/appctl", "${action}", "${target.name}"],
            &["/bin/${unit}", "${action}"],
            &["/bin/appctl", "${action}", "a\nb"],
        ] {
            assert!(command(argv).is_err(), "{argv:?}");
        }
    }
}
