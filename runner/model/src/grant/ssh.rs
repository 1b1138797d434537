//! Grants on targets: paths, services, other targets, users, commands.

use super::argv::ExecGrant;
use super::bound::{Bound, Choice, Named};
use super::fill::Place;
use super::words::{Atom, Hole, Lexing, Why, Word, template, words};
use crate::suggest::closest;
use crate::template::{Reference, Scope};
use crate::{EffectClass, RemotePath, ServiceAction, TargetName, UserName};
use std::fmt;

/// The words for the classes of effects.
pub(super) const CLASSES: [(&str, EffectClass); 6] = [
    ("read", EffectClass::Read),
    ("change", EffectClass::Change),
    ("signal", EffectClass::Signal),
    ("leave", EffectClass::Leave),
    ("join", EffectClass::Join),
    ("opaque", EffectClass::Opaque),
];

/// The word for a class.
pub(super) fn class_word(class: EffectClass) -> &'static str {
    CLASSES.iter().find(|(_, known)| *known == class).map_or("opaque", |(word, _)| word)
}

/// The class that a word names.
pub(super) fn class(word: &Word<Reference>) -> Result<EffectClass, Why> {
    let text = template(word).and_then(|text| text.as_text().map(str::to_owned));
    let Some(text) = text else {
        return Err(Why::new("the class of an effect must be known before the plan runs"));
    };
    CLASSES.iter().find(|(known, _)| *known == text).map(|(_, class)| *class).ok_or_else(|| {
        let why = Why::new(format!("`{}` is no class of effect", text.escape_debug()));
        match closest(&text, CLASSES.map(|(word, _)| word)) {
            Some(meant) => why.hint(format!("did you mean `{meant}`?")),
            None => why.hint("the classes are `read`, `change`, `signal`, `leave`, `join` and `opaque`"),
        }
    })
}

/// A unit of the init system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit(String);

