//! `runner releases`: what each target has, what proved itself, and what is not what was laid out.

use super::args::Releases;
use super::asked::code;
use super::carry_out::runtime;
use super::fail::Fail;
use super::load::{Loaded, Programs};
use super::survey::{Known, survey};
use super::{out, out_json, talk, warn};
use crate::report::paint::Paint;
use crate::report::table::{Colour, table};
use jiff::Timestamp;
use runner_model::{Failure, Mark, text};
use runner_transport::Laid;
use serde_json::{Value, json};

/// A target, its releases, and whether what is live there is what was laid out; `None`: nothing is live.
type Seen = (Known, Option<Result<bool, Failure>>);

pub(crate) fn run(args: &Releases) -> Result<u8, Fail> {
    let loaded = Loaded::read(&args.which.plan, args.which.environment.as_ref())?;
    let checked = loaded.check(&args.which.vars, args.which.limit.as_ref(), Programs::Any)?;
    warn(&checked.resolved.warnings);
    let seen = runtime()?.block_on(async {
        let known = survey(&loaded, &checked).await?;
        Ok::<_, Fail>(futures_util::future::join_all(known.into_iter().map(looked_at)).await)
    })?;
    show(&seen, args.json)
}

/// For `rollback --list`, too.
pub(super) fn show(seen: &[Seen], as_json: bool) -> Result<u8, Fail> {
    if as_json {
        out_json(&seen.iter().map(json_of).collect())?;
    } else {
        let rows: Vec<_> = seen.iter().flat_map(rows).map(|row| (row, Colour::None)).collect();
        let mut text = String::new();
        let heads = ["target", "release", "state", "since", "laid out by", "run"];
        table(&mut text, Paint::NONE, &heads, &rows);
        out(text.trim_start_matches('\n'))?;
    }
    let failures: Vec<_> = seen.iter().filter_map(failure).collect();
    for failure in &failures {
        talk(&format!("{}\n", text::shown(&failure.to_string())));
    }
    Ok(code(failures.into_iter()))
}

fn failure((known, whole): &Seen) -> Option<&Failure> {
    known.accounts.as_ref().err().or(whole.as_ref()?.as_ref().err())
}

/// Compares what is live with what was laid out.
pub(super) async fn looked_at(known: Known) -> Seen {
    let live =
        known.accounts.as_ref().ok().and_then(|all| all.releases.iter().find(|laid| laid.live).cloned());
    let whole = match live {
        Some(laid) => Some(known.is_whole(&laid).await),
        None => None,
    };
    known.close().await;
    (known, whole)
}

fn state(laid: &Laid, whole: Option<&Result<bool, Failure>>) -> String {
    let mark = match laid.mark {
        Mark::Good => "good",
        Mark::Bad => "bad",
        Mark::Untried => "untried",
    };
    match (laid.live, whole) {
        (true, Some(Ok(false))) => format!("live, {mark}, changed since it was laid out"),
        (true, _) => format!("live, {mark}"),
        (false, _) => mark.to_owned(),
    }
}

fn rows((known, whole): &Seen) -> Vec<Vec<String>> {
    let target = known.target.to_string();
    let accounts = match &known.accounts {
        Ok(accounts) => accounts,
        Err(failure) => return vec![vec![target, "unknown".to_owned(), failure.message.clone()]],
    };
    let mut rows: Vec<Vec<String>> = accounts
        .releases
        .iter()
        .map(|laid| {
            let since = if laid.live { accounts.live_since.and_then(time) } else { None };
            let since = since.or_else(|| laid.made_at.clone()).unwrap_or_default();
            let who = laid.who.clone().unwrap_or_default();
            vec![
                target.clone(),
                laid.id.to_string(),
                state(laid, whole.as_ref()),
                since,
                who,
                laid.by.to_string(),
            ]
        })
        .collect();
    match &accounts.live {
        Some(live) if !accounts.releases.iter().any(|laid| laid.live) => {
            rows.insert(0, vec![target, live.to_string(), "live, laid out by somebody else".to_owned()]);
        }
        None if rows.is_empty() => rows.push(vec![target, "none".to_owned()]),
        _ => {}
    }
    rows
}

fn time(seconds: u64) -> Option<String> {
    let time = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn json_of((known, whole): &Seen) -> Value {
    let accounts = match &known.accounts {
        Ok(accounts) => accounts,
        Err(failure) => return json!({ "target": known.target, "failure": failure }),
    };
    let releases: Vec<Value> = accounts
        .releases
        .iter()
        .map(|laid| {
            let changed = if laid.live { whole.as_ref().and_then(|whole| whole.as_ref().ok()).map(|ok| !ok) } else { None };
            json!({
                "release": laid.id, "live": laid.live, "mark": laid.mark, "sequence": laid.sequence, "size": laid.size,
                "artifact": laid.artifact, "run": laid.by, "who": laid.who, "made-at": laid.made_at, "drift": changed,
            })
        })
        .collect();
    json!({ "target": known.target, "live": accounts.live, "since": accounts.live_since, "releases": releases })
}
