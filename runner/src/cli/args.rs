//! The command line, in one definition: `--help`, completions and man pages come from it.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use runner_model::quantity::Period;
use runner_model::{Digest, EnvironmentName, Limit, ReleaseId, StepId, TargetName};
use std::path::PathBuf;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Takes releases live: every step is a WebAssembly component that can do what its grant names, and nothing else.
#[derive(Debug, Parser)]
#[command(name = "runner", version, styles = STYLES, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
A first release:
  runner init                 a plan and an inventory, from a few questions
  runner check plan.toml      what is wrong with the plan, all of it, before anything is touched
  runner lock plan.toml       what the steps may do goes into plan.lock: review it, commit it
  runner exec plan.toml       take it live

Variables:
  RUNNER_POLICY       the operator's policy, in place of runner/policy.toml in $XDG_CONFIG_HOME,
                      ~/.config or /etc
  XDG_CACHE_HOME      where artifacts and compiled modules are kept; else ~/.cache
  NO_COLOR, RUST_LOG  as everywhere

Exit codes: 0 done · 1 internal error · 2 usage, or the plan is invalid · 3 refused before start
4 a step failed · 5 targets unreachable · 6 failed, and rolled back
7 failed, and the rollback failed too · 130 interrupted · 143 terminated";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take a release live.
    ///
    /// Runs the phases `prepare`, `stage`, `rollout`, `finish` and `always` of the plan. Refuses to start without a
    /// `plan.lock` that fits the plan. Ctrl-C lets each target finish the step it is in and starts nothing new;
    /// twice stops at once. Either way the closing summary says in what state each target is.
    Exec(Exec),
    /// Say everything that is wrong with a plan, before anything is touched.
    ///
    /// Reads the plan, its inventory, the lock and the operator's policy, and connects to nothing. Prints in which
    /// batches the targets come, and what each step may touch. Ends with 3 when the plan is good and the lock does not
    /// fit it.
    Check(Check),
    /// Ask this machine and the targets for all that a run needs, and say how to mend what is missing.
    ///
    /// Looks at ssh, keys, the lock and the policy here, and at each target over the connection that a run would use:
    /// host key, login, tools, sudo, the release root and who else may change the way to it, disk, clock. Changes nothing
    /// there. Ends with 3 when a run would be refused or fail, with 5 when a target cannot be reached.
    Doctor(Doctor),
    /// Write what the steps may do into `plan.lock`, for review.
    ///
    /// Holds, per environment, the grants of each step and the digest and the manifest of each module. `exec` refuses
    /// to run with anything else. The file lies beside the plan; review its difference like code, and commit it.
    ///
    /// `runner lock status` is about another lock: that of the targets, which a run has while it goes on.
    Lock(Lock),
    /// Take the lock of the targets away from a run that is dead.
    ///
    /// A run locks all machines that it acts on, and tells them every half a minute that it lives. Of one that is dead the
    /// lock ends by itself, after two minutes by each target's clock. This ends it now: whoever had it can write nothing
    /// more there, also if it was only asleep. Who did that and why is kept on the targets.
    Unlock(Unlock),
    /// Lay out plans, inventories and policies: one form, whoever wrote them.
    ///
    /// Comments, the order of everything and blank lines stay; spaces, quotes and the lines of arrays become the same
    /// everywhere. A file that is no TOML is refused with the place, and none is written then.
    Fmt(Fmt),
    /// Print the JSON Schema of a file, for editors and for checks of your own.
    Schema(Schema),
    /// Tell a plan in plain sentences, with the commands that do the same by hand.
    ///
    /// Phase by phase: what happens where, in which batches, and what stops it. Under each step of a standard module are
    /// the commands that a person would type on the day when it must be done without the runner. Connects to nothing,
    /// and needs no lock.
    Explain(Explain),
    /// Write a plan and an inventory from the answers to a few questions.
    ///
    /// Both are accepted by `check` and `lock` as they are, and are yours to edit from then on. Every question has an
    /// option; with all of them given, or without a terminal, nothing is asked. Nothing that is there is overwritten.
    Init(Init),
    /// Look at a module before a plan uses it.
    Module(Module),
    /// Ask the targets what is live on them, since when, and which run laid it out.
    ///
    /// Ends with 5 when a target cannot be reached. Changes nothing.
    Status(Status),
    /// List the releases on each target: what is live, what proved itself, what failed, since when, and by whom.
    ///
    /// Says also where what is live is not what was laid out. Ends with 5 when a target cannot be reached. Changes nothing.
    Releases(Releases),
    /// Make an older release live again, by its own plan.
    ///
    /// Its targets have kept the plan, the lock and the values that it went live with. The phase `rollout` of that plan runs
    /// again, in the cluster and in batches as it says; steps without return are left out. Before that the release is
    /// compared with what was laid out. Without `--to` it is the good release before the live one.
    Rollback(Rollback),
    /// Go on with a run that was cut off, or failed, where it stopped.
    ///
    /// Every module is run again from its start: what it asked before is answered from the run's journal, and the first
    /// thing that is not in there happens. Of an effect that was about to happen when the run was cut off, what is on the
    /// target tells whether it did. Where nothing tells, it is named and nothing is touched: end with 4, until `--assume`
    /// says what a person saw. Plan, lock and inventory must be what the run was begun with.
    Resume(Resume),
    /// List the runs of a plan, or remove old ones.
    Runs(Runs),
    /// Do a run again without the world, and say where it differs.
    ///
    /// Every module runs from its start, and all that it asks is answered from the run's record: no target, no network, no
    /// clock. Its calls, its outputs and its fuel must be what they were. Ends with 4 when something differs. With
    /// `--module`, another version of a module runs over the old record, and what it would do differently is shown.
    Replay(Replay),
    /// Show a run that is past, from its journal alone.
    ///
    /// The summary is the one that the run ended with. What is missing at the end of a journal, or was changed in it, is
    /// said: with `--last-hash` also lines that were cut off whole.
    Report(Report),
    /// Keep secrets beside the plan, encrypted with age for those who may use them.
    Secrets(Secrets),
    /// Print what completes the runner's commands and options in a shell.
    ///
    /// For bash, `runner completions bash > ~/.local/share/bash-completion/completions/runner`; where other shells look
    /// for it is in the operations guide.
    Completions(Completions),
    /// Print the man page, or write one for each command.
    ///
    /// To look at it: `runner man | man -l -`. To install all: `runner man ~/.local/share/man/man1`, then
    /// `man runner-exec`.
    Man(Man),
}

