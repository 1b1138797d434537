//! `runner runs list` and `runner runs prune`.

use super::args::{RunsList, RunsPrune};
use super::fail::Fail;
use super::{out, out_json, talk};
use crate::history::{self, Outline, Past};
use crate::report::paint::Paint;
use crate::report::table::{Colour, table};
use crate::written::shown;
use runner_journal::Damage;
use runner_model::words::{count, duration};
use runner_model::{RunId, Verdict};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) fn list(args: &RunsList) -> Result<(), Fail> {
    let plan = folder(&args.plan);
    let runs: Vec<Past> = ids(&plan)?.iter().map(|run| history::load(&plan, run)).collect();
    if args.json {
        let all: Vec<Value> = runs.iter().map(as_json).collect();
        return out_json(&Value::from(all));
    }
    if runs.is_empty() {
        talk(&format!("`{}` has no runs\n", shown(&args.plan)));
        return Ok(());
    }
    let rows: Vec<_> = runs.iter().map(as_row).collect();
    let mut text = String::new();
    table(&mut text, Paint::NONE, &["run", "to", "ended", "took", "release"], &rows);
    out(text.trim_start_matches('\n'))
}

pub(crate) fn prune(args: &RunsPrune) -> Result<(), Fail> {
    let plan = folder(&args.plan);
    let ids = ids(&plan)?;
    let old = &ids[..ids.len().saturating_sub(args.keep)];
    let mut removed = 0;
    for run in old {
        let past = history::load(&plan, run);
        let ended = past.record.as_ref().is_ok_and(|record| Outline::of(record).ending.is_some());
        if !ended {
            let folder = shown(&past.folder);
            talk(&format!(
                "{run} stays: it never came to its end, and what it left may still be asked of it\n"
            ));
            talk(&format!("  when nobody will ask, remove {folder} by hand\n"));
            continue;
        }
        std::fs::remove_dir_all(&past.folder).map_err(|error| {
            Fail::internal(format_args!("cannot remove {}: {error}", shown(&past.folder)))
        })?;
        removed += 1;
    }
    talk(&format!("removed {}; {} left\n", count(removed, "run"), ids.len() - removed));
    Ok(())
}

/// Where a plan lies.
pub(super) fn folder(plan: &Path) -> PathBuf {
    let parent = plan.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

pub(super) fn ids(plan: &Path) -> Result<Vec<RunId>, Fail> {
    history::ids(plan).map_err(|error| {
        Fail::usage(format_args!("the runs in {} cannot be read: {error}", shown(&plan.join(".runner/runs"))))
    })
}

/// The run that is meant.
pub(super) fn chosen(plan: &Path, asked: Option<&str>) -> Result<RunId, Fail> {
    let ids = ids(&folder(plan))?;
    let Some(last) = ids.last() else {
        return Err(Fail::usage(format_args!("`{}` has no runs", shown(plan)))
            .hint("its runs are in `.runner/runs` beside it: name another plan with `--plan`"));
    };
    let Some(asked) = asked else { return Ok(last.clone()) };
    let meant: Vec<&RunId> = ids.iter().filter(|run| run.as_str().starts_with(asked)).collect();
    let list = "`runner runs list` shows what there is";
    match meant[..] {
        [one] => Ok(one.clone()),
        [] => Err(Fail::usage(format_args!("there is no run `{}`", asked.escape_debug())).hint(list)),
        _ => Err(Fail::usage(format_args!(
            "`{}` is the beginning of {} runs",
            asked.escape_debug(),
            meant.len()
        ))
        .hint(list)),
    }
}

/// How a verdict is called.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Done => "done",
        Verdict::Refused => "refused",
        Verdict::Failed => "failed",
        Verdict::Unreachable => "unreachable",
        Verdict::Interrupted => "interrupted",
        Verdict::Terminated => "terminated",
        Verdict::RolledBack => "undone",
        Verdict::RollbackFailed => "undone in part",
    }
}

fn as_row(past: &Past) -> (Vec<String>, Colour) {
    let record = match &past.record {
        Ok(record) => record,
        Err(damage) => return (vec![past.run.to_string(), "-".into(), damage.to_string()], Colour::Bad),
    };
    let all = Outline::of(record);
    let (ended, took) = match all.ending {
        Some(ending) => (word(ending.verdict).to_owned(), duration(ending.milliseconds)),
        None => ("never".to_owned(), duration(all.last)),
    };
    let ended = match &record.damage {
        None | Some(Damage::Torn { .. }) => ended,
        Some(_) => format!("{ended}; its journal is broken"),
    };
    let release = all.release.map_or_else(
        || "-".to_owned(),
        |release| format!("{release} on {} of {}", all.done, count(all.targets, "target")),
    );
    let to = record.header.environment.to_string();
    (vec![past.run.to_string(), to, ended, took, release], Colour::None)
}

fn as_json(past: &Past) -> Value {
    let record = match &past.record {
        Ok(record) => record,
        Err(damage) => return json!({ "run": past.run, "damage": damage.to_string() }),
    };
    let all = Outline::of(record);
    let header = &record.header;
    json!({
        "run": past.run,
        "started": header.started,
        "plan": header.plan,
        "environment": header.environment,
        "limit": header.limit,
        "verdict": all.ending.map(|ending| ending.verdict),
        "milliseconds": all.ending.map(|ending| ending.milliseconds),
        "release": all.release,
        "targets": all.targets,
        "done": all.done,
        "last-hash": record.last,
        "damage": record.damage.as_ref().map(Damage::to_string),
    })
}
