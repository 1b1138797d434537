//! `--limit`: which targets of the rollout a run is for.
//!
//! | pattern | means |
//! | --- | --- |
//! | `web-1` | the target of this name |
//! | `web` | the targets of this role, group or label |
//! | `web-*`, `db-?.example.org`, `web-[!1-3]` | all whose name, role, group or label fits |
//! | `web[0]`, `web[-1]`, `web[1:3]`, `web[2:]` | some of what the pattern in front means, in the order of the inventory, from 0 |
//! | `all` | every target |
//! | `a,b` | those of `a` and those of `b` |
//! | `a,&b` | of what is chosen, only those that are also in `b` |
//! | `a,!b` | of what is chosen, only those that are not in `b` |
//!
//! `:` may stand for `,`. The order does not matter: what is added comes first, then `&`, then `!`. Without anything that
//! is added, the choice is among all. A part that means no target is an error: it is a slip, and with `!` a dangerous one.

use crate::inventory::Target;
use crate::suggest::closest;
use crate::{Inventory, TargetName};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A choice of targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    text: String,
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    mode: Mode,
    /// As it is written, without its sign.
    text: String,
    glob: Glob,
    part: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Add,
    Only,
    Not,
}

/// Some of the targets that a pattern means, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// This one; a negative one counts from the end.
    One(i64),
    /// From the first to the second, both included.
    Range(usize, Option<usize>),
}

/// Text that is no choice of targets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLimit {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// A part that is not written as one.
    #[error("`{}` {why}", .part.escape_debug())]
    Part {
        /// The part.
        part: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A choice that leaves nothing, or has a part that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NoMatch {
    message: String,
    hint: String,
}

impl NoMatch {
    /// How to mend it.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl Limit {
    /// Which of the targets `among` are chosen.
    ///
    /// # Errors
    /// A part of the choice means no target of the inventory, or no target is left.
    pub fn choose(
        &self,
        inventory: &Inventory,
        among: &[TargetName],
    ) -> Result<BTreeSet<TargetName>, NoMatch> {
        let mut chosen: BTreeSet<&TargetName> = BTreeSet::new();
        if !self.terms.iter().any(|term| term.mode == Mode::Add) {
            chosen.extend(inventory.targets.iter().map(|target| &target.name));
        }
        for mode in [Mode::Add, Mode::Only, Mode::Not] {
            for term in self.terms.iter().filter(|term| term.mode == mode) {
                let meant = term.means(inventory);
                if meant.is_empty() {
                    return Err(term.nothing(inventory));
                }
                match mode {
                    Mode::Add => chosen.extend(meant),
                    Mode::Only => chosen.retain(|name| meant.contains(*name)),
                    Mode::Not => chosen.retain(|name| !meant.contains(*name)),
                }
            }
        }
        let kept: BTreeSet<TargetName> = among.iter().filter(|name| chosen.contains(name)).cloned().collect();
        if !kept.is_empty() {
            return Ok(kept);
        }
        Err(if among.is_empty() {
            NoMatch {
                message: format!(
                    "`{self}` limits nothing: the plan has no `[strategy]`, and releases to no target"
                ),
                hint: "leave `--limit` out".to_owned(),
            }
        } else if chosen.is_empty() {
            NoMatch {
                message: format!("`{self}` leaves no target"),
                hint: "what `&` and `!` take away is all that the rest adds".to_owned(),
            }
        } else {
            let names = names(chosen.iter().map(|name| name.as_str()));
            NoMatch {
                message: format!("`{self}` means {names}, and the plan releases to none of them"),
                hint: format!("it releases to {}", self::names(among.iter().map(TargetName::as_str))),
            }
        })
    }
}

impl Term {
    fn means<'a>(&self, inventory: &'a Inventory) -> BTreeSet<&'a TargetName> {
        let fits = |target: &&Target| self.text == "all" || words(target).any(|word| self.glob.fits(word));
        let meant: Vec<&TargetName> =
            inventory.targets.iter().filter(fits).map(|target| &target.name).collect();
        match self.part {
            None => meant.into_iter().collect(),
            Some(Part::One(at)) => {
                let at = if at < 0 {
                    i64::try_from(meant.len()).unwrap_or(i64::MAX).checked_add(at)
                } else {
                    Some(at)
                };
                let one = at.and_then(|at| meant.get(usize::try_from(at).ok()?).copied());
                one.into_iter().collect()
            }
            Some(Part::Range(from, to)) => {
                let to = to.map_or(meant.len(), |to| to.saturating_add(1).min(meant.len()));
                meant.get(from..to).unwrap_or_default().iter().copied().collect()
            }
        }
    }

    fn nothing(&self, inventory: &Inventory) -> NoMatch {
        let file = inventory.source.name();
        if let Some(whole) =
            self.part.map(|_| Self { part: None, ..self.clone() }.means(inventory).len()).filter(|n| *n > 0)
        {
            return NoMatch {
                message: format!(
                    "`{}` of `--limit` is beyond the {whole} targets of `{}`",
                    self.written(),
                    self.text
                ),
                hint: "positions count from 0".to_owned(),
            };
        }
        let known: BTreeSet<&str> = inventory.targets.iter().flat_map(words).collect();
        // Of a pattern with stars, what is written out is compared.
        let near = closest(&self.text.replace(['*', '?'], ""), known.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`{file}` has {}", names(known.iter().copied())),
        };
        let message = format!("`{}` of `--limit` means no target of `{file}`", self.written().escape_debug());
        NoMatch { message, hint }
    }

    fn written(&self) -> String {
        let sign = match self.mode {
            Mode::Add => "",
            Mode::Only => "&",
            Mode::Not => "!",
        };
        let part = match self.part {
            None => String::new(),
            Some(Part::One(at)) => format!("[{at}]"),
            Some(Part::Range(from, to)) => {
                format!("[{from}:{}]", to.map(|to| to.to_string()).unwrap_or_default())
            }
        };
        format!("{sign}{}{part}", self.text)
    }
}

