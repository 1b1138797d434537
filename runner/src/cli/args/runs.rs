//! Of commands that look at runs, or go on with them.

use super::{Shown, variable};
use clap::{Args, Subcommand, ValueEnum};
use runner_model::{Digest, EnvironmentName, Limit, StepId, TargetName};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The run: its id or the beginning of it; without, the last one.
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// The plan's file; its runs are beside it.
    #[arg(long, value_name = "PLAN", default_value = "plan.toml")]
    pub(crate) plan: PathBuf,
    /// What became of effects of which nobody else can tell: look, and say so.
    ///
    /// `done`: it was, and is not done again. `not-done`: do it now. `STEP=done` and `STEP@TARGET=done` are about one step
    /// alone; may be given several times. Where something else tells what became of an effect, that counts.
    #[arg(long, value_name = "WHAT", value_parser = assumption)]
    pub(crate) assume: Vec<Assume>,
    /// Undo what the run did instead, backwards, wherever what it left still stands.
    ///
    /// What runs on a target is asked again when its files are as they were. What somebody changed since is left alone, and
    /// named, and so is what only a person can undo: then it ends with 7.
    #[arg(long, conflicts_with_all = ["assume", "events", "diff"])]
    pub(crate) undo: bool,
    /// The journal is lost, as with the workspace of a CI job: go on with what the targets kept of the run.
    ///
    /// Every target keeps what the run was about to do on it, and what came of it. Without RUN it is the newest run that
    /// all of them know. Steps run again; what they did is found done, and is not done twice.
    #[arg(long)]
    pub(crate) from_targets: bool,
    /// With `--from-targets`: the environment; may be left out when the plan has only one.
    #[arg(short, long, value_name = "NAME", requires = "from_targets")]
    pub(crate) environment: Option<EnvironmentName>,
    /// With `--from-targets`: the variables that the run was begun with.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable, requires = "from_targets")]
    pub(crate) vars: Vec<(String, String)>,
    /// With `--from-targets`: what the run was limited to.
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true, requires = "from_targets")]
    pub(crate) limit: Option<Limit>,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What somebody says who looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assume {
    /// Of this step, on this target; `None`: of all effects in doubt.
    pub(crate) of: Option<(StepId, Option<TargetName>)>,
    /// They were done.
    pub(crate) done: bool,
}

fn assumption(text: &str) -> Result<Assume, String> {
    let (of, what) = text.rsplit_once('=').map_or((None, text), |(of, what)| (Some(of), what));
    let done = match what {
        "done" => true,
        "not-done" => false,
        _ => return Err("it is `done` or `not-done`, with `STEP=` or `STEP@TARGET=` before it".to_owned()),
    };
    let of = of.map(|of| {
        let (step, target) = of.split_once('@').map_or((of, None), |(step, target)| (step, Some(target)));
        let step = step.parse().map_err(|error| format!("{error}"))?;
        let target = target.map(|target| target.parse().map_err(|error| format!("{error}"))).transpose()?;
        Ok::<_, String>((step, target))
    });
    Ok(Assume { of: of.transpose()?, done })
}

#[derive(Debug, Args)]
pub(crate) struct Runs {
    #[command(subcommand)]
    pub(crate) command: RunsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Print the runs of a plan, the oldest first, and how each ended.
    List(RunsList),
    /// Tell what a run was made of, how it went, and what of it is in doubt.
    Show(RunsShow),
    /// Write a run into one file, to be done again elsewhere with `runner replay`.
    ///
    /// In it are the journal, what the journal names, and the modules; no value of a secret is. What targets answered is in
    /// it: give it to whom you would give the journal.
    Export(RunsExport),
    /// Remove old runs, but for those that never came to their end.
    ///
    /// What they did on targets stays, and so does the targets' own account of releases.
    Prune(RunsPrune),
}

#[derive(Debug, Args)]
pub(crate) struct RunsList {
    /// The plan's file; its runs are beside it.
    #[arg(value_name = "PLAN", default_value = "plan.toml")]
    pub(crate) plan: PathBuf,
    /// Print them as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunsPrune {
    /// The plan's file; its runs are beside it.
    #[arg(value_name = "PLAN", default_value = "plan.toml")]
    pub(crate) plan: PathBuf,
    /// How many of the newest runs stay.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) keep: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The run: its id or the beginning of it, or a file that `runner runs export` wrote; without, the last one.
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// The plan's file; its runs are beside it.
    #[arg(long, value_name = "PLAN", default_value = "plan.toml")]
    pub(crate) plan: PathBuf,
    /// What ran on this target alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<TargetName>,
    /// What ran for this step alone.
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<StepId>,
    /// A component to run in the place of the step's own.
    #[arg(long, value_name = "FILE", requires = "step")]
    pub(crate) module: Option<PathBuf>,
    /// Print what was found as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunsExport {
    /// The run: its id or the beginning of it; without, the last one.
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// The plan's file; its runs are beside it.
    #[arg(long, value_name = "PLAN", default_value = "plan.toml")]
    pub(crate) plan: PathBuf,
    /// The file to write; without, `RUN.tar` in this folder.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunsShow {
    /// The run: its id or the beginning of it; without, the last one.
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// The plan's file; its runs are beside it.
    #[arg(long, value_name = "PLAN", default_value = "plan.toml")]
    pub(crate) plan: PathBuf,
    /// Print it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The run: its id or the beginning of it; without, the last one.
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// The plan's file; its runs are beside it.
    #[arg(long, value_name = "PLAN", default_value = "plan.toml")]
    pub(crate) plan: PathBuf,
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ReportFormat,
    /// The hash of the journal's last line, as the run's own summary has it.
    #[arg(long, value_name = "HASH")]
    pub(crate) last_hash: Option<Digest>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// The summary, for people.
    #[default]
    Summary,
    /// Every line that the run wrote, also those for the authors of steps.
    Log,
    /// The summary as `exec --json` prints it.
    Json,
    /// A timeline, as Perfetto (https://ui.perfetto.dev) and `chrome://tracing` open it.
    Trace,
}
