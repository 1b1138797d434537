//! `runner status`: what is live on each target, as the targets say it now.

use super::args::Status;
use super::asked::{AT_ONCE, code};
use super::carry_out::{inventory_folder, open_store};
use super::fail::Fail;
use super::load::{Loaded, Programs};
use super::{out, out_json, talk, warn};
use crate::host::{Connect as _, Connections};
use crate::report::paint::Paint;
use crate::report::table::{Colour, table};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use runner_model::{
    Acting, Failure, FailureKind, Mark, Release, RemotePath, Resolved, Target, TargetName, text,
};
use runner_transport::{Limits, Transport, Within};
use serde_json::{Value, json};

/// What a target says.
struct Said {
    /// What is live, and since when; `None`: nothing is.
    live: Option<(Release, Timestamp)>,
    /// How many releases it has.
    releases: usize,
}

pub(crate) fn run(args: &Status) -> Result<u8, Fail> {
    let loaded = Loaded::read(&args.which.plan, args.which.environment.as_ref())?;
    let checked = loaded.check(&args.which.vars, args.which.limit.as_ref(), Programs::Any)?;
    warn(&checked.resolved.warnings);
    if checked.resolved.release.is_none() {
        return Err(Fail::usage(format_args!(
            "`{}` makes no release: nothing of it is live anywhere",
            checked.resolved.plan
        ))
        .hint("`[release]` with a `root` says where releases are"));
    }
    let folder = inventory_folder(&loaded, &checked.resolved);
    let resolved = checked.into_run();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fail::internal(format_args!("cannot start: {error}")))?;
    let transport = Transport::new(open_store()?, Limits::default());
    let connections = Connections::new(transport, resolved.ssh.clone(), folder);
    let answers = runtime.block_on(ask_all(&resolved, &connections));
    match args.json {
        true => out_json(&as_json(&answers))?,
        false => out(&as_text(&answers))?,
    }
    for failure in answers.iter().filter_map(|(_, answer)| answer.as_ref().err()) {
        let mend: String = failure.detail.lines().map(|line| format!("  {}\n", text::shown(line))).collect();
        talk(&format!("{}\n{mend}", text::shown(&failure.message)));
    }
    Ok(code(answers.iter().filter_map(|(_, answer)| answer.as_ref().err())))
}

type Answers = Vec<(TargetName, Result<Said, Failure>)>;

/// In the order of the inventory.
async fn ask_all(resolved: &Resolved, connections: &Connections) -> Answers {
    let targets = resolved.rollout.iter().filter_map(|name| resolved.target(name));
    let asked = targets.map(|target| async move {
        (target.name.clone(), ask(target, resolved.root(&target.name), connections).await)
    });
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

async fn ask(target: &Target, root: Option<&RemotePath>, connections: &Connections) -> Result<Said, Failure> {
    let Some(root) = root else { return Ok(Said { live: None, releases: 0 }) };
    let connection = connections.connect(target).await?;
    let said = look(root, &*connection.acting(&Acting::Login)).await;
    connection.close().await;
    said
}

async fn look(root: &RemotePath, machine: &dyn runner_transport::Target) -> Result<Said, Failure> {
    let within = Within::both(std::slice::from_ref(root));
    let releases = machine.releases(root, within).await?;
    let count = releases.len();
    let Some(live) = releases.into_iter().find(|release| release.live) else {
        return Ok(Said { live: None, releases: count });
    };
    let invalid = |error: &dyn std::fmt::Display| Failure::new(FailureKind::Invalid, error.to_string());
    let current = root.join("current").map_err(|error| invalid(&error))?;
    let link = machine.stat(&current, within).await?;
    let milliseconds = link.map_or(0, |link| i64::try_from(link.modified).unwrap_or(i64::MAX));
    let since = Timestamp::from_millisecond(milliseconds).map_err(|error| invalid(&error))?;
    Ok(Said { live: Some((live, since)), releases: count })
}

fn word(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "good",
        Mark::Bad => "bad",
        Mark::Untried => "untried",
    }
}

fn as_text(answers: &Answers) -> String {
    let row = |(target, answer): &(TargetName, Result<Said, Failure>)| {
        let (cells, colour) = match answer {
            Ok(Said { live: Some((release, since)), .. }) => {
                let since = since.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
                let mark = word(release.mark).to_owned();
                ([release.id.to_string(), since, mark, release.by.to_string()].to_vec(), Colour::None)
            }
            Ok(Said { live: None, .. }) => (vec!["nothing".to_owned()], Colour::None),
            Err(failure) => (vec!["unknown".to_owned(), failure.message.clone()], Colour::None),
        };
        ([vec![target.to_string()], cells].concat(), colour)
    };
    let rows: Vec<_> = answers.iter().map(row).collect();
    let mut text = String::new();
    table(&mut text, Paint::NONE, &["target", "live", "since", "mark", "laid out by"], &rows);
    text.trim_start_matches('\n').to_owned()
}

fn as_json(answers: &Answers) -> Value {
    let target = |(target, answer): &(TargetName, Result<Said, Failure>)| match answer {
        Ok(said) => {
            let live = said.live.as_ref().map(|(release, since)| {
                json!({
                    "release": release.id, "since": since, "mark": release.mark, "run": release.by, "size": release.size,
                })
            });
            json!({ "target": target, "live": live, "releases": said.releases })
        }
        Err(failure) => json!({ "target": target, "failure": failure }),
    };
    answers.iter().map(target).collect()
}
