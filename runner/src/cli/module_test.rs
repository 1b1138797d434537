//! `runner module test`: the tests of a step, one line each, and what is not as expected below it.

use super::args::Test as Args;
use super::carry_out::runtime;
use super::fail::{FAILED, Fail};
use super::load::cache_folder;
use super::{out, out_json};
use crate::module::load::{LoadError, Loader};
use crate::module::source::Source;
use crate::replay::{Act, Compared};
use crate::report::paint::Paint;
use crate::report::table::{Colour, table};
use crate::sandbox::engine;
use crate::trial::recorded::recorded;
use crate::trial::sweep::Row;
use crate::trial::{Bench, Wrong};
use crate::written::{read, shown};
use runner_guests::Project;
use runner_model::trial::Trial;
use runner_model::words::count;
use runner_model::{Failure, Problems};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// How many lines of a difference are shown around what differs.
const CONTEXT: usize = 3;

pub(crate) fn run(args: &Args) -> Result<u8, Fail> {
    let (file, tests) = places(args)?;
    let files = files(&tests, args.only.as_deref())?;
    let unusable = |error: LoadError| {
        Fail::usage(format_args!(
            "`{}` cannot be used as a module: {}",
            shown(&file),
            runner_model::text::shown(&error.to_string())
        ))
    };
    let source = Source::file(&file).map_err(unusable)?;
    let engine = engine::engine()
        .map_err(|error| Fail::internal(format_args!("the sandbox cannot start: {error}")))?;
    let module = loader(&engine).load(&source).map_err(unusable)?;
    let bench =
        Bench::new(&engine, module).map_err(|failure| Fail::internal(&failure).detail(&failure.detail))?;
    // All that is wrong with all of them is told before the first one runs.
    let tests = read_all(&files)?;
    let done = runtime()?.block_on(async {
        let mut done = Vec::new();
        for test in &tests {
            done.push(one(&bench, &engine, &source.bytes, test, args.faults).await?);
        }
        Ok::<_, Fail>(done)
    })?;
    let failed = done.iter().filter(|done| !done.is_good()).count();
    if args.json {
        out_json(&as_json(&bench, &done))?;
    } else {
        let mut text: String = done.iter().map(as_text).collect();
        let what = count(done.len(), "test");
        match failed {
            0 => text.push_str(&format!("\n{what}: all passed\n")),
            some => text.push_str(&format!("\n{what}: {some} failed\n")),
        }
        out(&runner_model::text::shown_lines(&text))?;
    }
    Ok(if failed == 0 { 0 } else { FAILED })
}

fn loader(engine: &wasmtime::Engine) -> Loader {
    Loader::in_cache(engine, cache_folder().as_deref())
}

/// The component, and the folder of its tests.
fn places(args: &Args) -> Result<(PathBuf, PathBuf), Fail> {
    let (file, beside) = if args.step.is_dir() {
        let project = Project::read(&args.step).map_err(|error| {
            let fail = Fail::usage(error);
            match args.step.join(runner_guests::project::FILE).exists() {
                true => fail,
                false => {
                    fail.hint("name the step's folder, or its component: `runner module test hello.wasm`")
                }
            }
        })?;
        let file = project.component_file();
        if !file.is_file() {
            return Err(Fail::usage(format_args!("`{}` is not there", shown(&file)))
                .hint(format_args!("build it first: `runner module build {}`", shown(&args.step))));
        }
        (file, args.step.clone())
    } else {
        let folder = args.step.parent().filter(|folder| !folder.as_os_str().is_empty());
        (args.step.clone(), folder.unwrap_or(Path::new(".")).to_owned())
    };
    Ok((file, args.tests.clone().unwrap_or_else(|| beside.join("tests"))))
}

/// The tests of a folder, by name.
fn files(folder: &Path, only: Option<&str>) -> Result<Vec<PathBuf>, Fail> {
    const HINT: &str = "a test is a file `tests/NAME.toml`: docs/writing-a-step.md tells what is in it";
    let entries = std::fs::read_dir(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Fail::usage(format_args!("there are no tests: no folder `{}`", shown(folder))).hint(HINT)
        }
        _ => Fail::usage(format_args!("the tests in `{}` cannot be read: {error}", shown(folder))).hint(HINT),
    })?;
    let is_test = |path: &PathBuf| path.extension().is_some_and(|end| end == "toml" || end == "run");
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_test).filter(|path| path.is_file()).collect();
    files.sort();
    if files.is_empty() {
        return Err(Fail::usage(format_args!("there is no test in `{}`", shown(folder))).hint(HINT));
    }
    let Some(only) = only else { return Ok(files) };
    let names: Vec<String> = files.iter().map(|file| format!("`{}`", name(file))).collect();
    files.retain(|file| name(file).contains(only));
    if files.is_empty() {
        return Err(Fail::usage(format_args!("no test has `{}` in its name", only.escape_debug()))
            .hint(format!("there are {}", names.join(", "))));
    }
    Ok(files)
}

