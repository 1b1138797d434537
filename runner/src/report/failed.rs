//! Failures for people: each cause once, with all its targets, and the end of what was said there.

use super::account::{Account, Failed};
use super::paint::Paint;
use runner_model::words::{count, names};
use runner_model::{Failure, TargetName, text};
use std::fmt::Write as _;

/// How many lines of what was said are shown, of each kind.
const LINES: usize = 12;

/// Stands for the name of the target where texts are compared.
const NAME: &str = "\u{0}";

/// Writes all failures; `journal`: where the whole of it is.
pub(super) fn write(out: &mut String, account: &Account, journal: Option<&str>, paint: Paint) {
    let mut groups: Vec<(Texts, Vec<&Failed>)> = Vec::new();
    for failed in &account.failures {
        let texts = Texts::of(failed);
        let same = |(known, members): &&mut (Texts, Vec<&Failed>)| {
            *known == texts && members.first().is_some_and(|first| first.step == failed.step)
        };
        match groups.iter_mut().find(same) {
            Some((_, members)) => members.push(failed),
            None => groups.push((texts, vec![failed])),
        }
    }
    for (_, members) in &groups {
        let Some(first) = members.first() else { continue };
        let attempts = members.iter().map(|member| member.attempt).max().unwrap_or(1);
        let what = match &first.step {
            Some(step) if attempts > 1 => format!("{step} failed at attempt {attempts}"),
            Some(step) => format!("{step} failed"),
            None => "unreachable".to_owned(),
        };
        let on = names(members.iter().map(|member| member.target.as_str()));
        let Failure { message, detail, .. } = &first.failure;
        let _ = write!(out, "\n{} {}", paint.bad(&what), paint.strong(&format!("on {on}")));
        let _ = writeln!(out, ": {}", text::shown(message));
        let differ = members.iter().any(|other| {
            other.failure.message != *message
                || other.failure.detail != *detail
                || other.stderr != first.stderr
        });
        if differ {
            let each = format!("as on {}; on the others the same, with their own names", first.target);
            let _ = writeln!(out, "  {}", paint.faint(&each));
        }
        end_of(out, detail, "  ", journal, paint);
        if !first.stderr.trim().is_empty() {
            let _ = writeln!(out, "  {}", paint.faint("the end of its stderr:"));
            end_of(out, &first.stderr, "  | ", journal, paint);
        }
    }
}

/// The last lines of a text, and where the rest is.
fn end_of(out: &mut String, text: &str, before: &str, journal: Option<&str>, paint: Paint) {
    let lines: Vec<&str> = text.lines().collect();
    // One line takes no more room than "1 more line".
    let skipped = match lines.len().saturating_sub(LINES) {
        1 => 0,
        more => more,
    };
    if skipped > 0 {
        let whole = text::shown(journal.unwrap_or("the journal"));
        let more = format!("… {} in {whole}", count(skipped, "more line"));
        let _ = writeln!(out, "{before}{}", paint.faint(&more));
    }
    for line in &lines[skipped..] {
        let _ = writeln!(out, "{before}{}", text::shown(line));
    }
}

/// What a failure says, with the target's own name taken out.
#[derive(PartialEq, Eq)]
struct Texts(String, String, String);

impl Texts {
    fn of(failed: &Failed) -> Self {
        let name = &failed.target;
        let Failure { message, detail, .. } = &failed.failure;
        Self(nameless(message, name), nameless(detail, name), nameless(&failed.stderr, name))
    }
}

/// The text with the name taken out wherever it stands as a whole: `web-1` in `web-1.example.org`, not in `web-10`.
fn nameless(text: &str, name: &TargetName) -> String {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name.as_str()) {
        let (before, after) = (&rest[..at], &rest[at + name.as_str().len()..]);
        let whole = !before.ends_with(part) && !after.starts_with(part);
        out.push_str(before);
        out.push_str(if whole { NAME } else { name.as_str() });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_model::FailureKind;

    fn account(failures: Vec<(&str, &str, &str, String)>) -> Account {
        let failed = |(target, message, detail, stderr): (&str, &str, &str, String)| Failed {
            target: target.parse().unwrap(),
            step: Some("migrate".parse().unwrap()),
            attempt: 1,
            failure: Failure::new(FailureKind::CommandFailed, message).with_detail(detail),
            stderr,
        };
        let mut account = Account::default();
        account.failures.extend(failures.into_iter().map(failed));
        account
    }

    fn shown(account: &Account) -> String {
        let mut out = String::new();
        write(&mut out, account, Some(".runner/runs/r-1/journal.jsonl"), Paint::NONE);
        out
    }

    #[test]
    fn a_wall_of_text_is_cut_to_its_end_and_names_where_the_rest_is() {
        let wall: String = (1..=60).map(|line| format!("line {line}\n")).collect();
        let account = account(vec![("web-1", "`migrate` ended with status 3", &wall, wall.clone())]);
        insta::assert_snapshot!(shown(&account));
    }

    #[test]
    fn the_same_cause_is_told_once_although_each_target_puts_its_name_into_it() {
        let on = |name: &'static str, message: &'static str| (name, message, "", String::new());
        let account = account(vec![
            on("web-1", "no route to web-1.example.org"),
            on("web-2", "no route to web-2.example.org"),
            on("web-3", "no space left on device"),
            on("web-10", "no route to web-1.example.org"),
        ]);
        insta::assert_snapshot!(shown(&account), @r"

        migrate failed on web-1, web-2: no route to web-1.example.org
          as on web-1; on the others the same, with their own names

        migrate failed on web-3: no space left on device

        migrate failed on web-10: no route to web-1.example.org
        ");
    }
}
