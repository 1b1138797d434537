//! The command line, in one definition: `--help`, completions and man pages come from it.

mod files;
mod modules;
mod runs;
mod targets;

pub(crate) use files::*;
pub(crate) use modules::*;
pub(crate) use runs::*;
pub(crate) use targets::*;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use runner_model::quantity::Period;
use runner_model::{Digest, EnvironmentName, Limit, ModuleName, TargetName};
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
    /// Take the newest versions of modules from registries that the plan lets be taken; with a name of `[modules]`, of that
    /// one. Without, those that are locked stay.
    #[arg(long, value_name = "MODULE", num_args = 0..=1, require_equals = true, conflicts_with = "check")]
    pub(crate) update: Option<Option<ModuleName>>,
    /// Let updated modules have what they ask for beyond the lock. Without, such an update ends with 3, and is shown. With the
    /// digest that was shown with it, this and nothing else is let.
    #[arg(long, value_name = "DIGEST", num_args = 0..=1, require_equals = true, conflicts_with = "check")]
    pub(crate) accept: Option<Option<Digest>>,
    /// Let a version of a registry name another module than it did, and an older version take the place of a newer one.
    #[arg(long, conflicts_with = "check")]
    pub(crate) allow_moved: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LockCommand {
    /// Ask the targets who has their lock, and for how long. Changes nothing.
    Status(LockStatus),
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