fn name(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().escape_debug().to_string()).unwrap_or_default()
}

/// A test that was read.
struct Test {
    name: String,
    file: PathBuf,
    /// `None`: it is a run that was recorded.
    trial: Option<Trial>,
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Test>, Fail> {
    let mut problems = Problems::new();
    let mut tests = Vec::new();
    for file in files {
        let recorded = file.extension().is_some_and(|end| end == "run");
        let trial = if recorded {
            Ok(None)
        } else {
            read(file).and_then(|bytes| Trial::parse(&shown(file), &bytes)).map(Some)
        };
        match trial {
            Ok(trial) => tests.push(Test { name: name(file), file: file.clone(), trial }),
            Err(more) => problems.extend(more),
        }
    }
    if problems.has_errors() { Err(problems.into()) } else { Ok(tests) }
}

/// A test that was run.
struct Done<'t> {
    test: &'t Test,
    wrong: Vec<Wrong>,
    calls: Vec<String>,
    /// `None`: there was no sweep.
    sweep: Option<Vec<Row>>,
    recorded: Vec<Compared>,
    /// Why nothing could be done again.
    lost: Option<Failure>,
}

impl Done<'_> {
    fn is_good(&self) -> bool {
        self.wrong.is_empty()
            && self.lost.is_none()
            && self.recorded.iter().all(Compared::is_same)
            && self.sweep.iter().flatten().all(|row| row.wrong.is_empty())
    }

    /// Where a test says something.
    fn place(&self, wrong: &Wrong) -> Option<String> {
        let source = &self.test.trial.as_ref()?.source;
        let (line, column) = source.line_and_column(wrong.span?.start);
        Some(format!("{}:{line}:{column}", source.name()))
    }
}

async fn one<'t>(
    bench: &Bench,
    engine: &wasmtime::Engine,
    component: &[u8],
    test: &'t Test,
    faults: bool,
) -> Result<Done<'t>, Fail> {
    let mut done = Done { test, wrong: vec![], calls: vec![], sweep: None, recorded: vec![], lost: None };
    let Some(trial) = &test.trial else {
        let file = std::fs::File::open(&test.file)
            .map_err(|error| Fail::usage(format_args!("`{}` cannot be read: {error}", shown(&test.file))))?;
        let name = bench.module().manifest.name.as_str();
        match recorded(engine, loader(engine), file, (name, component)).await {
            Ok(compared) => done.recorded = compared,
            Err(failure) => done.lost = Some(failure),
        }
        return Ok(done);
    };
    let verdict = bench.run(trial).await?;
    done.wrong = verdict.wrong;
    done.calls = verdict.calls.into_iter().map(|made| made.shown).collect();
    if faults && done.wrong.is_empty() {
        done.sweep = bench.sweep(trial).await?;
    }
    Ok(done)
}

fn as_text(done: &Done<'_>) -> String {
    let mut text = String::new();
    let word = if done.is_good() { "ok    " } else { "FAILED" };
    let _ = write!(text, "{word}  {}", done.test.name);
    if let Some(rows) = &done.sweep {
        let _ = write!(text, " ({})", count(rows.len(), "fault"));
    }
    text.push('\n');
    for wrong in &done.wrong {
        let _ = match done.place(wrong) {
            Some(place) => writeln!(text, "  {place}: {}", wrong.what),
            None => writeln!(text, "  {}", wrong.what),
        };
        indent(&mut text, "    ", &difference(&wrong.expected, &wrong.found));
        if !wrong.mend.is_empty() {
            indent(&mut text, "    ", &wrong.mend);
        }
    }
    if let Some(lost) = &done.lost {
        let _ = writeln!(text, "  {lost}");
        indent(&mut text, "    ", &lost.detail);
    }
    for compared in done.recorded.iter().filter(|compared| !compared.is_same()) {
        recorded_as_text(&mut text, compared);
    }
    if let Some(rows) = &done.sweep {
        sweep_as_text(&mut text, rows);
    }
    text
}

