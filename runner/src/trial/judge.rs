//! What a test expects, held against what is.

use super::account::{Made, Went};
use super::machine::There;
use super::world::{Attempt, World};
use runner_model::source::{Span, Spanned};
use runner_model::trial::{ExpectedError, File, Trial};
use runner_model::{Attributes, Digest, EntryKind, Failure, FailureKind, RemotePath};
use runner_overlay::Left;
use serde_json::Value;

/// A file that is shown is no larger than this.
const TEXT_MAX: u64 = 1 << 20;

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What it is about, as a lower-case fragment.
    pub what: String,
    /// What the test says; may be several lines, may be empty.
    pub expected: String,
    /// What is; as above.
    pub found: String,
    /// What mends it, as lines; may be empty.
    pub mend: String,
    /// Where the test says it.
    pub span: Option<Span>,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>, span: Option<Span>) -> Self {
        Self { what: what.into(), expected: String::new(), found: String::new(), mend: String::new(), span }
    }

    fn sides(mut self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        (self.expected, self.found) = (expected.into(), found.into());
        self
    }

    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = mend.into();
        self
    }
}

/// A failure as it is shown.
pub(super) fn told(failure: &Failure) -> String {
    let mut text = format!("{}: {}", failure.kind.word(), failure.message);
    for line in failure.detail.trim_end().lines() {
        text.push_str("\n  ");
        text.push_str(line);
    }
    text
}

/// The effects among calls.
pub(super) fn effects(calls: &[Made]) -> Vec<String> {
    calls.iter().filter(|made| made.went != Went::Looked).map(|made| made.shown.clone()).collect()
}

/// How the attempt ended, and what is there then.
pub(super) async fn attempt(trial: &Trial, world: &World<'_>, attempt: &Attempt) -> Vec<Wrong> {
    let expect = &trial.expect;
    let mut wrong = Vec::new();
    for (fault, happened) in trial.faults.iter().zip(&attempt.happened) {
        if !happened {
            let times = attempt.calls.iter().filter(|made| made.call == fault.call).count();
            let what = format!("the fault at call {} of `{}` did not happen", fault.nth, fault.call);
            let calls = attempt.calls.iter().map(|made| made.shown.as_str()).collect::<Vec<_>>().join("\n");
            wrong.push(
                Wrong::new(what, Some(fault.span))
                    .sides(String::new(), calls)
                    .mend(format!("the step calls it {}", runner_model::words::count(times, "time"))),
            );
        }
    }
    wrong.extend(end(expect.error.as_ref(), attempt));
    if let (Some(wanted), Ok(outputs)) = (&expect.outputs, &attempt.result)
        && wanted.value != *outputs
    {
        let sides = (json(&wanted.value), json(outputs));
        wrong.push(Wrong::new("the outputs are others", Some(wanted.span)).sides(sides.0, sides.1));
    }
    if let Some(wanted) = &expect.calls {
        let found = effects(&attempt.calls);
        if wanted.value != found {
            let sides = (wanted.value.join("\n"), found.join("\n"));
            wrong.push(Wrong::new("the effects are others", Some(wanted.span)).sides(sides.0, sides.1));
        }
    }
    match world.there().await {
        Ok(there) => wrong.extend(left(trial, world, &there)),
        Err(failure) => {
            wrong.push(Wrong::new(format!("nobody can tell what is there then: {failure}"), None))
        }
    }
    for (path, text) in &expect.workspace {
        let found = world.file(path);
        if found.as_deref() != Some(text.value.as_str()) {
            let what = format!("`{path}` beside the plan is another");
            wrong.push(Wrong::new(what, Some(text.span)).sides(&text.value, found.unwrap_or_else(nothing)));
        }
    }
    let mut lines = attempt.log.iter().map(|(_, line)| line.as_str());
    for text in &expect.log {
        if !lines.any(|line| line.contains(text.as_str())) {
            let found = attempt.log.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n");
            let what = "a line of the log is missing";
            wrong.push(Wrong::new(what, Some(text.span)).sides(&text.value, found));
            break;
        }
    }
    wrong
}

fn nothing() -> String {
    "nothing is there".to_owned()
}

fn json(value: &Value) -> String {
    format!("{value:#}")
}

/// How it ended.
fn end(wanted: Option<&Spanned<ExpectedError>>, attempt: &Attempt) -> Option<Wrong> {
    let span = wanted.map(|wanted| wanted.span);
    match (wanted, &attempt.result) {
        (None, Ok(_)) => None,
        // What the test does not say: its answer is the line to add.
        (_, Err(failure)) if failure.kind == FailureKind::Unknown => {
            Some(Wrong::new(failure.message.clone(), span).mend(failure.detail.clone()))
        }
        (None, Err(failure)) => {
            let stderr = attempt.stderr.trim_end();
            let said = if stderr.is_empty() || failure.detail.contains(stderr) {
                String::new()
            } else {
                format!("\n{stderr}")
            };
            Some(Wrong::new("it fails", None).sides("it ends well", format!("{}{said}", told(failure))))
        }
        (Some(wanted), Ok(outputs)) => {
            let sides = (error(wanted), format!("it ends well: {outputs}"));
            Some(Wrong::new("it does not fail", span).sides(sides.0, sides.1))
        }
        (Some(wanted), Err(failure)) => {
            let kind = wanted.kind.is_none_or(|kind| kind == failure.kind);
            let whole = format!("{}\n{}", failure.message, failure.detail);
            let message = wanted.message.as_deref().is_none_or(|message| whole.contains(message));
            (!kind || !message)
                .then(|| Wrong::new("it fails otherwise", span).sides(error(wanted), told(failure)))
        }
    }
}

