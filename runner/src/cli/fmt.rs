//! `runner fmt`.

use super::args::Fmt;
use super::fail::Fail;
use super::files::replace;
use super::{out, talk};
use crate::written::{read, shown};
use runner_model::format::format;
use runner_model::inventory::Form;
use runner_model::{Plan, Problems};
use std::io::Read as _;
use std::path::PathBuf;

/// Some files were not laid out.
const DIFFERS: u8 = 1;

pub(crate) fn run(args: &Fmt) -> Result<u8, Fail> {
    if args.files.iter().any(|file| file.as_os_str() == "-") {
        return standard_input(args);
    }
    let files = if args.files.is_empty() { usual()? } else { args.files.clone() };
    let mut problems = Problems::new();
    let mut laid_out = Vec::new();
    for file in files {
        match read(&file).and_then(|bytes| Ok((format(&shown(&file), &bytes)?, bytes))) {
            Ok((text, bytes)) if text.as_bytes() == bytes => {}
            Ok((text, bytes)) => laid_out.push((file, bytes, text)),
            Err(more) => problems.extend(more),
        }
    }
    // All are looked at before the first one is written.
    problems.or(Some(()))?;
    for (file, bytes, text) in &laid_out {
        if args.check {
            out(&diff(&shown(file), bytes, text))?;
        } else {
            replace(file, text)
                .map_err(|error| Fail::internal(format_args!("cannot write `{}`: {error}", shown(file))))?;
            talk(&format!("laid out `{}`\n", shown(file)));
        }
    }
    Ok(if args.check && !laid_out.is_empty() { DIFFERS } else { 0 })
}

/// From stdin to stdout, for editors.
fn standard_input(args: &Fmt) -> Result<u8, Fail> {
    if args.files.len() > 1 {
        return Err(Fail::usage("`-` is stdin, and stands alone").hint("name files, or `-`"));
    }
    let mut bytes = Vec::new();
    let limit = runner_model::source::MAX_SOURCE_BYTES + 1;
    let input = std::io::stdin().lock().take(limit).read_to_end(&mut bytes);
    input.map_err(|error| Fail::internal(format_args!("cannot read stdin: {error}")))?;
    let text = format("<stdin>", &bytes)?;
    if !args.check {
        out(&text)?;
        return Ok(0);
    }
    if text.as_bytes() == bytes {
        return Ok(0);
    }
    out(&diff("<stdin>", &bytes, &text))?;
    Ok(DIFFERS)
}

/// The plan of this folder, and the inventories that it names, where they are in our own language.
fn usual() -> Result<Vec<PathBuf>, Fail> {
    let plan = PathBuf::from("plan.toml");
    if !plan.exists() {
        return Err(
            Fail::usage("there is no `plan.toml` here").hint("name the files: `runner fmt deploy/plan.toml`")
        );
    }
    let (read_plan, _) = Plan::read("plan.toml", &read(&plan)?)?;
    let mut files = vec![plan];
    for environment in read_plan.environment.values() {
        let Some(file) = environment.inventory.file().map(PathBuf::from) else { continue };
        let is_ours = file.exists() && Form::of(&shown(&file), &read(&file)?) == Form::Toml;
        if is_ours && !files.contains(&file) {
            files.push(file);
        }
    }
    Ok(files)
}

fn diff(name: &str, before: &[u8], after: &str) -> String {
    let before = String::from_utf8_lossy(before);
    let lines = similar::TextDiff::from_lines(before.as_ref(), after);
    let text = lines.unified_diff().context_radius(3).header(name, &format!("{name} (laid out)")).to_string();
    let text: Vec<_> = text.lines().map(|line| runner_model::text::shown(line).into_owned()).collect();
    text.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_reads_as_usual_and_harms_no_terminal() {
        insta::assert_snapshot!(diff("plan.toml", b"a=1\nb = '\x1b[2J'\n", "a = 1\nb = '\u{1b}[2J'\n"), @r"
        --- plan.toml
        +++ plan.toml (laid out)
        @@ -1,2 +1,2 @@
        -a=1
        +a = 1
         b = '\u{1b}[2J'
        ");
    }
}