/// Which release, and where to.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The plan's file. What it names lies beside it.
    #[arg(value_name = "PLAN", default_value = "plan.toml")]
    pub(crate) plan: PathBuf,
    /// The environment to release to; may be left out when the plan has only one.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) environment: Option<EnvironmentName>,
    /// Another value for a variable of the plan's `[vars]`; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) vars: Vec<(String, String)>,
    /// Release to some of the targets only: names, roles, groups and labels, with commas between them.
    ///
    /// `web-*` and `web[0:2]` choose by pattern and by position; `&eu` keeps those that are also in `eu`, `!web-3` takes
    /// one away. Batches are made of what is left. A part that means no target is an error. Targets outside of the
    /// rollout, such as a load balancer that steps act on, stay what the plan makes of them.
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub(crate) limit: Option<Limit>,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Change nothing, and tell what would change: on each target, in order, as far as it can be known.
    ///
    /// The steps run as they always do. What they read is real, and has their own changes laid over it; what they would
    /// change, ask of a service or send is listed, with a diff of text files. Where a command or a request would see the
    /// world as it was before that, a step ends as `unknown from here`. `exec` does exactly what is listed, up to there.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// When somebody else has the lock of the targets: how long to wait for it, as `10m`. Without, end with 3 at once.
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<Period>,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What is shown of a run.
#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// Print the summary on stdout as JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show what changes on targets: text files as a diff, all else in a line.
    ///
    /// What is the same on many targets is shown once, in the summary. Contents are shown only of files that everybody on
    /// the target may read, and never of secrets. With `--json` and `--events` it is in those too.
    #[arg(long)]
    pub(crate) diff: bool,
    /// Write every event to a file while it happens, a line of JSON each.
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,
    /// Show what steps log for their authors, and the runner's own doings (-vv: more).
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

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
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print what the run may touch as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print what was found as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Lock {
    #[command(subcommand)]
    pub(crate) command: Option<LockCommand>,
    /// The plan's file. What it names lies beside it.
    #[arg(value_name = "PLAN", default_value = "plan.toml")]
    pub(crate) plan: PathBuf,
    /// Lock this environment only; without, all of the plan.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) environment: Option<EnvironmentName>,
    /// Another value for a variable of the plan's `[vars]`; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) vars: Vec<(String, String)>,
    /// Write nothing; exit with 3 when the lock is missing or stale.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LockCommand {
    /// Ask the targets who has their lock, and for how long. Changes nothing.
    Status(LockStatus),
}

