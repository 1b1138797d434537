//! Commands and services, each on a channel of its own under a wrapper that tells its process group.

use crate::channel::{Bounds, Ended, Input, Keep, Request, Sink, temporary};
use crate::held::Held;
use crate::machine::refusal;
use crate::script::{Line, no_nul, quoted};
use crate::shell::Answer;
use crate::tree::stored;
use crate::user::{User, split};
use crate::{Intent, Output, OutputSink, Within};
use async_trait::async_trait;
use runner_model::{Acting, Command, Content, Failure, FailureKind, ServiceAction};
use runner_secret::{Stream, Vault};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// What is kept of each stream.
const CAPTURE: usize = 256 << 10;
/// A line that is longer is shown in pieces.
const LINE_MAX: usize = 16 << 10;

impl User {
    /// The user whose shell carries commands out, and what comes before their argv: sudo, where it gives no shell.
    pub(crate) async fn runs_as(&self, what: &str) -> Result<(Self, Vec<String>), Failure> {
        let own = Self { machine: Arc::clone(&self.machine), acting: self.acting.clone() };
        let Acting::As(user) = &self.acting else { return Ok((own, vec![])) };
        match self.machine.ready(&self.acting).await {
            Ok(_) => Ok((own, vec![])),
            Err(failure) if failure.kind == FailureKind::Denied => {
                let login = Self { machine: Arc::clone(&self.machine), acting: Acting::Login };
                let sudo = ["sudo", "-n", "-u", user.as_str(), "--"].map(str::to_owned);
                Ok((login, sudo.to_vec()))
            }
            Err(failure) => Err(Failure { message: format!("{what}: {}", failure.message), ..failure }),
        }
    }

    pub(crate) async fn do_run(
        &self,
        command: &Command,
        within: Within<'_>,
        intent: Option<Intent<'_>>,
        output: &dyn OutputSink,
        cancel: &CancellationToken,
    ) -> Result<Output, Failure> {
        let program = command.argv.first().filter(|program| !program.is_empty());
        let Some(program) = program else {
            return Err(Failure::new(FailureKind::Invalid, "run a command: it has no program"));
        };
        // `setsid` would take the first for an option of its own, `sudo` the second for a variable.
        if program.starts_with('-') || !program.starts_with('/') && program.contains('=') {
            let why = format!("run `{}`: that is no program's name", program.escape_debug());
            return Err(Failure::new(FailureKind::Invalid, why));
        }
        let what = format!("run `{}` on {}", program.escape_debug(), self.machine.name());
        for argument in &command.argv {
            no_nul(&format!("{what}: an argument"), argument)?;
        }
        let (by, mut argv) = self.runs_as(&what).await?;
        let vault = &self.machine.shared.vault;
        let variables = variables(&what, command, vault)?;
        if !argv.is_empty() && !command.env.is_empty() {
            let names: Vec<&str> = command.env.keys().map(String::as_str).collect();
            argv.insert(argv.len() - 1, format!("--preserve-env={}", names.join(",")));
        }
        let held = within.writing();
        if let Some(path) = &command.directory {
            held.covers_second(&what, path)?;
        }
        let (folder, base, temp) = match &command.stdout_to {
            Some(path) => {
                held.covers(&what, path)?;
                if !argv.is_empty() {
                    let why = format!("{what}: its output cannot go to `{path}`, since sudo gives no shell");
                    return Err(Failure::new(FailureKind::Denied, why));
                }
                let (folder, base) = split(path);
                (folder, base, temporary())
            }
            None => Default::default(),
        };
        let files = self.files(&what, command, held, argv.is_empty()).await?;
        argv.extend(command.argv.iter().cloned());
        let accepted: Vec<String> = [0].iter().chain(&command.accept).map(u32::to_string).collect();
        let line = Line::new("v_run")
            .arg(folder)
            .arg(base)
            .arg(temp)
            .arg(accepted.join(" "))
            .arg(command.directory.as_ref().map_or("", |path| path.as_str()))
            .arg(variables.as_bytes())
            .args(&argv);
        let input = match &command.stdin {
            None => Input::None,
            Some(Content::Text(text)) => Input::Bytes(text.clone().into_bytes()),
            Some(Content::Secret(secret)) => Input::Bytes(vault.reveal(secret)?.as_bytes().to_vec()),
            Some(Content::Artifact(digest)) => Input::File(
                self.machine.shared.store.open_file(digest).map_err(|error| stored(&what, &error))?.0,
            ),
        };
        if let Some(intent) = intent {
            self.intend(&what, intent).await?;
        }
        let mut lines = Lines { to: output, out: Captured::new(vault), err: Captured::new(vault) };
        let bounds =
            Bounds { limit: Duration::from_millis(u64::from(command.timeout)), cancel: Some(cancel) };
        let request = Request { setup: &files, input, foreign: true, ..Request::new(&line) };
        let ended = by.exchange(&what, held, request, &mut lines, bounds).await?;
        lines.finish();
        if let (Some(path), true) = (&command.stdin_file, ended.told.contains_key("fed")) {
            let why = format!("{what}: `{path}` is damaged and could not be unpacked whole");
            return Err(Failure::new(FailureKind::Conflict, why).with_detail(lines.err.text().trim()));
        }
        finished(&what, &ended, lines.out, lines.err)
    }

