//! Reads `[expect]`: how the step ends, and what is there then.

use super::read::{by_path, kinds, string, texts};
use super::{Expect, ExpectedError, read_machine};
use crate::diagnostic::Code;
use crate::read::{Item, Reader, choice};
use crate::source::Spanned;

pub(super) fn expect(reader: &Reader, item: &Item<'_>) -> Expect {
    let Some(table) = reader.table(item, "`[expect]`") else { return Expect::default() };
    let list = |key: &'static str, must_be: &str| {
        let item = table.take(key)?;
        Some((item.span, reader.list::<String>(&item, must_be)?))
    };
    let expect = Expect {
        outputs: table.take("outputs").and_then(|item| {
            reader.table(&item, "`outputs`")?;
            Some(Spanned::new(reader.json(&item)?, item.span))
        }),
        error: table.take("error").and_then(|item| error(reader, &item)),
        calls: list("calls", "a list of effects, as in `[\"targets.write /etc/app.conf\"]`")
            .map(|(span, calls)| Spanned::new(calls.into_iter().map(|call| call.value).collect(), span)),
        files: table.take("files").map(|item| read_machine::files(reader, &item)).unwrap_or_default(),
        folders: table.take("folders").map(|item| read_machine::folders(reader, &item)).unwrap_or_default(),
        links: table
            .take("links")
            .map(|item| by_path(reader, &item, |entry| reader.string(entry)))
            .unwrap_or_default(),
        absent: table
            .take("absent")
            .and_then(|item| reader.list(&item, "a list of absolute paths"))
            .unwrap_or_default(),
        services: read_machine::services(reader, &table),
        workspace: table.take("workspace").map(|item| texts(reader, &item)).unwrap_or_default(),
        log: list("log", "a list of texts").map(|(_, lines)| lines).unwrap_or_default(),
        again: table.take("again").and_then(|item| choice(reader, &item, &[("unchanged", ())])),
    };
    table.finish(reader, &[]);
    if let (Some(outputs), Some(error)) = (&expect.outputs, &expect.error) {
        let problem = reader.problem(Code::Conflict, error.span, "both `outputs` and `error` are expected");
        reader.push(problem.also(outputs.span, "here").because("a step that fails gives out nothing"));
    }
    if let (Some(again), Some(error)) = (&expect.again, &expect.error) {
        let problem = reader.problem(Code::Conflict, again.span, "`again` makes no sense with `error`");
        reader.push(problem.also(error.span, "here").because("a step that fails is not done"));
    }
    expect
}

fn error(reader: &Reader, item: &Item<'_>) -> Option<Spanned<ExpectedError>> {
    let table = reader.table(item, "`error`")?;
    let kind = table.take("kind").and_then(|item| choice(reader, &item, &kinds()));
    let message = string(reader, &table, "message");
    table.finish(reader, &[]);
    Some(Spanned::new(ExpectedError { kind: kind.map(|kind| kind.value), message }, item.span))
}
