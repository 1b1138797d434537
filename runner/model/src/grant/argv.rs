//! `exec-CLASS:PATTERN`: which commands, argument by argument, with which variables, as which class of effect.

use super::fill::{Place, fill, waits_only_for_the_check};
use super::shell;
use super::words::{Atom, Why, Word, quoted, template};
use crate::template::{Piece, Reference, Scope, Template};
use crate::{EffectClass, RemotePath};
use std::collections::BTreeMap;
use std::fmt;

/// What an argument must be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    /// `*`: anything but nothing, an option or control characters.
    Any,
    /// `--option=*`: this option with any value, without control characters.
    Option(String),
    /// Exactly this.
    Exactly(Template),
}

impl Argument {
    fn new(word: &Word<Reference>) -> Result<Self, Why> {
        match word.as_slice() {
            [Atom::Star] => Ok(Self::Any),
            [Atom::Text(option), Atom::Star] if option.starts_with('-') && option.ends_with('=') => {
                Ok(Self::Option(option.clone()))
            }
            _ => template(word).map(Self::Exactly).ok_or_else(|| {
                Why::new("`*` stands for a whole argument, or for the value of an option: `--name=*`")
                    .hint("for a star itself put the argument in `'…'`; `**` can only be the last word")
            }),
        }
    }

    fn covers(&self, argument: &str) -> bool {
        match self {
            Self::Any => !argument.is_empty() && !argument.starts_with('-') && is_printable(argument),
            Self::Option(option) => argument.strip_prefix(option.as_str()).is_some_and(is_printable),
            Self::Exactly(text) => text.as_text() == Some(argument),
        }
    }

    /// What a ban matches: more than a grant would, so that no option and no spelling slips through.
    fn bans(&self, argument: &str) -> bool {
        matches!(self, Self::Any) || self.covers(argument)
    }

    fn resolve(&self, scope: &dyn Scope) -> Result<Self, Why> {
        match self {
            Self::Exactly(text) => resolve(text, scope).map(Self::Exactly),
            other => Ok(other.clone()),
        }
    }
}

/// Fills an argument. What comes first of the run may not make it an option.
fn resolve(text: &Template, scope: &dyn Scope) -> Result<Template, Why> {
    let first =
        |index: usize| text.pieces()[..index].iter().all(|piece| matches!(piece, Piece::Reference(_)));
    fill(text, scope, |index| Place::Argument { first: first(index) })
        .map(|filled| filled.template)
        .map_err(Why::new)
}

fn is_printable(argument: &str) -> bool {
    !argument.chars().any(char::is_control)
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Option(option) => write!(f, "{}*", quoted(&Template::literal(option.as_str()))),
            Self::Exactly(text) => f.write_str(&quoted(text)),
        }
    }
}

/// Which commands a step may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExecGrant {
    pub(super) class: EffectClass,
    /// The variables that the command has, all of them; `None`: with any value.
    variables: Vec<(String, Option<Template>)>,
    arguments: Vec<Argument>,
    /// `**` at the end.
    rest: bool,
}

impl ExecGrant {
    pub(super) fn new(
        class: EffectClass,
        variables: &[(String, Word<Reference>)],
        argv: &[Word<Reference>],
    ) -> Result<Self, Why> {
        let variables = variables
            .iter()
            .map(|(name, value)| match value.as_slice() {
                [Atom::Star] => Ok((name.clone(), None)),
                _ => match template(value) {
                    Some(value) => Ok((name.clone(), Some(value))),
                    None => Err(Why::new(format!("the value of `{name}` is `*` or has no star in it"))),
                },
            })
            .collect::<Result<Vec<_>, _>>()?;
        if let Some((name, _)) = variables.iter().enumerate().find_map(|(index, (name, value))| {
            variables[..index].iter().any(|(earlier, _)| earlier == name).then_some((name, value))
        }) {
            return Err(Why::new(format!("`{name}` is set twice")));
        }
        let (argv, rest) = match argv {
            [argv @ .., last] if matches!(last.as_slice(), [Atom::Star, Atom::Star]) => (argv, true),
            argv => (argv, false),
        };
        let arguments = argv.iter().map(Argument::new).collect::<Result<_, _>>()?;
        let grant = Self { class, variables, arguments, rest };
        grant.check_program()?;
        Ok(grant)
    }

    fn check_program(&self) -> Result<(), Why> {
        let program = match self.arguments.first() {
            Some(Argument::Exactly(program)) => program,
            Some(_) => {
                return Err(Why::new("the program is named, never a star")
                    .hint("`**` alone stands for any command, and equals a shell"));
            }
            None if self.rest => return Ok(()),
            None => return Err(Why::new("no program is named")),
        };
        match program.as_text() {
            Some(program) => check_program(program).map_err(Why::new),
            None if waits_only_for_the_check(program) => Ok(()),
            None => Err(Why::new("the program must be known before the plan runs")),
        }
    }