    /// Script text that tells which file the command reads, and what packs and unpacks.
    async fn files(
        &self,
        what: &str,
        command: &Command,
        held: Held<'_>,
        with_shell: bool,
    ) -> Result<String, Failure> {
        let mut setup = String::new();
        if let Some(path) = &command.stdin_file {
            held.covers_second(what, path)?;
            if !with_shell {
                let why = format!("{what}: it cannot read `{path}`, since sudo gives no shell");
                return Err(Failure::new(FailureKind::Denied, why));
            }
            let (folder, base) = split(path);
            setup.push_str(&format!("IF={}; IB={}; ", quoted(&folder), quoted(&base)));
        }
        let packed =
            [("UZ", command.decompress, &command.stdin_file), ("PK", command.compress, &command.stdout_to)];
        for (variable, is, path) in packed {
            let Some(path) = path.as_ref().filter(|_| is) else { continue };
            let packer = crate::unarchive::packer(path);
            self.has_packer(what, packer)
                .await
                .map_err(|failure| failure.with_detail(format!("install {packer} there")))?;
            if packer != "plain" {
                setup.push_str(&format!("{variable}={packer}; "));
            }
        }
        Ok(setup)
    }

    pub(crate) async fn do_service(
        &self,
        unit: &str,
        action: ServiceAction,
        intent: Intent<'_>,
    ) -> Result<(), Failure> {
        let what = format!("{} `{}` on {}", action.word(), unit.escape_debug(), self.machine.name());
        let (by, sudo) = self.runs_as(&what).await?;
        let (act, state) = by.service_words(&what, unit, action.word()).await?;
        let words =
            |argv: &[String]| sudo.iter().chain(argv).map(|word| inline(word)).collect::<Vec<_>>().join(" ");
        // A template without an action cannot tell the state.
        let state = state.map_or_else(|| "true".to_owned(), |argv| words(&argv));
        let goal = if action == ServiceAction::Stop && state != "true" { "down" } else { "up" };
        let limit = self.machine.limits().service;
        let tries = (limit.as_millis() / 50).max(1);
        // The functions are a part of the line, so the request is the last word of it.
        let line = Line::new("v_service").word(goal).word(&tries.to_string());
        // What it starts is to live on: its group is not noted.
        let setup = format!("GD=; act() {{ command {}; }}; state() {{ command {state}; }}; ", words(&act));
        self.intend(&what, intent).await?;
        let mut keep = Keep::default();
        let bounds = Bounds { limit: limit + self.machine.limits().verb, cancel: None };
        let request = Request { setup: &setup, foreign: true, ..Request::new(&line) };
        let ended = by.exchange(&what, Within::default().reading(), request, &mut keep, bounds).await?;
        let said = |keep: &Keep| {
            let all = [&keep.err[..], &keep.out[..]].concat();
            String::from_utf8_lossy(&all).trim().to_owned()
        };
        match ended.told.get("ended").map(String::as_str) {
            Some("0") if ended.status == 0 => Ok(()),
            Some("0") => Err(Failure::new(
                FailureKind::Timeout,
                format!(
                    "{what}: it did not {} within {} s",
                    if goal == "up" { "come up" } else { "stop" },
                    limit.as_secs()
                ),
            )
            .with_detail(said(&keep))),
            Some(status) => Err(Failure::new(
                FailureKind::CommandFailed,
                format!("{what}: `{}` ended with status {status}", act.join(" ").escape_debug()),
            )
            .with_detail(said(&keep))),
            None => Err(refusal(&what, &Answer { status: ended.status, out: keep.out, err: keep.err })),
        }
    }

