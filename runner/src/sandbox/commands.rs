//! `commands`: what no typed verb does. The class that the step declares is part of what the grant is asked for, so a
//! class that the grant does not name is denied; the undo and the check need grants of their own.

use super::bindings::wit::commands::{Host, HostCommand, Output};
use super::bindings::wit::types::Effect as Class;
use super::context::{Context, Reach};
use super::doubt::Became;
use super::gate::Touch;
use super::handles::{Artifact, Command, Secret, Target};
use super::log::CommandOutput;
use super::record::{Call, Effect, Past};
use super::state::{Answer, State};
use super::text;
use runner_model::grant::Ask;
use runner_model::{Command as FinalCommand, Content, EffectClass, Failure, FailureKind, TargetName};
use runner_transport::{Intent, Output as Ran, Target as Verbs};
use serde_json::{Value, json};
use std::sync::Arc;
use wasmtime::component::Resource;

/// How much of stderr goes into the detail of a failure.
const STDERR_DETAIL: usize = 4 * 1024;
/// What a part of a builder costs beside its text.
const PART: usize = 64;

/// A command that may be run.
struct Ready {
    verbs: Arc<dyn Verbs>,
    within: Reach,
}

impl State {
    /// Adds something to a command in the making, and accounts for it.
    fn build_command(
        &mut self,
        this: &Resource<Command>,
        bytes: usize,
        add: impl FnOnce(&mut Command),
    ) -> wasmtime::Result<()> {
        self.hold(bytes + PART)?;
        let command = self.table.get_mut(this)?;
        command.held += bytes + PART;
        add(command);
        Ok(())
    }
}

impl Context {
    /// Checks all that a command is made of: itself, its check and its undo, each with its own class.
    async fn ready_to_run(&self, on: &TargetName, command: &FinalCommand) -> Result<Ready, Failure> {
        self.not_cancelled()?;
        let mut within = Reach::default();
        let parts = command.skip_if.iter().chain(&command.undo).map(AsRef::as_ref);
        for part in std::iter::once(command).chain(parts) {
            for ask in Ask::of_command(part) {
                within.add(&ask, self.allow(&ask)?);
            }
            self.may_use(part.secrets())?;
        }
        Ok(Ready { verbs: self.verbs(on).await?, within })
    }
}

impl State {
    /// Runs the check of a command: `true` when the effect is already there. It is a read of its own in the journal.
    async fn already_there(
        &mut self,
        on: &TargetName,
        ready: &Ready,
        check: &FinalCommand,
    ) -> wasmtime::Result<Result<bool, Failure>> {
        let arguments = serde_json::to_value(check).unwrap_or(Value::Null);
        let call = self.call("commands.run", EffectClass::Read, Some(on), arguments)?;
        let (context, log) = (self.context.clone(), self.log.clone());
        let sink = CommandOutput::new(&log);
        let ran = context
            .or_cancelled(ready.verbs.run(check, ready.within.as_within(), None, &sink, &context.cancel))
            .await;
        let answer = ran.map(|ran| ran.status == 0);
        // The guest gets no answer of its own: what fails here fails the command that the check is for.
        let _ = self.looked(&call, answer.clone())?;
        Ok(answer)
    }