impl Unit {
    /// The name with its suffix: `php-fpm` is `php-fpm.service`.
    fn full(&self) -> String {
        const SUFFIXES: [&str; 11] = [
            "service",
            "socket",
            "device",
            "mount",
            "automount",
            "swap",
            "target",
            "path",
            "timer",
            "slice",
            "scope",
        ];
        match self.0.rsplit_once('.') {
            Some((_, suffix)) if SUFFIXES.contains(&suffix) => self.0.clone(),
            _ => format!("{}.service", self.0),
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.full() == other.full()
    }
}

impl Named for Unit {
    /// No `/`, which systemctl takes for a mount, and no `*`, `?` or `[`, which it takes for a pattern.
    fn read(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.@\\".contains(c);
        if text.is_empty() || text.len() > 255 || text.starts_with(['-', '.']) || !text.chars().all(fits) {
            return Err(format!("`{}` cannot be the name of a unit", text.escape_debug()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What may be asked of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actions {
    /// `*`
    Any,
    /// Whether it runs; every other action includes it.
    IsActive,
    /// This.
    Is(ServiceAction),
}

impl Actions {
    const WORDS: [(&'static str, Self); 7] = [
        ("*", Self::Any),
        ("is-active", Self::IsActive),
        ("start", Self::Is(ServiceAction::Start)),
        ("stop", Self::Is(ServiceAction::Stop)),
        ("restart", Self::Is(ServiceAction::Restart)),
        ("reload", Self::Is(ServiceAction::Reload)),
        ("reload-or-restart", Self::Is(ServiceAction::ReloadOrRestart)),
    ];

    fn new(word: &Word<Reference>) -> Result<Self, Why> {
        if matches!(word.as_slice(), [Atom::Star]) {
            return Ok(Self::Any);
        }
        let Some(text) = template(word).and_then(|text| text.as_text().map(str::to_owned)) else {
            return Err(Why::new("the action must be known before the plan runs"));
        };
        Self::WORDS[1..].iter().find(|(known, _)| *known == text).map(|(_, action)| *action).ok_or_else(|| {
            let why = Why::new(format!("`{}` is not what a service can be asked", text.escape_debug()));
            match closest(&text, Self::WORDS[1..].iter().map(|(word, _)| *word)) {
                Some(meant) => why.hint(format!("did you mean `{meant}`?")),
                None => why
                    .hint("one of `start`, `stop`, `restart`, `reload`, `reload-or-restart`, `is-active` and `*`"),
            }
        })
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::WORDS.iter().find(|(_, known)| known == self).map_or("*", |(word, _)| word))
    }
}

/// The form of a grant before its words are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape<H> {
    Path { write: bool, path: Word<H> },
    Service { unit: Word<H>, action: Word<H> },
    Target(Word<H>),
    As(Word<H>),
    Socket { class: Word<H>, path: Word<H> },
    Exec { class: Word<H>, variables: Vec<Variable<H>>, argv: Vec<Word<H>> },
}

/// A variable of a command, and what its value is.
pub(super) type Variable<H> = (String, Word<H>);

/// The verbs, for suggestions.
const VERBS: [&str; 16] = [
    "read",
    "write",
    "service",
    "target",
    "as",
    "socket-read",
    "socket-signal",
    "socket-leave",
    "socket-join",
    "socket-opaque",
    "exec-read",
    "exec-change",
    "exec-signal",
    "exec-leave",
    "exec-join",
    "exec-opaque",
];

impl<H: Hole> Shape<H> {
    /// Splits a grant.
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        let Some((verb, rest)) = text.split_once(':') else {
            return Err(Why::new("it has no `:` after its verb")
                .hint("for example `read:/srv/shop`, `service:nginx reload` or `exec-read:df -P /srv`"));
        };
        let one = |what: &str| match <[Word<H>; 1]>::try_from(words(rest, Lexing::Stars)?) {
            Ok([word]) => Ok(word),
            Err(_) => Err(Why::new(format!("one {what} is named after `{verb}:`"))),
        };
        match verb {
            "read" | "write" => {
                let mut path = words(rest, Lexing::One)?;
                Ok(Self::Path { write: verb == "write", path: path.pop().unwrap_or_default() })
            }
            "service" => match <[Word<H>; 2]>::try_from(words(rest, Lexing::Stars)?) {
                Ok([unit, action]) => Ok(Self::Service { unit, action }),
                Err(_) => Err(Why::new("a unit and an action are named after `service:`")
                    .hint("for example `service:nginx reload`")),
            },
            "target" => one("target").map(Self::Target),
            "as" => one("user").map(Self::As),
            _ => match verb.split_once('-') {
                Some(("exec", class)) => {
                    let mut class = words(class, Lexing::One)?;
                    let (variables, argv) = split_variables(words(rest, Lexing::Quotes)?);
                    Ok(Self::Exec { class: class.pop().unwrap_or_default(), variables, argv })
                }
                Some(("socket", class)) => {
                    let (mut class, mut path) = (words(class, Lexing::One)?, words(rest, Lexing::One)?);
                    let (class, path) = (class.pop().unwrap_or_default(), path.pop().unwrap_or_default());
                    Ok(Self::Socket { class, path })
                }
                _ => {
                    let why = Why::new(format!("there is no verb `{}`", verb.escape_debug()));
                    Err(match closest(verb, VERBS) {
                        Some(meant) => why.hint(format!("did you mean `{meant}:`?")),
                        None => why.hint(
                            "the verbs are `read`, `write`, `service`, `target`, `as`, `socket-CLASS` and `exec-CLASS`",
                        ),
                    })
                }
            },
        }
    }
}

/// Takes the variables off the front of a command. Only what is written out is one: a value that happens to look like
/// a variable stays an argument, and as a program is refused.
fn split_variables<H>(words: Vec<Word<H>>) -> (Vec<Variable<H>>, Vec<Word<H>>) {
    let mut variables = Vec::new();
    let mut words = words.into_iter().peekable();
    let is_variable = |word: &Word<H>| match word.first() {
        Some(Atom::Text(text)) => text.split_once('=').is_some_and(|(name, _)| is_variable_name(name)),
        _ => false,
    };
    while let Some(mut word) = words.next_if(is_variable) {
        if let Some(Atom::Text(text)) = word.first_mut()
            && let Some((name, value)) = text.split_once('=')
        {
            let (name, value) = (name.to_owned(), value.to_owned());
            *text = value;
            word.retain(|atom| !matches!(atom, Atom::Text(text) if text.is_empty()));
            variables.push((name, word));
        }
    }
    (variables, words.collect())
}

/// Refuses what cannot be the name of a variable.
pub(super) fn check_variable_name(name: &str) -> Result<(), Why> {
    match is_variable_name(name) {
        true => Ok(()),
        false => Err(Why::new(format!("`{}` cannot be the name of a variable", name.escape_debug()))),
    }
}

/// Whether a text can be the name of a variable.
fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// What a step may do on targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verb {
    Read(Bound<RemotePath>),
    Write(Bound<RemotePath>),
    Service { unit: Choice<Unit>, actions: Actions },
    Target(Choice<TargetName>),
    As(Choice<UserName>),
    Socket { class: EffectClass, path: Bound<RemotePath> },
    Exec(ExecGrant),
}

impl Verb {
    /// Reads the words of a grant.
    pub(super) fn new(shape: &Shape<Reference>) -> Result<Self, Why> {
        Ok(match shape {
            Shape::Path { write, path } => {
                // One word without stars always is a template.
                let path = Bound::new(template(path).unwrap_or_default())?;
                if *write { Self::Write(path) } else { Self::Read(path) }
            }
            Shape::Service { unit, action } => {
                Self::Service { unit: Choice::new(unit)?, actions: Actions::new(action)? }
            }
            Shape::Target(name) => Self::Target(Choice::new(name)?),
            Shape::As(user) => Self::As(Choice::new(user)?),
            Shape::Socket { class: word, path } => {
                let class = class(word)?;
                if class == EffectClass::Change {
                    return Err(Why::new("what is said to a socket is no `change`: nothing undoes it")
                        .hint("the classes are `read`, `signal`, `leave`, `join` and `opaque`"));
                }
                Self::Socket { class, path: Bound::new(template(path).unwrap_or_default())? }
            }
            Shape::Exec { class: word, variables, argv } => {
                Self::Exec(ExecGrant::new(class(word)?, variables, argv)?)
            }
        })
    }

    pub(super) fn resolve(&self, scope: &dyn Scope) -> Result<Self, Why> {
        Ok(match self {
            Self::Read(path) => Self::Read(path.resolve(scope, Place::Segment)?),
            Self::Write(path) => Self::Write(path.resolve(scope, Place::Segment)?),
            Self::Service { unit, actions } => {
                Self::Service { unit: unit.resolve(scope)?, actions: *actions }
            }
            Self::Target(name) => Self::Target(name.resolve(scope)?),
            Self::As(user) => Self::As(user.resolve(scope)?),
            Self::Socket { class, path } => {
                Self::Socket { class: *class, path: path.resolve(scope, Place::Segment)? }
            }
            Self::Exec(exec) => Self::Exec(exec.resolve(scope)?),
        })
    }

    pub(super) fn covers_service(&self, unit: &str, action: Option<ServiceAction>) -> bool {
        let (Self::Service { unit: granted, actions }, Ok(asked)) = (self, Unit::read(unit)) else {
            return false;
        };
        granted.covers(|unit| unit.is(&asked))
            && match (actions, action) {
                (Actions::Any, _) | (_, None) => true,
                (Actions::Is(granted), Some(asked)) => *granted == asked,
                (Actions::IsActive, Some(_)) => false,
            }
    }

    pub(super) fn one_service(&self) -> Option<(&str, ServiceAction)> {
        match self {
            Self::Service { unit: Choice::Is(unit), actions: Actions::Is(action) } => {
                Some((unit.now()?.0.as_str(), *action))
            }
            _ => None,
        }
    }

    pub(super) fn only_reads(&self) -> bool {
        match self {
            Self::Read(_) | Self::Target(_) | Self::As(_) => true,
            Self::Write(_) => false,
            Self::Service { actions, .. } => *actions == Actions::IsActive,
            Self::Socket { class, .. } => *class == EffectClass::Read,
            Self::Exec(exec) => exec.class == EffectClass::Read,
        }
    }

    pub(super) fn is_symbolic(&self) -> bool {
        fn later<T>(choice: &Choice<T>) -> bool {
            matches!(choice, Choice::Is(Bound::Later(_)))
        }
        match self {
            Self::Read(path) | Self::Write(path) | Self::Socket { path, .. } => {
                matches!(path, Bound::Later(_))
            }
            Self::Service { unit, .. } => later(unit),
            Self::Target(name) => later(name),
            Self::As(user) => later(user),
            Self::Exec(exec) => exec.is_symbolic(),
        }
    }
}

/// Whether a text can be the name of a unit: what is not is refused before any grant is looked at.
pub(super) fn is_unit(text: &str) -> bool {
    Unit::read(text).is_ok()
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path) => write!(f, "read:{path}"),
            Self::Write(path) => write!(f, "write:{path}"),
            Self::Service { unit, actions } => write!(f, "service:{unit} {actions}"),
            Self::Target(name) => write!(f, "target:{name}"),
            Self::As(user) => write!(f, "as:{user}"),
            Self::Socket { class, path } => write!(f, "socket-{}:{path}", class_word(*class)),
            Self::Exec(exec) => fmt::Display::fmt(exec, f),
        }
    }
}
