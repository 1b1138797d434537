//! Commands in memory: the test scripts how they end.

use super::{Artifact, Secret, Target, next};
use crate::testing::{Answer, Content, RanCommand, State, with};
use crate::types::{Attributes, Effect, Output};
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Command(RanCommand);

impl Command {
    pub(crate) fn new(argv: &[String], effect: Effect) -> Self {
        Self(RanCommand {
            argv: argv.to_vec(),
            effect,
            env: BTreeMap::new(),
            stdin: None,
            stdin_file: None,
            decompress: false,
            stdout_to: None,
            compress: false,
            directory: None,
            timeout: 60_000,
            accept: Vec::new(),
            skip_if: None,
            undo: None,
            keep: false,
            repeatable: false,
        })
    }
    pub(crate) fn env(&mut self, name: &str, value: &str) {
        self.0.env.insert(name.to_owned(), value.to_owned());
    }
    pub(crate) fn env_secret(&mut self, name: &str, value: &Secret) {
        self.env(name, &value.0);
    }
    pub(crate) fn stdin(&mut self, text: &str) {
        (self.0.stdin, self.0.stdin_file) = (Some(Content::Text(text.to_owned())), None);
    }
    pub(crate) fn stdin_secret(&mut self, content: &Secret) {
        self.stdin(&content.0);
    }
    pub(crate) fn stdin_artifact(&mut self, content: &Artifact) {
        (self.0.stdin, self.0.stdin_file) = (Some(Content::Artifact(content.0.clone())), None);
    }
    pub(crate) fn stdin_file(&mut self, path: &str) {
        (self.0.stdin, self.0.stdin_file) = (None, Some(path.to_owned()));
    }
    pub(crate) fn decompress(&mut self) {
        self.0.decompress = true;
    }
    pub(crate) fn compress(&mut self) {
        self.0.compress = true;
    }
    pub(crate) fn keep(&mut self) {
        self.0.keep = true;
    }
    pub(crate) fn stdout_to(&mut self, path: &str) {
        self.0.stdout_to = Some(path.to_owned());
    }
    pub(crate) fn directory(&mut self, path: &str) {
        self.0.directory = Some(path.to_owned());
    }
    pub(crate) fn timeout(&mut self, milliseconds: u32) {
        self.0.timeout = milliseconds;
    }
    pub(crate) fn accept(&mut self, status: u32) {
        self.0.accept.push(status);
    }
    pub(crate) fn skip_if(&mut self, check: Self) {
        self.0.skip_if = Some(Box::new(check.0));
    }
    pub(crate) fn undo_with(&mut self, undo: Self) {
        self.0.undo = Some(Box::new(undo.0));
    }
    pub(crate) fn repeatable(&mut self) {
        self.0.repeatable = true;
    }
    pub(crate) fn run(&self, on: &Target) -> Result<Output> {
        with(|state| run(state, &on.0, &self.0))
    }
}

fn run(state: &mut State, target: &str, command: &RanCommand) -> Result<Output> {
    let shown = command.argv.join(" ");
    if command.argv.is_empty() {
        return Err(Error::invalid("a command needs a program"));
    }
    if command.effect.needs_undo() && command.undo.is_none() && !command.keep {
        return Err(Error::invalid(format!("`{shown}`: a {} needs its undo", command.effect.word())));
    }
    let packed = |path: &Option<String>| {
        path.as_deref().is_some_and(|path| path.ends_with(".zst") || path.ends_with(".gz"))
    };
    if (command.effect == Effect::Read && command.stdout_to.is_some())
        || (command.keep && (command.effect != Effect::Change || command.stdout_to.is_none()))
        || (command.compress && !packed(&command.stdout_to))
        || (command.decompress && !packed(&command.stdin_file))
    {
        return Err(Error::invalid(format!("`{shown}`: its files make no sense")));
    }
    if let Some(undo) = &command.undo {
        state.allow(|granted| granted.exec(undo.effect.word(), &undo.env, &undo.argv))?;
    }
    if let Some(check) = &command.skip_if {
        if check.effect != Effect::Read {
            return Err(Error::invalid(format!("`{}`: a check must be a read", check.argv.join(" "))));
        }
        match run(state, target, check) {
            Ok(output) if output.status == 0 => return Ok(Output { skipped: true, ..Output::default() }),
            Ok(_) => {}
            Err(error) if error.is(ErrorKind::CommandFailed) => {}
            Err(error) => return Err(error),
        }
    }
    state.call(target, "run", &shown, |granted| {
        granted.exec(command.effect.word(), &command.env, &command.argv)
    })?;
    state.commands.push(command.clone());
    if let Some(path) = &command.directory {
        state.allow(|granted| {
            granted.path("read", path).or_else(|refused| granted.path("write", path).map_err(|_| refused))
        })?;
    }
    if let Some(path) = &command.stdin_file {
        state.verb(target, "stdin-file", "read", path)?.at(path)?;
    }
    if let Some(path) = &command.stdout_to {
        state.verb(target, "stdout-to", "write", path)?;
    }
    if command.effect != Effect::Read {
        state.effects.push(format!("{target}: run [{}] {shown}", command.effect.word()));
    }
    let machine = state.machine(target)?;
    let Answer(answer) = next(machine.answers.get_mut(&command.argv))
        .ok_or_else(|| Error::not_found(format!("`{}`: no such program", command.argv[0])))?;
    let output = answer?;
    if output.status != 0 && !command.accept.contains(&output.status) {
        let message = format!("`{shown}` ended with status {}", output.status);
        return Err(Error::new(ErrorKind::CommandFailed, message).with_detail(output.stderr));
    }
    if let Some(path) = &command.stdout_to {
        machine.write(path, output.stdout.clone().into_bytes(), 0o600, &Attributes::keep())?;
    }
    Ok(output)
}