fn sweep_as_text(text: &mut String, rows: &[Row]) {
    let cells = |row: &Row| {
        let is = if row.wrong.is_empty() { "ok" } else { "FAILED" };
        let cells = [&row.number.to_string(), &row.call, row.fault, &row.ended, &row.then, is];
        let colour = if row.wrong.is_empty() { Colour::None } else { Colour::Bad };
        (cells.into_iter().map(str::to_owned).collect::<Vec<_>>(), colour)
    };
    let rows_of: Vec<_> = rows.iter().map(cells).collect();
    let mut told = String::new();
    table(&mut told, Paint::NONE, &["call", "", "fault", "ends", "then", ""], &rows_of);
    indent(text, "  ", told.trim_start_matches('\n'));
    for row in rows.iter().filter(|row| !row.wrong.is_empty()) {
        let _ = writeln!(text, "  call {}, {}: `{}`", row.number, row.fault, row.call);
        indent(text, "    ", &row.wrong);
    }
}

fn recorded_as_text(text: &mut String, one: &Compared) {
    let (step, target, attempt) = &one.key;
    let _ = writeln!(text, "  step `{step}` on {target}, attempt {attempt}, is not as recorded");
    for act in &one.effects {
        let _ = match act {
            Act::Same(what) => writeln!(text, "      {what}"),
            Act::Gone(what) => writeln!(text, "    - {what}"),
            Act::New(what) => writeln!(text, "    + {what}"),
        };
    }
    if let Some(unknown) = &one.unknown {
        let _ = writeln!(text, "    ? it {unknown}");
    } else if one.recorded.as_ref() != Some(&one.got) {
        let recorded = one.recorded.as_deref().unwrap_or("nothing: it was cut off");
        let _ = writeln!(text, "    - ends with {recorded}\n    + ends with {}", one.got);
    }
}

fn indent(text: &mut String, by: &str, lines: &str) {
    for line in lines.lines() {
        let _ = writeln!(text, "{by}{line}");
    }
}

/// What is expected and not there, and what is there and not expected, line by line.
fn difference(expected: &str, found: &str) -> String {
    if expected == found {
        return String::new();
    }
    let mut text = String::new();
    let difference = similar::TextDiff::from_lines(expected, found);
    for (index, group) in difference.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            text.push_str("  …\n");
        }
        for change in group.iter().flat_map(|op| difference.iter_changes(op)) {
            let sign = match change.tag() {
                similar::ChangeTag::Equal => ' ',
                similar::ChangeTag::Delete => '-',
                similar::ChangeTag::Insert => '+',
            };
            let _ = writeln!(text, "{sign} {}", change.value().trim_end_matches('\n'));
        }
    }
    let ends = |text: &str| text.is_empty() || text.ends_with('\n');
    if expected.trim_end_matches('\n') == found.trim_end_matches('\n') && ends(expected) != ends(found) {
        text.push_str("they differ in the end of the last line\n");
    }
    text
}

fn as_json(bench: &Bench, done: &[Done<'_>]) -> Value {
    let tests: Vec<Value> = done
        .iter()
        .map(|done| {
            let wrong = |wrong: &Wrong| {
                json!({
                    "what": wrong.what, "place": done.place(wrong), "expected": wrong.expected,
                    "found": wrong.found, "mend": wrong.mend,
                })
            };
            let row = |row: &Row| {
                json!({
                    "number": row.number, "call": row.call, "fault": row.fault, "ended": row.ended,
                    "then": row.then, "wrong": row.wrong,
                })
            };
            let recorded = |one: &Compared| {
                let (step, target, attempt) = &one.key;
                json!({
                    "step": step, "target": target, "attempt": attempt, "same": one.is_same(),
                    "recorded": one.recorded, "got": one.got, "unknown": one.unknown,
                })
            };
            json!({
                "name": done.test.name,
                "passed": done.is_good(),
                "wrong": done.wrong.iter().map(wrong).collect::<Vec<_>>(),
                "calls": done.calls,
                "faults": done.sweep.as_ref().map(|rows| rows.iter().map(row).collect::<Vec<_>>()),
                "recorded": done.recorded.iter().map(recorded).collect::<Vec<_>>(),
                "lost": done.lost,
            })
        })
        .collect();
    let module = bench.module();
    json!({
        "module": { "name": module.manifest.name, "version": module.manifest.version, "digest": module.digest },
        "tests": tests,
        "failed": done.iter().filter(|done| !done.is_good()).count(),
    })
}
