//! The command line: parses arguments, calls the library, renders. No logic of its own.

mod args;
mod asked;
mod carry_out;
mod check;
mod completions;
mod doctor;
mod exec;
mod explain;
mod export;
mod fail;
mod files;
mod fmt;
mod init;
mod inspect;
mod inventory_command;
mod load;
mod lock;
mod locks;
mod man;
mod module_build;
mod module_diff;
mod module_share;
mod module_sign;
mod module_test;
mod module_verify;
mod releases;
mod replay;
mod report;
mod resume;
mod rollback;
mod runs;
mod salvage;
mod schema;
mod secrets;
mod show;
mod status;
mod survey;
mod telemetry;
mod undo;
mod vars_files;
mod wrap;

use args::{Cli, Command, LockCommand, ModuleCommand, RunsCommand, SecretsCommand};
use clap::Parser as _;
use fail::Fail;
use runner_model::lock::{LockedEnvironment, Stale};
use runner_model::policy::{EnvironmentPolicy, Refused};
use runner_model::{Problems, Resolved};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Exec(args) => exec::run(&args),
        Command::Check(args) => check::run(&args).map(|()| 0),
        Command::Doctor(args) => doctor::run(&args),
        Command::Lock(args) => match &args.command {
            None => lock::run(&args).map(|()| 0),
            Some(LockCommand::Status(args)) => locks::status(args),
        },
        Command::Unlock(args) => locks::unlock(&args),
        Command::Fmt(args) => fmt::run(&args),
        Command::Schema(args) => schema::run(&args).map(|()| 0),
        Command::Explain(args) => explain::run(&args).map(|()| 0),
        Command::Init(args) => init::run(&args).map(|()| 0),
        Command::Module(module) => match module.command {
            ModuleCommand::Inspect(args) => inspect::run(&args).map(|()| 0),
            ModuleCommand::New(args) => module_build::new(&args).map(|()| 0),
            ModuleCommand::Build(args) => module_build::build(&args).map(|()| 0),
            ModuleCommand::Test(args) => module_test::run(&args),
            ModuleCommand::Diff(args) => module_diff::run(&args),
            ModuleCommand::Push(args) => module_share::push(&args).map(|()| 0),
            ModuleCommand::Pull(args) => module_share::pull(&args).map(|()| 0),
            ModuleCommand::Sign(args) => module_sign::sign(&args).map(|()| 0),
            ModuleCommand::Vet(args) => module_sign::vet(&args).map(|()| 0),
            ModuleCommand::Revoke(args) => module_sign::revoke(&args).map(|()| 0),
            ModuleCommand::Verify(args) if args.what == "builtin" => {
                module_verify::builtin(&args).map(|()| 0)
            }
            ModuleCommand::Verify(args) => module_sign::verify(&args).map(|()| 0),
        },
        Command::Status(args) => status::run(&args),
        Command::Releases(args) => releases::run(&args),
        Command::Rollback(args) => rollback::run(&args),
        Command::Runs(runs) => match runs.command {
            RunsCommand::List(args) => runs::list(&args).map(|()| 0),
            RunsCommand::Show(args) => show::run(&args).map(|()| 0),
            RunsCommand::Export(args) => export::run(&args).map(|()| 0),
            RunsCommand::Prune(args) => runs::prune(&args).map(|()| 0),
        },
        Command::Resume(args) => resume::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Report(args) => report::run(&args).map(|()| 0),
        Command::Secrets(secrets) => match secrets.command {
            SecretsCommand::Edit(args) => secrets::edit(&args).map(|()| 0),
            SecretsCommand::Rekey(args) => secrets::rekey(&args).map(|()| 0),
        },
        Command::Completions(args) => completions::run(&args).map(|()| 0),
        Command::Man(args) => man::run(&args).map(|()| 0),
    };
    ExitCode::from(ended.unwrap_or_else(|fail| {
        fail.report();
        fail.exit_code()
    }))
}

/// Data for whoever asked, on stdout.
fn out(text: &str) -> Result<(), Fail> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // `runner check | head` is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Fail::internal(format_args!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// The same as JSON. What targets and modules said may be in it: nothing of that reaches a terminal as it is.
fn out_json(value: &serde_json::Value) -> Result<(), Fail> {
    out(&format!("{}\n", runner_model::text::shown_json(&format!("{value:#}"))))
}

/// Talk, on stderr; nobody relies on it.
fn talk(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What is odd in a plan that may run, apart from what comes next.
fn warn(warnings: &Problems) {
    if !warnings.is_empty() {
        talk(&format!("{}\n", warnings.render(fail::style())));
    }
}

/// Refuses what the operator's policy refuses wholly: it would only fail, half way through.
fn permitted(
    policy: Option<&EnvironmentPolicy>,
    resolved: &Resolved,
    locked: &LockedEnvironment,
) -> Result<(), Fail> {
    let Some(policy) = policy else { return Ok(()) };
    let refused = policy.refuses(resolved, locked);
    if refused.is_empty() {
        return Ok(());
    }
    let mut detail = String::new();
    for Refused { step, lost } in &refused {
        detail.push_str(&format!("step `{step}` cannot have `{}`: {}\n", lost.grant, lost.denial.why));
        for line in lost.denial.mend.lines() {
            detail.push_str(&format!("  {line}\n"));
        }
    }
    let message = format!("{} does not let `{}` do what its steps need", policy.file, resolved.plan);
    Err(Fail::refused(message)
        .detail(detail)
        .hint("ask the operator, or let the plan do without: a step's `allow` can leave grants out"))
}

/// A lock that is missing or does not fit the plan in this file.
fn stale(stale: Stale, plan: &Path) -> Fail {
    let stale = stale.of_plan(&crate::written::shown(plan));
    Fail::refused(&stale).detail(stale.details()).hint(stale.hint())
}
