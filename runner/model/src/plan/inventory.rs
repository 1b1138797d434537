//! Where an environment's inventory comes from: a file beside the plan, or a program that is asked for it.

use crate::diagnostic::{Code, Problem};
use crate::quantity::Period;
use crate::read::{Item, Reader, Table};
use crate::source::{Span, Spanned};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use toml::de::DeValue;

/// How long a program may take that does not say so itself.
const DEFAULT_TIMEOUT: Period = Period::from_millis(60_000);
/// The longest that it may say.
const LONGEST: Period = Period::from_millis(10 * 60_000);

/// Where an inventory comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum InventorySource {
    /// A file, relative to the plan.
    File(Spanned<String>),
    /// A program that prints it.
    Command(Box<AskedFor>),
}

/// A program that is asked for the inventory, as the plan says it.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedFor {
    /// What is run. The lock records it.
    pub command: InventoryCommand,
    /// How long it may take.
    pub timeout: Period,
    /// Where the program is written.
    pub span: Span,
}

/// What is run for an inventory: what a review accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InventoryCommand {
    /// The program and its arguments. No shell sees them.
    pub argv: Vec<String>,
    /// The variables that it has, beside `PATH`, `HOME` and those of the language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

/// `./hosts.sh --json`, as a person would type it, and nothing that a terminal obeys.
impl fmt::Display for InventoryCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.argv.iter().enumerate() {
            let plain = |c: char| c.is_alphanumeric() || "-_=./:@%+,".contains(c);
            let space = if index == 0 { "" } else { " " };
            if !word.is_empty() && word.chars().all(plain) {
                write!(f, "{space}{word}")?;
            } else {
                write!(f, "{space}'{}'", word.escape_debug().to_string().replace('\'', "'\\''"))?;
            }
        }
        Ok(())
    }
}

/// What is wrong with a program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInventoryCommand {
    /// There is no program.
    #[error("names no program")]
    Empty,
    /// The program is an empty string, or looks like an option.
    #[error("`{}` is no program", .0.escape_debug())]
    Program(String),
    /// A terminal or a log would show something else than what is run.
    #[error("`{}` has a control character in it", .0.escape_debug())]
    Control(String),
    /// Nothing is filled in.
    #[error("`{}` has a reference in it, and nothing is filled in here", .0.escape_debug())]
    Reference(String),
    /// No variable has such a name.
    #[error("`{}` is no name of a variable of the environment", .0.escape_debug())]
    Variable(String),
}

impl InventoryCommand {
    /// What may be run.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(argv: Vec<String>, env: Vec<String>) -> Result<Self, BadInventoryCommand> {
        match argv.first() {
            None => return Err(BadInventoryCommand::Empty),
            Some(program) if program.is_empty() || program.starts_with('-') => {
                return Err(BadInventoryCommand::Program(program.clone()));
            }
            Some(_) => {}
        }
        if let Some(word) = argv.iter().find(|word| word.chars().any(char::is_control)) {
            return Err(BadInventoryCommand::Control(word.clone()));
        }
        if let Some(word) = argv.iter().find(|word| word.contains("${")) {
            return Err(BadInventoryCommand::Reference(word.clone()));
        }
        let is_name = |name: &String| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if let Some(name) = env.iter().find(|name| !is_name(name)) {
            return Err(BadInventoryCommand::Variable(name.clone()));
        }
        Ok(Self { argv, env })
    }
}

impl InventorySource {
    /// The file; `None`: a program is asked.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::File(file) => Some(&file.value),
            Self::Command(_) => None,
        }
    }

    /// The program; `None`: it is a file.
    pub fn command(&self) -> Option<&AskedFor> {
        match self {
            Self::File(_) => None,
            Self::Command(asked) => Some(asked),
        }
    }
}

impl JsonSchema for InventorySource {
    fn schema_name() -> Cow<'static, str> {
        "InventorySource".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The inventory file, relative to the plan: `\"staging.toml\"`, or one of Ansible's; or a program that prints it \
                            as JSON: `{ command = [\"./hosts.sh\", \"--json\"] }`.",
            "oneOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": {
                        "command": {
                            "type": "array", "items": { "type": "string" }, "minItems": 1,
                            "description": "The program and its arguments, run in the plan's folder without a shell. The lock records it."
                        },
                        "env": {
                            "type": "array", "items": { "type": "string" },
                            "description": "The names of the variables that it has, beside `PATH`, `HOME` and those of the language. The lock records them."
                        },
                        "timeout": {
                            "type": "string",
                            "description": "How long it may take, up to `\"10m\"`. Left out: `\"1m\"`."
                        }
                    },
                    "required": ["command"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// Reads `inventory` of an environment.
pub(super) fn read(reader: &Reader, item: &Item<'_>) -> Option<InventorySource> {
    match item.value {
        DeValue::Table(_) => {
            let table = reader.table(item, "an inventory")?;
            let asked = command(reader, &table);
            table.finish(reader, &[]);
            asked.map(|asked| InventorySource::Command(Box::new(asked)))
        }
        DeValue::String(_) => reader.line(item).map(InventorySource::File),
        _ => {
            reader.wrong_type(item, "a file, or `{ command = [\"./hosts.sh\", \"--json\"] }`");
            None
        }
    }
}

fn command(reader: &Reader, table: &Table<'_>) -> Option<AskedFor> {
    let item = table.require(reader, "command", "[\"./hosts.sh\", \"--json\"]");
    let env = table.take("env");
    let timeout = table.take("timeout").map(|item| timeout(reader, &item));
    let item = item?;
    let before = reader.count();
    let argv = reader.list::<String>(&item, "a program and its arguments")?;
    let env = match env {
        Some(env) => reader.list::<String>(&env, "a list of names of variables")?,
        None => Vec::new(),
    };
    // Never one without the argument that could not be read.
    if reader.count() > before {
        return None;
    }
    let timeout = timeout.unwrap_or(Some(DEFAULT_TIMEOUT))?;
    let plain = |words: Vec<Spanned<String>>| words.into_iter().map(|word| word.value).collect();
    match InventoryCommand::new(plain(argv), plain(env)) {
        Ok(command) => Some(AskedFor { command, timeout, span: item.span }),
        Err(why) => {
            reader.push(wrong(reader, item.span, &why));
            None
        }
    }
}

fn wrong(reader: &Reader, span: Span, why: &BadInventoryCommand) -> Problem {
    let problem = reader.problem(Code::BadValue, span, format!("the inventory's command: {why}"));
    problem.hint(match why {
        BadInventoryCommand::Reference(_) => "write the value itself: each environment has its own command",
        BadInventoryCommand::Variable(_) => {
            "write the name alone, as in `env = [\"AWS_PROFILE\"]`: its value is taken from yours"
        }
        _ => "write the program and its arguments: `command = [\"./hosts.sh\", \"--json\"]`",
    })
}

fn timeout(reader: &Reader, item: &Item<'_>) -> Option<Period> {
    let period = reader.parsed::<Period>(item, "a time")?;
    if period.value.as_millis() == 0 || period.value > LONGEST {
        let message = format!("`timeout` must be up to {LONGEST}, and not `{}`", period.value);
        reader.push(reader.problem(Code::BadValue, item.span, message).hint("write `\"1m\"`"));
        return None;
    }
    Some(period.value)
}
