//! `runner report`.

use super::args::{Report, ReportFormat};
use super::fail::Fail;
use super::runs::{chosen, folder};
use super::{out_json, talk};
use crate::history::{self, Outline, Past};
use crate::report::{Around, Document, Plain, Reporter, Sealed, Summary};
use crate::written::shown;
use runner_journal::{Damage, Record};
use runner_model::Stamped;
use runner_model::words::duration;
use std::io;

pub(crate) fn run(args: &Report) -> Result<(), Fail> {
    let plan = folder(&args.plan);
    let run = chosen(&args.plan, args.run.as_deref())?;
    let past = history::load(&plan, &run);
    let journal = shown(&past.journal());
    let record = match &past.record {
        Ok(record) => record,
        Err(damage) => {
            return Err(Fail::refused(format_args!("{journal}: {damage}")).hint(
                "without its first line nothing of it is believed; `runner runs list` shows the others",
            ));
        }
    };
    let events = history::events(record);
    match args.format {
        ReportFormat::Trace => out_json(&history::trace(&events))?,
        ReportFormat::Log => show(&events, Plain::new(io::stdout(), true))?,
        ReportFormat::Summary | ReportFormat::Json if Outline::of(record).ending.is_none() => {
            let last = duration(Outline::of(record).last);
            let message = format!("the run {run} never came to its end: its journal ends after {last}");
            return Err(Fail::refused(message).hint(format_args!(
                "`runner report {run} --format log` shows what it did, and what is in doubt"
            )));
        }
        ReportFormat::Summary => {
            show(&events, Summary::without_colours(io::stdout()).around(&around(&past, record)))?;
        }
        ReportFormat::Json => show(&events, Document::new(io::stdout()).around(&around(&past, record)))?,
    }
    whole(args, record, &journal)
}

fn around(past: &Past, record: &Record) -> Around {
    let around = Around::default();
    let sealed = Sealed { file: shown(&past.journal()), last_hash: record.last };
    // It is empty: nobody else has filled it in.
    let _ = around.seal.set(sealed);
    around
}

fn show(events: &[Stamped], mut reporter: impl Reporter) -> Result<(), Fail> {
    for event in events {
        match reporter.event(event) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => {
                written.map_err(|error| Fail::internal(format_args!("cannot write to stdout: {error}")))?
            }
        }
    }
    Ok(())
}

/// What was shown is all of it, or else that is said.
fn whole(args: &Report, record: &Record, journal: &str) -> Result<(), Fail> {
    match &record.damage {
        None => {}
        Some(torn @ Damage::Torn { .. }) => talk(&format!("{journal}: {torn}\n")),
        Some(broken) => {
            return Err(Fail::refused(format_args!("{journal}: {broken}"))
                .hint("what comes before that line is as it was written; what follows proves nothing"));
        }
    }
    match args.last_hash {
        Some(expected) if expected != record.last => Err(Fail::refused(format_args!(
            "{journal} ends with another line than the run did: {}",
            record.last
        ))
        .detail(format_args!("expected {expected}"))
        .hint("lines at its end are missing, or this is another run's")),
        _ => Ok(()),
    }
}