/// All that a target can be chosen by.
fn words(target: &Target) -> impl Iterator<Item = &str> {
    let roles = target.roles.iter().map(|role| role.as_str());
    let labels = target.labels.iter().map(|label| label.as_str());
    std::iter::once(target.name.as_str())
        .chain(roles)
        .chain(labels)
        .chain(target.groups.iter().map(String::as_str))
}

/// A few names for a message.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 9;
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}

impl FromStr for Limit {
    type Err = BadLimit;

    fn from_str(text: &str) -> Result<Self, BadLimit> {
        let mut terms = Vec::new();
        for part in split(text) {
            let bad = |why| Err(BadLimit::Part { part: part.to_owned(), why });
            let (mode, name) = match part.strip_prefix('!') {
                Some(rest) => (Mode::Not, rest),
                None => part.strip_prefix('&').map_or((Mode::Add, part), |rest| (Mode::Only, rest)),
            };
            if name.starts_with('~') {
                return bad("is a regular expression; write `*` and `?` instead");
            }
            if name.starts_with('@') {
                return bad("is a file; write the names themselves, with commas between them");
            }
            if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
                return bad("has a space in it; write commas between patterns");
            }
            let (name, position) = match position(name) {
                Some((name, part)) => (name, Some(part)),
                None => (name, None),
            };
            if name.is_empty() {
                return bad("names nothing");
            }
            let Some(glob) = Glob::parse(name) else { return bad("has a `[` without its `]`") };
            terms.push(Term { mode, text: name.to_owned(), glob, part: position });
        }
        if terms.is_empty() {
            return Err(BadLimit::Empty);
        }
        Ok(Self { text: text.to_owned(), terms })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The parts between commas, or colons, that are not in brackets.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    let parts = text.split(move |c| {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        !inside && (c == ',' || c == ':')
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// `web[0]`: the name and the position.
fn position(text: &str) -> Option<(&str, Part)> {
    let (name, inside) = text.strip_suffix(']')?.rsplit_once('[')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let part = match inside.split_once(':') {
        None if digits(inside.strip_prefix('-').unwrap_or(inside)) => Part::One(inside.parse().ok()?),
        Some((from, "")) if digits(from) => Part::Range(from.parse().ok()?, None),
        Some((from, to)) if digits(from) && digits(to) => {
            Part::Range(from.parse().ok()?, Some(to.parse().ok()?))
        }
        _ => return None,
    };
    Some((name, part))
}

/// Text with `*`, `?` and `[a-c]` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Glob(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Char(char),
    Any,
    Star,
    /// One of these ranges of characters; or none of them.
    Class(bool, Vec<(char, char)>),
}

impl Glob {
    fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '*' => Piece::Star,
                '?' => Piece::Any,
                '[' => {
                    let rest = chars.as_str();
                    // A `]` that comes first is one of the characters.
                    let skip = rest.strip_prefix('!').map_or(0, |_| 1);
                    let skip = skip + rest[skip..].strip_prefix(']').map_or(0, |_| 1);
                    let end = skip + rest[skip..].find(']')?;
                    let inside = &rest[..end];
                    chars = rest[end + 1..].chars();
                    let (not, inside) = match inside.strip_prefix('!') {
                        Some(inside) => (true, inside),
                        None => (false, inside),
                    };
                    Piece::Class(not, ranges(inside))
                }
                c => Piece::Char(c),
            });
        }
        Some(Self(pieces))
    }

    fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut piece) = (0, 0);
        // Where the last star was, and what it had taken by then.
        let mut star: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(piece) {
                Some(Piece::Star) => {
                    star = Some((piece, at));
                    piece += 1;
                    continue;
                }
                Some(one) if one.fits(text[at]) => {
                    at += 1;
                    piece += 1;
                    continue;
                }
                _ => {}
            }
            let Some((back, taken)) = star else { return false };
            star = Some((back, taken + 1));
            (piece, at) = (back + 1, taken + 1);
        }
        self.0[piece..].iter().all(|piece| *piece == Piece::Star)
    }
}

