//! `runner runs export`.

use super::args::RunsExport;
use super::carry_out::open_store;
use super::fail::Fail;
use super::runs::{chosen, folder};
use super::{out, talk};
use crate::history;
use crate::replay::bundle;
use crate::written::shown;
use runner_journal::Damage;
use std::io::Write as _;
use std::path::PathBuf;

pub(crate) fn run(args: &RunsExport) -> Result<(), Fail> {
    let run = chosen(&args.plan, args.run.as_deref())?;
    let past = history::load(&folder(&args.plan), &run);
    let journal = shown(&past.journal());
    let record = past.record.as_ref().map_err(|damage| Fail::refused(format_args!("{journal}: {damage}")))?;
    match &record.damage {
        None => {}
        Some(torn @ Damage::Torn { .. }) => talk(&format!("{journal}: {torn}\n")),
        Some(damage) => return Err(Fail::refused(format_args!("{journal}: {damage}"))),
    }
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{run}.tar")));
    let cannot = |error: &dyn std::fmt::Display| {
        Fail::internal(format_args!("cannot write `{}`: {error}", shown(&output)))
    };
    if output.exists() {
        return Err(Fail::usage(format_args!("`{}` is there already", shown(&output)))
            .hint("name another file with `--output`"));
    }
    let beside = output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let file =
        tempfile::NamedTempFile::new_in(beside.unwrap_or(".".as_ref())).map_err(|error| cannot(&error))?;
    let mut file = std::io::BufWriter::new(file);
    bundle::export(&past, record, &*open_store()?, &mut file)
        .map_err(|failure| Fail::refused(&failure).hint(&failure.detail))?;
    file.flush().map_err(|error| cannot(&error))?;
    let file = file.into_inner().map_err(|error| cannot(&error))?;
    file.persist_noclobber(&output).map_err(|error| cannot(&error.error))?;
    out(&format!("{}\n", shown(&output)))
}