    async fn run_command(&mut self, command: &Command, on: TargetName) -> Answer<Output> {
        let title = command.title();
        let finished = command.finish();
        let arguments = match &finished {
            Ok(finished) => serde_json::to_value(finished).unwrap_or(Value::Null),
            Err(_) => json!({ "argv": command.argv, "effect": command.effect }),
        };
        let call = self.call("commands.run", command.effect, Some(&on), arguments)?;
        let doubt = match self.past(&call)? {
            Past::Answered(answer) => return self.ran_before(&call, command, answer),
            Past::InDoubt(doubt) => Some(doubt),
            Past::New => None,
        };
        let finished = match finished {
            Ok(finished) => finished,
            Err(failure) => return Ok(self.looked(&call, Err(failure))?.map(|()| skipped())),
        };
        let ready = match self.context.clone().ready_to_run(&on, &finished).await {
            Ok(ready) => ready,
            Err(failure) => return Ok(self.looked(&call, Err(failure))?.map(|()| skipped())),
        };
        let effect = Effect::Command(Box::new(finished.clone()));
        if let Some(doubt) = &doubt
            && finished.skip_if.is_none()
        {
            let again = finished.repeatable || finished.effect == EffectClass::Signal;
            match doubt.of_other(&effect, Some(&on), again) {
                Ok(Became::Undone) => {}
                Ok(Became::Done) => {
                    self.tally.signals += 1;
                    self.context.record.settled(&call, json!({ "skipped": true }));
                    return self.answer(Ok(skipped()));
                }
                Err(failure) => return self.answer(Err(failure)),
            }
        }
        if let Some(check) = &finished.skip_if {
            match self.already_there(&on, &ready, check).await? {
                Ok(false) => {}
                Ok(true) if doubt.is_some() => {
                    self.tally.signals += 1;
                    self.context.record.settled(&call, json!({ "skipped": true }));
                    return self.answer(Ok(skipped()));
                }
                Ok(true) => return self.looked_as(&call, Ok(skipped()), |_| json!({ "skipped": true })),
                Err(failure) => return Ok(self.looked(&call, Err(failure))?.map(|()| skipped())),
            }
        }
        if let Err(failure) = self.context.not_in_service(&on, Touch::Command(&title, finished.effect)) {
            return Ok(self.looked(&call, Err(failure))?.map(|()| skipped()));
        }
        let (context, log) = (self.context.clone(), self.log.clone());
        let sink = CommandOutput::new(&log);
        let run = |intent| {
            let (verbs, within, finished, cancel) = (&ready.verbs, &ready.within, &finished, &context.cancel);
            let sink = &sink;
            context.beside_what_serves(&on, within, async move |within| {
                verbs.run(finished, within.as_within(), intent, sink, cancel).await
            })
        };
        let judge = |ran: Ran| judge(&title, &finished, ran);
        if !finished.effect.mutates() {
            let answer = context.or_cancelled(run(None)).await.and_then(judge);
            return Ok(self.looked(&call, answer)?.map(Into::into));
        }
        let result = match context.record.intend(&call, &effect, context.acts(ready.within.clone(), 0)).await
        {
            Err(failure) => Err(failure),
            Ok(pending) => {
                let line = pending.line().to_owned();
                let ran = context.to_the_end(run(Some(Intent::new(&line)))).await;
                self.ended(pending, ran.map(|ran| ran.and_then(judge)), |ran| json!(ran))
            }
        };
        let listed = self.context.rehearsal.is_some();
        Ok(self.answer(result)?.map(|ran| if listed { skipped() } else { ran.into() }))
    }

    /// A command that an earlier part of the run ran, or left out.
    fn ran_before(
        &mut self,
        call: &Call,
        command: &Command,
        answer: Result<Value, Failure>,
    ) -> Answer<Output> {
        let left_out = matches!(&answer, Ok(answer) if answer.get("skipped").is_some());
        if let Ok(FinalCommand { skip_if: Some(check), .. }) = command.finish() {
            // Its check has a number of its own, unless all ended before it.
            let mut checked = call.clone();
            checked.key.number += 1;
            (checked.class, checked.arguments) = (EffectClass::Read, json!(check));
            if matches!(self.context.record.past(&checked), Ok(Past::Answered(_))) {
                self.call("commands.run", EffectClass::Read, call.on.as_ref(), Value::Null)?;
                self.tally.reads += 1;
            }
        }
        match answer {
            Ok(_) if left_out => {
                self.tally.reads += 1;
                self.answer(Ok(skipped()))
            }
            answer if !command.effect.mutates() => {
                self.tally.reads += 1;
                let ran = self.read_back::<Ran>(call, answer)?;
                Ok(self.answer(ran)?.map(Into::into))
            }
            answer => Ok(self.signalled_before::<Ran>(call, answer)?.map(Into::into)),
        }
    }
}

/// Whether the way in which a command ended is one that the step accepts.
fn judge(title: &str, command: &FinalCommand, ran: Ran) -> Result<Ran, Failure> {
    if ran.status == 0 || command.accept.contains(&ran.status) {
        return Ok(ran);
    }
    let said = if ran.stderr.trim().is_empty() { &ran.stdout } else { &ran.stderr };
    Err(Failure::new(FailureKind::CommandFailed, format_args!("`{title}` ended with status {}", ran.status))
        .with_detail(text::lines(said.trim_end(), STDERR_DETAIL)))
}

/// The answer of a command that was not run.
fn skipped() -> Output {
    Output { status: 0, stdout: String::new(), stderr: String::new(), truncated: false, skipped: true }
}

impl From<Ran> for Output {
    fn from(ran: Ran) -> Self {
        let Ran { status, stdout, stderr, truncated } = ran;
        Self { status, stdout, stderr, truncated, skipped: false }
    }
}