    pub(super) fn covers(&self, class: EffectClass, argv: &[String], env: &BTreeMap<String, String>) -> bool {
        self.class == class && self.covers_but_for_the_class(argv, env)
    }

    /// For a message that says which class would have done.
    pub(super) fn covers_but_for_the_class(&self, argv: &[String], env: &BTreeMap<String, String>) -> bool {
        self.fits(argv, Argument::covers)
            && self.variables.len() == env.len()
            && self.variables.iter().all(|(name, granted)| match (env.get(name), granted) {
                (Some(value), None) => is_printable(value),
                (Some(value), Some(granted)) => granted.as_text() == Some(value),
                (None, _) => false,
            })
    }

    /// Whether a policy's `deny` means this command: whatever its class, its variables and the folder of its program.
    pub(super) fn bans(&self, argv: &[String]) -> bool {
        let Some((program, arguments)) = argv.split_first() else { return false };
        let named = match self.arguments.first() {
            Some(Argument::Exactly(named)) => named.as_text().map(shell::file_name),
            _ => return self.rest,
        };
        let mut argv = vec![shell::file_name(program).to_owned()];
        argv.extend_from_slice(arguments);
        let mut banned = self.clone();
        if let (Some(named), Some(first)) = (named, banned.arguments.first_mut()) {
            *first = Argument::Exactly(Template::literal(named));
        }
        banned.fits(&argv, Argument::bans)
    }

    fn fits(&self, argv: &[String], fits: impl Fn(&Argument, &str) -> bool) -> bool {
        let count = self.arguments.len();
        (argv.len() == count || (self.rest && argv.len() > count))
            && self.arguments.iter().zip(argv).all(|(granted, argument)| fits(granted, argument))
    }

    /// Whether whoever has it can run anything.
    pub(super) fn equals_a_shell(&self) -> bool {
        let program = match self.arguments.first() {
            Some(Argument::Exactly(program)) => program.as_text(),
            _ => None,
        };
        self.rest
            || program.is_some_and(shell::runs_programs)
            || self.variables.iter().any(|(name, value)| value.is_none() && shell::steers_programs(name))
    }

    pub(super) fn resolve(&self, scope: &dyn Scope) -> Result<Self, Why> {
        let grant = Self {
            class: self.class,
            variables: self
                .variables
                .iter()
                .map(|(name, value)| {
                    Ok((name.clone(), value.as_ref().map(|value| resolve(value, scope)).transpose()?))
                })
                .collect::<Result<_, Why>>()?,
            arguments: self
                .arguments
                .iter()
                .map(|argument| argument.resolve(scope))
                .collect::<Result<_, _>>()?,
            rest: self.rest,
        };
        grant.check_program()?;
        Ok(grant)
    }

    /// The one command that it covers; `None`: there are several, or it is not known yet.
    pub(super) fn only_command(&self) -> Option<(Vec<String>, BTreeMap<String, String>)> {
        if self.rest {
            return None;
        }
        let argv = self.arguments.iter().map(|argument| match argument {
            Argument::Exactly(text) => text.as_text().map(str::to_owned),
            Argument::Any | Argument::Option(_) => None,
        });
        let env = self
            .variables
            .iter()
            .map(|(name, value)| Some((name.clone(), value.as_ref()?.as_text()?.to_owned())));
        Some((argv.collect::<Option<_>>()?, env.collect::<Option<_>>()?))
    }

    pub(super) fn is_symbolic(&self) -> bool {
        let later = |text: &Template| text.as_text().is_none();
        self.variables.iter().any(|(_, value)| value.as_ref().is_some_and(later))
            || self
                .arguments
                .iter()
                .any(|argument| matches!(argument, Argument::Exactly(text) if later(text)))
    }
}

/// Whether a text can be the program of a command.
pub(super) fn check_program(program: &str) -> Result<(), String> {
    let shown = program.escape_debug();
    if program.is_empty() {
        return Err("the program has no name".to_owned());
    }
    if program.starts_with('-') || program.contains('=') || !is_printable(program) {
        return Err(format!("`{shown}` cannot be a program: an option, a variable or not printable"));
    }
    if program.contains('/') {
        let normal = program.parse::<RemotePath>().map_err(|error| error.to_string())?;
        if normal.as_str() != program {
            return Err(format!("`{shown}` is written in a roundabout way: `{normal}`"));
        }
    }
    Ok(())
}

impl fmt::Display for ExecGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exec-{}:", super::ssh::class_word(self.class))?;
        let mut space = "";
        for (name, value) in &self.variables {
            match value {
                None => write!(f, "{space}{name}=*")?,
                Some(value) if value.as_text() == Some("") => write!(f, "{space}{name}=")?,
                Some(value) => write!(f, "{space}{name}={}", quoted(value))?,
            }
            space = " ";
        }
        for argument in &self.arguments {
            write!(f, "{space}{argument}")?;
            space = " ";
        }
        if self.rest {
            write!(f, "{space}**")?;
        }
        Ok(())
    }
}