impl Piece {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Any | Self::Star => true,
            Self::Class(not, ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not,
        }
    }
}

fn ranges(inside: &str) -> Vec<(char, char)> {
    let chars: Vec<char> = inside.chars().collect();
    let (mut ranges, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(to)) => {
                ranges.push((chars[at], *to));
                at += 3;
            }
            _ => {
                ranges.push((chars[at], chars[at]));
                at += 1;
            }
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inventory() -> Inventory {
        let text = "inventory = 1\n\
            [group.eu]\ntargets = [\"web-1\", \"web-2\", \"db-1\"]\nlabels = [\"frankfurt\"]\n\
            [target.web-1]\nroles = [\"web\"]\nlabels = [\"canary\"]\n\
            [target.web-2]\nroles = [\"web\"]\n\
            [target.web-3]\nroles = [\"web\"]\n\
            [target.db-1]\nroles = [\"db\"]\n";
        Inventory::parse("staging.toml", text.as_bytes()).expect("an inventory")
    }

    fn chosen(limit: &str) -> Result<Vec<String>, String> {
        let inventory = inventory();
        let among: Vec<TargetName> = inventory.targets.iter().map(|target| target.name.clone()).collect();
        let limit: Limit = limit.parse().map_err(|bad: BadLimit| bad.to_string())?;
        match limit.choose(&inventory, &among) {
            Ok(chosen) => Ok(chosen.iter().map(ToString::to_string).collect()),
            Err(none) => Err(format!("{none}; {}", none.hint())),
        }
    }

    #[test]
    fn patterns_choose_by_name_role_group_and_label() {
        for (limit, expected) in [
            ("web-1", &["web-1"][..]),
            ("web", &["web-1", "web-2", "web-3"]),
            ("eu", &["db-1", "web-1", "web-2"]),
            ("frankfurt,web-3", &["db-1", "web-1", "web-2", "web-3"]),
            ("canary", &["web-1"]),
            ("all,!web", &["db-1"]),
            ("!web", &["db-1"]),
            ("web,&eu", &["web-1", "web-2"]),
            ("&eu,web,!canary", &["web-2"]),
            ("web:&eu:!canary", &["web-2"]),
            ("*-1", &["db-1", "web-1"]),
            ("web-?", &["web-1", "web-2", "web-3"]),
            ("web-[!12]", &["web-3"]),
            ("*-[2-3]", &["web-2", "web-3"]),
            ("web[0]", &["web-1"]),
            ("web[-1]", &["web-3"]),
            ("web[1:2]", &["web-2", "web-3"]),
            ("web[1:]", &["web-2", "web-3"]),
            ("web[0:1],db-1", &["db-1", "web-1", "web-2"]),
            (" web-1 , web-2 ", &["web-1", "web-2"]),
        ] {
            assert_eq!(
                chosen(limit),
                Ok(expected.iter().map(|name| (*name).to_owned()).collect()),
                "{limit}"
            );
        }
    }

    #[test]
    fn a_part_that_means_nothing_is_an_error_that_names_what_is_near() {
        insta::assert_snapshot!(chosen("web-11").unwrap_err(), @"`web-11` of `--limit` means no target of `staging.toml`; did you mean `web-1`?");
        insta::assert_snapshot!(chosen("web,!cannary").unwrap_err(), @"`!cannary` of `--limit` means no target of `staging.toml`; did you mean `canary`?");
        insta::assert_snapshot!(chosen("zebra").unwrap_err(), @"`zebra` of `--limit` means no target of `staging.toml`; `staging.toml` has `canary`, `db`, `db-1`, `eu`, `frankfurt`, `web`, `web-1`, `web-2`, `web-3`");
        insta::assert_snapshot!(chosen("web[7]").unwrap_err(), @"`web[7]` of `--limit` is beyond the 3 targets of `web`; positions count from 0");
        insta::assert_snapshot!(chosen("web,&db").unwrap_err(), @"`web,&db` leaves no target; what `&` and `!` take away is all that the rest adds");
        for (limit, why) in [
            ("", "it is empty"),
            (",", "it is empty"),
            ("~web.*", "`~web.*` is a regular expression; write `*` and `?` instead"),
            ("@failed", "`@failed` is a file; write the names themselves, with commas between them"),
            ("web db", "`web db` has a space in it; write commas between patterns"),
            ("!", "`!` names nothing"),
            ("web[a", "`web[a` has a `[` without its `]`"),
        ] {
            assert_eq!(chosen(limit), Err(why.to_owned()), "{limit:?}");
        }
    }

    #[test]
    fn a_limit_chooses_only_what_is_released_to() {
        let inventory = inventory();
        let among: Vec<TargetName> = ["web-1", "web-2"].map(|name| name.parse().expect("a name")).to_vec();
        let limit: Limit = "db".parse().expect("a limit");
        let none = limit.choose(&inventory, &among).expect_err("none");
        insta::assert_snapshot!(none, @"`db` means `db-1`, and the plan releases to none of them");
        assert_eq!(none.hint(), "it releases to `web-1`, `web-2`");
    }

    proptest! {
        #[test]
        fn any_text_is_a_limit_or_refused(text in "([a-c!&,:~@*?\\[\\]0-9-]|\\PC){0,24}") {
            let _ = chosen(&text);
        }

        #[test]
        fn a_name_without_signs_means_itself(name in "[a-z0-9][a-z0-9.-]{0,12}", other in "[a-z0-9][a-z0-9.-]{0,12}") {
            let glob = Glob::parse(&name).expect("a glob");
            prop_assert_eq!(glob.fits(&other), name == other);
            let begins = Glob::parse(&[&name[..1], "*"].concat()).expect("a glob");
            prop_assert!(begins.fits(&name));
        }
    }
}