    pub(crate) async fn do_service_is_active(&self, unit: &str) -> Result<bool, Failure> {
        let what = format!("ask for the state of `{}` on {}", unit.escape_debug(), self.machine.name());
        let (by, sudo) = self.runs_as(&what).await?;
        let (_, state) = by.service_words(&what, unit, "status").await?;
        let Some(state) = state else {
            return Err(Failure::new(FailureKind::Invalid, format!("{what}: its service command has no `${{action}}`"))
                .with_detail("put `${action}` into `service-command` in the inventory; `status` must end with 0 when it runs"));
        };
        let line = Line::new("v_quiet").args(sudo.iter().chain(&state));
        let answer =
            by.call(&what, Within::default().reading(), None, line, self.machine.limits().verb).await?;
        match answer.status {
            0 => Ok(true),
            51 => Err(refusal(&what, &answer)),
            _ => Ok(false),
        }
    }

    /// The commands that act, and that tell with 0 that the unit runs.
    pub(crate) async fn service_words(
        &self,
        what: &str,
        unit: &str,
        action: &str,
    ) -> Result<(Vec<String>, Option<Vec<String>>), Failure> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:\\".contains(c);
        if unit.is_empty() || unit.starts_with('-') || unit.len() > 255 || !unit.chars().all(plain) {
            return Err(Failure::new(FailureKind::Invalid, format!("{what}: that is no unit's name")));
        }
        if let Some(template) = &self.machine.service_command {
            let fill = |action: &str| -> Vec<String> {
                let word = |word: &String| word.replace("${action}", action).replace("${unit}", unit);
                template.iter().map(word).collect()
            };
            let tells = template.iter().any(|word| word.contains("${action}"));
            return Ok((fill(action), tells.then(|| fill("status"))));
        }
        let facts = self.ready(what).await?.facts;
        if !facts.has.contains_key("systemctl") {
            return Err(Failure::new(FailureKind::NotFound, format!("{what}: the target has no systemctl"))
                .with_detail("name its service command in the inventory: service-command = [\"/path/to/ctl\", \"${action}\"]"));
        }
        let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Ok((
            argv(&["systemctl", action, "--", unit]),
            Some(argv(&["systemctl", "is-active", "--quiet", "--", unit])),
        ))
    }
}

/// A word of a function's body, on one line.
fn inline(word: &str) -> String {
    String::from_utf8_lossy(Line::default().arg(word).bytes()).trim_start().to_owned()
}

/// Script text that exports the command's variables. It travels by stdin, and `export` is the shell's own: no value is
/// ever an argument of anything.
fn variables(what: &str, command: &Command, vault: &Vault) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    for (name, value) in &command.env {
        let secret = command.secret_env.get(name).map(|secret| vault.reveal(secret)).transpose()?;
        let value = secret.as_ref().map_or(value.as_str(), |secret| secret.as_str());
        let mut chars = name.chars();
        let good = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("{what}: `{}` is not a name of a variable", name.escape_debug()),
            ));
        }
        no_nul(&format!("{what}: the variable {name}"), value)?;
        let line = Zeroizing::new(format!("export {name}={}; ", quoted(value)));
        text.push_str(&line);
    }
    Ok(text)
}