#[derive(Debug, Args)]
pub(crate) struct LockStatus {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Unlock {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Why: kept on the targets, and told to whoever had the lock.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Fmt {
    /// The files; `-` for from stdin to stdout. Without, `plan.toml` and the inventories that it names.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Write nothing; print what would change, and exit with 1 when something would.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// The kind of file.
    #[arg(value_enum, default_value_t)]
    pub(crate) of: SchemaOf,
    /// Print the reference of plan, inventory and policy for people instead, as Markdown.
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Write the schemas of plan and inventory into `.schema` of this folder, for editors: without a network, with
    /// Even Better TOML, `taplo` and others that follow a first line `#:schema ./.schema/plan.json`.
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".", conflicts_with = "markdown")]
    pub(crate) install: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum SchemaOf {
    /// A plan: what to release, where and how.
    #[default]
    Plan,
    /// An inventory: the targets of an environment.
    Inventory,
    /// The operator's policy: what no plan may do.
    Policy,
    /// What a module's `describe` returns.
    Manifest,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The target that the commands are for; without, the first one of the rollout.
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<TargetName>,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder to write into; it is made when it is missing.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// The folder of the application, relative to DIR: `app`, or `.` for all of it.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) app: Option<String>,
    /// The hosts that it runs on, as `HOST` or `HOST:PORT`, with commas between them; `localhost` is this machine.
    #[arg(long, value_name = "HOSTS")]
    pub(crate) hosts: Option<String>,
    /// The user for ssh; empty: what the ssh configuration says.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// The folder for releases on the hosts: `/srv/shop`.
    #[arg(long, value_name = "PATH")]
    pub(crate) root: Option<String>,
    /// What to restart: a unit of systemd, or a command that begins with `/`; empty: nothing.
    #[arg(long, value_name = "UNIT|COMMAND")]
    pub(crate) service: Option<String>,
    /// A URL that answers 200 when the application works, asked of each host; empty: nothing is asked.
    #[arg(long, value_name = "URL")]
    pub(crate) health_url: Option<String>,
    /// The plan's name; without, the name of the folder.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The environment's name; its inventory is `NAME.toml`.
    #[arg(short, long, value_name = "NAME", default_value = "production")]
    pub(crate) environment: EnvironmentName,
}

#[derive(Debug, Args)]
pub(crate) struct Module {
    #[command(subcommand)]
    pub(crate) command: ModuleCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModuleCommand {
    /// Say what a module is, what it takes and gives out, what it asks for, and what it cannot do.
    ///
    /// Nothing of it runs but `describe`, with no grant. What it cannot do is proved by its imports: that holds whatever
    /// a plan grants it.
    Inspect(Inspect),
    /// Say what is different in another version of a module: what it asks for, imports, takes and gives out, and its size.
    ///
    /// Nothing runs but their `describe`, with no grant.
    Diff(Diff),
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The older one: `std/NAME`, `builtin:NAME` or `path:FILE`.
    #[arg(value_name = "OLD")]
    pub(crate) old: String,
    /// The newer one.
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
    /// End with 3 when the newer one asks for more, or imports more.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The module: `std/NAME` or `builtin:NAME` for a standard one, `path:FILE` for a component in a file.
    #[arg(value_name = "MODULE")]
    pub(crate) module: String,
    /// Print it as JSON, with the manifest as the module gives it.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Releases {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print them as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The release: its id, or `previous` for the good one before the live one.
    #[arg(long, value_name = "ID", default_value = "previous", value_parser = to)]
    pub(crate) to: To,
    /// List the releases to choose from, and change nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// All targets at once, straight to their previous good releases.
    ///
    /// No target is taken out of the cluster, whoever has the lock of the targets loses it, a target that fails stops no
    /// other one, and each goes back to its own previous release. Nothing is asked but once.
    #[arg(long, requires = "reason")]
    pub(crate) emergency: bool,
    /// With `--emergency`: so many targets at a time.
    #[arg(long, value_name = "NUMBER", requires = "emergency", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: Option<u32>,
    /// Why: kept on the targets with the lock.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The digest, or its beginning, of a plan and a lock that were never used here and that you have compared.
    #[arg(long, value_name = "DIGEST", value_parser = digest_prefix)]
    pub(crate) accept: Option<String>,
    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// When somebody else has the lock of the targets: how long to wait for it, as `10m`.
    #[arg(long, value_name = "TIME", conflicts_with = "emergency")]
    pub(crate) wait: Option<Period>,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    /// The good release before the live one.
    Previous,
    /// This one.
    Release(ReleaseId),
}

/// So much of a digest that no other one begins with it.
fn digest_prefix(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    match (12..=64).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        true => Ok(digits.to_owned()),
        false => Err("it takes 12 to 64 hexadecimal digits".to_owned()),
    }
}

fn to(text: &str) -> Result<To, String> {
    match text {
        "previous" => Ok(To::Previous),
        id => id.parse().map(To::Release).map_err(|error| format!("{error}")),
    }
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

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder to write the pages of all commands into; it is made when it is missing. Without, the page of `runner`
    /// itself goes to stdout.
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_variable_needs_a_name() {
        assert_eq!(variable("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(variable("=b").is_err() && variable("a").is_err());
    }
}

#[derive(Debug, Args)]
pub(crate) struct Secrets {
    #[command(subcommand)]
    pub(crate) command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Edit an encrypted file of secrets, or make one.
    ///
    /// Opens it in the editor of `VISUAL` or `EDITOR`, as lines `name = "value"`, and encrypts it again for the public keys
    /// in FILE.recipients: of age (`age1...`) or of ssh, one a line. It is opened with the age identity in
    /// RUNNER_AGE_IDENTITY or in runner/age-identity.txt of $XDG_CONFIG_HOME, or with ~/.ssh/id_ed25519 or id_rsa. When the
    /// editor fails or the text is wrong, the file stays as it is.
    Edit(SecretsFile),
    /// Encrypt a file of secrets anew, after FILE.recipients was changed.
    ///
    /// Whoever was taken out could open it before, and may have: change the secrets too.
    Rekey(SecretsFile),
}

#[derive(Debug, Args)]
pub(crate) struct SecretsFile {
    /// The encrypted file, as in `db-password = { age = "secrets.age" }` of a plan.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