fn error(wanted: &ExpectedError) -> String {
    let kind = wanted.kind.map_or_else(|| "any kind".to_owned(), |kind| kind.word().to_owned());
    match &wanted.message {
        Some(message) => format!("{kind}: … {message} …"),
        None => kind,
    }
}

/// What is on the machine.
fn left(trial: &Trial, world: &World<'_>, there: &There) -> Vec<Wrong> {
    let expect = &trial.expect;
    let mut wrong = Vec::new();
    for (path, file) in &expect.files {
        wrong.extend(one_file(world, path, file, there.files.get(path)));
    }
    for (path, attributes) in &expect.folders {
        let left = there.files.get(path);
        let is = left.is_some_and(|left| left.entry.kind == EntryKind::Directory);
        let sides = match left {
            Some(left) if is => differs(&attributes.value, left),
            Some(left) => Some(("a folder".to_owned(), kind(left))),
            None => Some(("a folder".to_owned(), nothing())),
        };
        let what = format!("the folder `{path}` is another");
        wrong.extend(
            sides.map(|(expected, found)| Wrong::new(what, Some(attributes.span)).sides(expected, found)),
        );
    }
    for (path, points_to) in &expect.links {
        let left = there.files.get(path);
        let found = left.map_or_else(nothing, |left| left.points_to.clone().unwrap_or_else(|| kind(left)));
        if found != points_to.value {
            let what = format!("the link `{path}` is another");
            wrong.push(Wrong::new(what, Some(points_to.span)).sides(&points_to.value, found));
        }
    }
    for path in &expect.absent {
        if let Some(left) = there.files.get(&path.value) {
            let what = format!("`{}` is there", path.value);
            wrong.push(Wrong::new(what, Some(path.span)).sides(nothing(), kind(left)));
        }
    }
    for (unit, wanted) in &expect.services {
        let found = there.services.get(unit).map_or("not known", |is| is.word());
        if found != wanted.value.word() {
            let what = format!("the unit `{unit}` is otherwise");
            wrong.push(Wrong::new(what, Some(wanted.span)).sides(wanted.value.word(), found));
        }
    }
    wrong
}

fn one_file(world: &World<'_>, path: &RemotePath, file: &Spanned<File>, left: Option<&Left>) -> Vec<Wrong> {
    let other = || Wrong::new(format!("the file `{path}` is another"), Some(file.span));
    let text = file.text.clone().unwrap_or_default();
    let Some(left) = left else { return vec![other().sides(text, nothing())] };
    if left.entry.kind != EntryKind::File {
        return vec![other().sides("a file", kind(left))];
    }
    let mut wrong = Vec::new();
    if let Some(text) = &file.text
        && left.digest != Some(Digest::of(text))
    {
        let found = left.digest.and_then(|digest| world.store.read_bytes(&digest, TEXT_MAX).ok());
        let found = found.map_or_else(
            || "what nobody can tell".to_owned(),
            |bytes| world.hide(&String::from_utf8_lossy(&bytes)),
        );
        wrong.push(other().sides(world.hide(text), found));
    }
    let differs = differs(&file.attributes, left);
    wrong.extend(differs.map(|(expected, found)| other().sides(expected, found)));
    wrong
}

/// Who may do what with it, where that is another.
fn differs(wanted: &Attributes, left: &Left) -> Option<(String, String)> {
    let mode = wanted.mode.filter(|mode| *mode != left.entry.mode);
    let owner = wanted.owner.as_ref().filter(|owner| **owner != left.entry.owner);
    let group = wanted.group.as_ref().filter(|group| **group != left.entry.group);
    let mut sides = (Vec::new(), Vec::new());
    if let Some(mode) = mode {
        sides.0.push(format!("mode {mode:04o}"));
        sides.1.push(format!("mode {:04o}", left.entry.mode));
    }
    if let Some(owner) = owner {
        sides.0.push(format!("owner {owner}"));
        sides.1.push(format!("owner {}", left.entry.owner));
    }
    if let Some(group) = group {
        sides.0.push(format!("group {group}"));
        sides.1.push(format!("group {}", left.entry.group));
    }
    (!sides.0.is_empty()).then(|| (sides.0.join("\n"), sides.1.join("\n")))
}

fn kind(left: &Left) -> String {
    match (left.entry.kind, &left.points_to) {
        (EntryKind::File, _) => "a file".to_owned(),
        (EntryKind::Directory, _) => "a folder".to_owned(),
        (_, Some(points_to)) => format!("a link to `{points_to}`"),
        _ => "something else".to_owned(),
    }
}

/// Whether a second run had nothing to do.
pub(super) fn again(trial: &Trial, world: &World<'_>, again: &Attempt) -> Option<Wrong> {
    let span = trial.expect.again.as_ref().map(|again| again.span);
    match &again.result {
        Err(failure) if failure.kind == FailureKind::Unknown => {
            Some(Wrong::new(format!("run once more: {}", failure.message), span).mend(failure.detail.clone()))
        }
        Err(failure) => {
            Some(Wrong::new("run once more, it fails", span).sides("it ends well", told(failure)))
        }
        Ok(_) => {
            let effects = effects(&again.calls);
            let found = world.hide(&effects.join("\n"));
            (!effects.is_empty())
                .then(|| Wrong::new("run once more, it still has effects", span).sides(String::new(), found))
        }
    }
}

/// What the test answers and nobody asked.
pub(super) fn unused(world: &World<'_>) -> Vec<Wrong> {
    let unused = world.script.unused().into_iter();
    unused
        .map(|(what, span)| {
            Wrong::new(format!("the step never {what}"), Some(span))
                .mend("remove the answer: a test says nothing that does not happen")
        })
        .collect()
}
