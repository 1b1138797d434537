//! `runner resume --undo`.

use super::args::Shown;
use super::carry_out::{How, Kit, Order, Resumed, host, keyed, not_forgotten, open_store, runtime};
use super::fail::Fail;
use super::{out, out_json};
use crate::host::{Faults, TakenBack, Undoing, is_left};
use crate::report::paint::Paint;
use crate::secret;
use crate::written::shown;
use runner_engine::{Brakes, Signals};
use runner_journal::{Journal, UndoEnd};
use runner_model::words::count;
use runner_model::{Phase, Verdict, text};
use runner_transport::Take;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Undoes a run. Ends with 0 when nothing of it is left, and with 7 when something is.
pub(super) fn undo(order: Order<'_>) -> Result<u8, Fail> {
    runtime()?.block_on(go(order))
}

async fn go(order: Order<'_>) -> Result<u8, Fail> {
    let Order { loaded, checked, locked, shown: args, resumed, .. } = order;
    let Some(Resumed { header, journal, before, takes_over }) = resumed else {
        return Err(Fail::internal("there is no run to undo"));
    };
    let run = header.run.clone();
    let folder = loaded.written.folder.join(".runner/runs").join(run.as_str());
    let resolved = Arc::new(checked.into_run());
    let vault = Arc::new(keyed(secret::fetch(&resolved, &loaded.written.folder).await?, &folder, false)?);
    let store = open_store()?;
    let (events, _) = runner_engine::events();
    let signals = Signals::of_process()
        .map_err(|error| Fail::internal(format_args!("cannot catch signals: {error}")))?;
    let kit = Kit { loaded, resolved, locked, vault, store };
    let faults = Faults::of_process().map_err(Fail::usage)?;
    let take = if takes_over { Take::OfRun } else { Take::IfFree };
    let host = host(
        kit,
        header,
        Arc::clone(&journal),
        before,
        faults,
        events.clone(),
        How { diff: false, dry: false, take, wait: Duration::ZERO, back: None },
    )?;
    if let Err(failure) = host.lock_for_undo().await {
        host.close().await;
        return Err(Fail::refused(&failure).detail(&failure.detail));
    }
    let live = !args.json;
    let brakes = Brakes::default();
    let undo = async {
        let tell = |undoing: &Undoing| {
            if live {
                super::talk(&told(undoing));
            }
        };
        let undoing = host.undo(&brakes, tell);
        tokio::pin!(undoing);
        let all = tokio::select! {
            all = &mut undoing => all,
            lost = host.kept_until_lost() => {
                // From here on the targets themselves refuse whatever would be written.
                super::talk(&format!("{lost}\n"));
                undoing.await
            }
        };
        let verdict = match all.gates.is_empty() && !all.effects.iter().any(|one| is_left(&one.end)) {
            true => Verdict::RolledBack,
            false => Verdict::RollbackFailed,
        };
        if verdict == Verdict::RolledBack {
            not_forgotten(&host.forget(verdict).await);
        }
        host.close().await;
        (all, verdict, journal.close(verdict).await)
    };
    let interrupted = async {
        brakes.begin(Phase::Rollout).cancelled().await;
        super::talk("interrupted: what is being undone may end first; once more, and it is cut off\n");
        std::future::pending::<Infallible>().await
    };
    let (all, verdict, last) = tokio::select! {
        ended = undo => ended,
        never = brakes.listen(signals, &events) => match never {},
        never = interrupted => match never {},
    };
    let left: Vec<&Undoing> = all.effects.iter().filter(|one| is_left(&one.end)).collect();
    let last = last.map_err(Fail::internal)?;
    show(args, &all, &left, &journal, &last.to_string(), run.as_str())?;
    Ok(match brakes.first() {
        _ if verdict == Verdict::RolledBack => 0,
        Some(signal) => signal.verdict().exit_code(),
        None => verdict.exit_code(),
    })
}

fn where_(one: &Undoing) -> String {
    one.on.as_ref().map_or_else(|| "here".to_owned(), ToString::to_string)
}

fn told(one: &Undoing) -> String {
    let what = format!("{}  {}: {}: {}", where_(one), one.key.step, one.act.words(), one.end.words());
    format!("{}\n", text::shown(&what))
}

fn show(
    args: &Shown,
    all: &TakenBack,
    left: &[&Undoing],
    journal: &Journal,
    last: &str,
    run: &str,
) -> Result<(), Fail> {
    let file = shown(journal.path());
    if args.json {
        let effects: Vec<Value> = all
            .effects
            .iter()
            .map(|one| {
                json!({
                    "step": one.key.step, "target": one.key.target, "number": one.key.number, "on": one.on,
                    "act": one.act, "end": one.end,
                })
            })
            .collect();
        let gates: Vec<Value> = all
            .gates
            .iter()
            .map(|(target, failure)| json!({ "target": target, "failure": failure }))
            .collect();
        let journal = json!({ "file": file, "last-hash": last });
        return out_json(&json!({
            "run": run, "undone": left.is_empty() && all.gates.is_empty(), "effects": effects,
            "gates": gates, "journal": journal,
        }));
    }
    let paint = Paint::NONE;
    let mut text = String::new();
    if !left.is_empty() || !all.gates.is_empty() {
        let _ = writeln!(text, "{}", paint.strong("left for a person"));
        for one in left {
            let (word, why) = one.end.word();
            let line = format!("  on {}: {} ({word}): {why}", where_(one), one.act.words());
            let _ = writeln!(text, "{}", text::shown(&line));
        }
        for (_, failure) in &all.gates {
            let _ = writeln!(text, "{}", text::shown(&format!("  {failure}")));
        }
        text.push('\n');
    }
    let undone = all.effects.iter().filter(|one| one.end == UndoEnd::Done).count();
    let what = count(undone, "effect");
    let end = match left.len() + all.gates.len() {
        0 => format!("the run {run} is undone: {what}"),
        some => format!("the run {run} is undone in part: {what}, and {some} left"),
    };
    let _ = writeln!(text, "{end}\njournal: {file}, last hash {last}");
    out(&text)
}
