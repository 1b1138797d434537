//! References `${a.b}` in the strings of a plan: the only expressions that there are.
//!
//! | written | is | known |
//! | --- | --- | --- |
//! | `${var.NAME}` | an entry of `[vars]`, or what `--var` says instead | at check |
//! | `${plan.name}` | the plan's name | at check |
//! | `${environment}` | the environment's name | at check |
//! | `${release.root}`, `.shared`, `.keep` | the keys of `[release]`; an inventory entry may override `root` | at check |
//! | `${release.id}`, `.artifact` | the release that this run makes | in the run |
//! | `${run.id}` | the run | in the run |
//! | `${target.name}`, `.address`, `.host`, `.port`, `.user` | the target that the step runs for | in the run |
//! | `${target.vars.NAME}` | a variable of that target | in the run |
//! | `${STEP.OUTPUT}` | what an earlier step gave out | in the run |
//!
//! A string that is exactly one reference takes the value as it is, an array or a number too; inside text only strings,
//! numbers and booleans can be filled in. In front of `{`, `$$` is one literal `$`: `$${x}` is the text `${x}`, and
//! `$$${var.x}` is a dollar sign before a value. A `$` anywhere else is a `$`.
//!
//! Values are filled in once: a value that itself contains `${` is text and is never looked at again.

mod reference;
mod scope;
mod text;
mod value;

pub use reference::{BadReference, Reference, ReleaseField, SCOPES, TargetField};
pub use scope::{Lookup, Scope, Unresolved, WhyUnresolved};
pub(crate) use scope::{as_text, kind_of};
pub use text::{Piece, Template, TemplateError, WhyNot};
pub(crate) use text::{Token, escape, tokens};
pub use value::{ValueTemplate, ValueTemplateError};

#[cfg(test)]
mod tests;