impl Host for State {}

impl HostCommand for State {
    async fn new(&mut self, argv: Vec<String>, effect: Class) -> wasmtime::Result<Resource<Command>> {
        let mut command = Command::new(argv, effect.into());
        command.held = command.argv.iter().map(|argument| argument.len() + PART).sum::<usize>() + PART;
        self.hold(command.held)?;
        self.push(command)
    }

    async fn env(&mut self, this: Resource<Command>, name: String, value: String) -> wasmtime::Result<()> {
        self.build_command(&this, name.len() + value.len(), |command| {
            command.set(name, value);
        })
    }

    async fn env_secret(
        &mut self,
        this: Resource<Command>,
        name: String,
        value: Resource<Secret>,
    ) -> wasmtime::Result<()> {
        let value = self.sealed(&value)?;
        self.build_command(&this, name.len() + value.cost(), |command| command.set_secret(name, value))
    }

    async fn stdin(&mut self, this: Resource<Command>, text: String) -> wasmtime::Result<()> {
        self.build_command(&this, text.len(), |command| {
            command.reads(Content::Text(text));
        })
    }

    async fn stdin_secret(
        &mut self,
        this: Resource<Command>,
        content: Resource<Secret>,
    ) -> wasmtime::Result<()> {
        let content = self.sealed(&content)?;
        self.build_command(&this, content.cost(), |command| {
            command.reads(Content::Secret(content));
        })
    }

    async fn stdin_artifact(
        &mut self,
        this: Resource<Command>,
        content: Resource<Artifact>,
    ) -> wasmtime::Result<()> {
        let digest = self.table.get(&content)?.digest;
        self.build_command(&this, 0, |command| {
            command.reads(Content::Artifact(digest));
        })
    }

    async fn stdin_file(&mut self, this: Resource<Command>, path: String) -> wasmtime::Result<()> {
        self.build_command(&this, path.len(), |command| {
            command.reads_file(path);
        })
    }

    async fn decompress(&mut self, this: Resource<Command>) -> wasmtime::Result<()> {
        self.table.get_mut(&this)?.decompress = true;
        Ok(())
    }

    async fn compress(&mut self, this: Resource<Command>) -> wasmtime::Result<()> {
        self.table.get_mut(&this)?.compress = true;
        Ok(())
    }

    async fn keep(&mut self, this: Resource<Command>) -> wasmtime::Result<()> {
        self.table.get_mut(&this)?.keep = true;
        Ok(())
    }

    async fn stdout_to(&mut self, this: Resource<Command>, path: String) -> wasmtime::Result<()> {
        self.build_command(&this, path.len(), |command| command.stdout_to = Some(path))
    }

    async fn directory(&mut self, this: Resource<Command>, path: String) -> wasmtime::Result<()> {
        self.build_command(&this, path.len(), |command| command.directory = Some(path))
    }

    async fn timeout(&mut self, this: Resource<Command>, milliseconds: u32) -> wasmtime::Result<()> {
        self.table.get_mut(&this)?.timeout = milliseconds;
        Ok(())
    }

    async fn accept(&mut self, this: Resource<Command>, status: u32) -> wasmtime::Result<()> {
        self.build_command(&this, 0, |command| command.accept.push(status))
    }

    async fn skip_if(&mut self, this: Resource<Command>, check: Resource<Command>) -> wasmtime::Result<()> {
        let check = self.table.delete(check)?;
        let command = self.table.get_mut(&this)?;
        command.held += check.held;
        command.skip_if = Some(Box::new(check));
        Ok(())
    }

    async fn undo_with(&mut self, this: Resource<Command>, undo: Resource<Command>) -> wasmtime::Result<()> {
        let undo = self.table.delete(undo)?;
        let command = self.table.get_mut(&this)?;
        command.held += undo.held;
        command.undo = Some(Box::new(undo));
        Ok(())
    }

    async fn repeatable(&mut self, this: Resource<Command>) -> wasmtime::Result<()> {
        self.table.get_mut(&this)?.repeatable = true;
        Ok(())
    }

    async fn run(&mut self, this: Resource<Command>, on: Resource<Target>) -> Answer<Output> {
        let command = self.table.get(&this)?.clone();
        let on = self.machine(&on)?;
        self.run_command(&command, on).await
    }

    async fn drop(&mut self, this: Resource<Command>) -> wasmtime::Result<()> {
        let held = self.table.delete(this)?.held;
        self.release(held);
        Ok(())
    }
}