fn finished(what: &str, ended: &Ended, out: Captured, err: Captured) -> Result<Output, Failure> {
    let (stdout, stderr) = (out.text(), err.text());
    let Some(status) = ended.told.get("ended").and_then(|status| status.parse::<u32>().ok()) else {
        let answer = Answer { status: ended.status, out: stdout.into_bytes(), err: stderr.into_bytes() };
        return Err(refusal(what, &answer));
    };
    // The program was there a moment before; what is missing is what it is run with.
    if matches!(status, 126 | 127) && stdout.is_empty() && cannot_execute(&stderr) {
        return Err(Failure::new(FailureKind::NotFound, format!("{what}: it cannot be executed"))
            .with_detail(stderr.trim()));
    }
    if ended.told.contains_key("placed") {
        return Err(Failure::new(
            FailureKind::Conflict,
            format!("{what}: its output could not be put in place"),
        )
        .with_detail(stderr.trim()));
    }
    Ok(Output { status, stdout, stderr, truncated: out.more || err.more })
}

fn cannot_execute(stderr: &str) -> bool {
    stderr.lines().count() == 1
        && (stderr.starts_with("setsid: ") || stderr.contains("exec: ") || stderr.starts_with("sh: "))
}

/// One stream, with all secrets hidden before anything is cut: its beginning, and the line that is not complete.
struct Captured {
    hide: Stream,
    kept: Vec<u8>,
    more: bool,
    line: Vec<u8>,
}

impl Captured {
    fn new(vault: &Vault) -> Self {
        Self { hide: vault.stream(), kept: Vec::new(), more: false, line: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8], show: impl FnMut(&str)) {
        let clear = self.hide.feed(bytes).into_bytes();
        self.take_clear(&clear, show);
    }

    /// What is left when the stream has ended.
    fn end(&mut self, mut show: impl FnMut(&str)) {
        let clear = self.hide.finish().into_bytes();
        self.take_clear(&clear, &mut show);
        if !self.line.is_empty() {
            self.flush(&mut show);
        }
    }

    fn take_clear(&mut self, bytes: &[u8], mut show: impl FnMut(&str)) {
        let room = CAPTURE.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.more |= bytes.len() > room;
        for &byte in bytes {
            if byte == b'\n' || self.line.len() >= LINE_MAX {
                self.flush(&mut show);
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    fn flush(&mut self, show: &mut impl FnMut(&str)) {
        show(&String::from_utf8_lossy(&self.line));
        self.line.clear();
    }

    fn text(&self) -> String {
        // A character that the limit cuts in two is not one that was not UTF-8.
        let mut kept = &self.kept[..];
        if self.more
            && let Err(error) = std::str::from_utf8(kept)
            && error.error_len().is_none()
        {
            kept = &kept[..error.valid_up_to()];
        }
        String::from_utf8_lossy(kept).into_owned()
    }
}

struct Lines<'a> {
    to: &'a dyn OutputSink,
    out: Captured,
    err: Captured,
}

impl Lines<'_> {
    fn finish(&mut self) {
        let to = self.to;
        self.out.end(|line| to.line(false, line));
        self.err.end(|line| to.line(true, line));
    }
}

#[async_trait]
impl Sink for Lines<'_> {
    async fn out(&mut self, bytes: Vec<u8>) {
        let to = self.to;
        self.out.take(&bytes, |line| to.line(false, line));
    }

    async fn err(&mut self, bytes: Vec<u8>) {
        let to = self.to;
        self.err.take(&bytes, |line| to.line(true, line));
    }
}
