//! One user of one machine: requests, and the verbs that only read.

use crate::held::Held;
use crate::listing;
use crate::machine::{Machine, Ready, refusal};
use crate::script::Line;
use crate::shell::Answer;
use crate::{Intent, Within};
use runner_model::{Acting, Digest, Entry, Failure, FailureKind, RemotePath, UndoKey};
use std::sync::Arc;
use std::time::Duration;

/// The largest file that is read as text.
const TEXT_MAX: usize = 1 << 20;

/// The verbs of one user. Cheap: the shell is the machine's.
pub(crate) struct User {
    pub(crate) machine: Arc<Machine>,
    pub(crate) acting: Acting,
}

/// Folder and base name; of the root, itself.
pub(crate) fn split(path: &RemotePath) -> (String, String) {
    match (path.parent(), path.name()) {
        (Some(parent), Some(name)) => (parent.as_str().to_owned(), name.to_owned()),
        _ => ("/".to_owned(), ".".to_owned()),
    }
}

impl User {
    /// `VERB /path on TARGET`, which failures begin with.
    pub(crate) fn what(&self, verb: &str, path: &RemotePath) -> String {
        format!("{verb} `{path}` on {}", self.machine.name())
    }

    pub(crate) async fn ready(&self, what: &str) -> Result<Ready, Failure> {
        self.machine
            .ready(&self.acting)
            .await
            .map_err(|failure| Failure { message: format!("{what}: {}", failure.message), ..failure })
    }

    /// A request in the framed shell, with whatever status it ends. The prefixes travel only when links make them
    /// necessary. The intent comes before, written by the login user.
    pub(crate) async fn call(
        &self,
        what: &str,
        held: Held<'_>,
        intent: Option<Intent<'_>>,
        line: Line,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let key = intent.and_then(|intent| intent.undo);
        self.call_with_copy(what, held, intent, key, line, limit).await
    }

    /// The same about the copy of this key, whether the intent has it or not.
    pub(crate) async fn call_with_copy(
        &self,
        what: &str,
        held: Held<'_>,
        intent: Option<Intent<'_>>,
        key: Option<&UndoKey>,
        line: Line,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let ready = self.ready(what).await?;
        let copy = self.machine.copy(what, key)?;
        let first = match (&self.acting, intent) {
            (Acting::Login, Some(Intent { line: text, .. })) => Line::new("j").arg(text).and(&line),
            (Acting::As(_), Some(intent)) => {
                self.intend(what, intent).await?;
                Line::new("m").and(&line)
            }
            (_, None) => line.clone(),
        };
        let mut answer =
            self.ask(what, &ready, &format!("{copy}{}", held.exceptions()), first, limit).await?;
        if answer.status == 46 {
            let line = if intent.is_some() { Line::new("m").and(&line) } else { line };
            answer = self.ask(what, &ready, &format!("{copy}{}", held.setup()), line, limit).await?;
        }
        Ok(answer)
    }

    async fn ask(
        &self,
        what: &str,
        ready: &Ready,
        setup: &str,
        line: Line,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let setup = format!("{}{setup}", self.machine.fence_for(&self.acting));
        match ready.shell.ask(&setup, line, limit).await {
            Ok(answer) => Ok(answer),
            Err(lost) => Err(self.machine.lost(what, lost, limit).await),
        }
    }

    /// Writes the intent on its own, for an effect that happens in another shell or on another channel.
    pub(crate) async fn intend(&self, what: &str, intent: Intent<'_>) -> Result<(), Failure> {
        let login = self.machine.ready(&Acting::Login).await?;
        let line = Line::new("j").arg(intent.line).word("true");
        let by = self.machine.login();
        let answer = by.ask(what, &login, "", line, self.machine.limits().verb).await?;
        if answer.status == 0 { Ok(()) } else { Err(refusal(what, &answer)) }
    }

    /// A request that reads.
    async fn look(&self, what: &str, held: Held<'_>, line: Line) -> Result<Answer, Failure> {
        self.call(what, held, None, line, self.machine.limits().verb).await
    }

    pub(crate) async fn do_fact(&self, name: &str) -> Result<String, Failure> {
        let what = format!("learn `{name}` of {}", self.machine.name());
        let ready = self.ready(&what).await?;
        if let Some(program) = name.strip_prefix("has:") {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
            if program.is_empty() || program.starts_with('-') || !program.chars().all(plain) {
                return Err(Failure::new(
                    FailureKind::NotFound,
                    format!("{what}: that is no program's name"),
                ));
            }
            if ready.facts.has.contains_key(program) {
                return Ok("true".to_owned());
            }
            let line = Line::new("has").arg(program);
            let answer = self.look(&what, Within::default().reading(), line).await?;
            return Ok((answer.status == 0).to_string());
        }
        let known = ["os", "arch", "distribution", "user", "hostname", "init"];
        if !known.contains(&name) {
            return Err(Failure::new(FailureKind::NotFound, format!("{what}: there is no such fact"))
                .with_detail(format!("facts are {} and has:PROGRAM", known.join(", "))));
        }
        let value = ready.facts.get(name);
        Ok(if name == "os" { value.to_lowercase() } else { value.to_owned() })
    }

    pub(crate) async fn do_stat(
        &self,
        path: &RemotePath,
        within: Within<'_>,
    ) -> Result<Option<Entry>, Failure> {
        let what = self.what("stat", path);
        let held = within.reading();
        held.covers(&what, path)?;
        let (folder, base) = split(path);
        let answer = self.look(&what, held, Line::new("v_stat").arg(folder).arg(base)).await?;
        match answer.status {
            0 => {
                let line = String::from_utf8_lossy(&answer.out);
                let found = listing::stat_line(line.trim_end()).ok_or_else(|| odd(&what, &answer))?;
                Ok(Some(found.entry(path.name().unwrap_or("/"))))
            }
            41 => Ok(None),
            _ => Err(refusal(&what, &answer)),
        }
    }

    pub(crate) async fn do_read_dir(
        &self,
        path: &RemotePath,
        within: Within<'_>,
    ) -> Result<Vec<Entry>, Failure> {
        let what = self.what("list", path);
        let held = within.reading();
        held.covers(&what, path)?;
        self.entries(&what, path, held).await
    }

    pub(crate) async fn entries(
        &self,
        what: &str,
        path: &RemotePath,
        held: Held<'_>,
    ) -> Result<Vec<Entry>, Failure> {
        let (folder, base) = split(path);
        let mark = crate::shell::nonce();
        let line = Line::new("v_dir").arg(folder).arg(base).arg(&mark);
        let answer = self.look(what, held, line).await?;
        if answer.status != 0 {
            return Err(refusal(what, &answer));
        }
        listing::folder(&answer.out, &mark)
            .map_err(|why| Failure::new(FailureKind::Invalid, format!("{what}: {why}")))
    }

    pub(crate) async fn do_read_link(
        &self,
        path: &RemotePath,
        within: Within<'_>,
    ) -> Result<String, Failure> {
        let what = self.what("read the link", path);
        let held = within.reading();
        held.covers(&what, path)?;
        let (folder, base) = split(path);
        let answer = self.look(&what, held, Line::new("v_link").arg(folder).arg(base)).await?;
        if answer.status != 0 {
            return Err(refusal(&what, &answer));
        }
        let text = String::from_utf8(answer.out).map_err(|_| {
            Failure::new(FailureKind::Invalid, format!("{what}: what it points to is not UTF-8"))
        })?;
        Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
    }

    pub(crate) async fn do_read(&self, path: &RemotePath, within: Within<'_>) -> Result<String, Failure> {
        let what = self.what("read", path);
        let held = within.reading();
        held.covers(&what, path)?;
        let (folder, base) = split(path);
        let line = Line::new("v_read").arg(folder).arg(base).arg((TEXT_MAX + 1).to_string());
        let answer = self.look(&what, held, line).await?;
        if answer.status != 0 {
            return Err(refusal(&what, &answer));
        }
        let invalid = |why: &str| {
            Failure::new(FailureKind::Invalid, format!("{what}: {why}"))
                .with_detail("use `fetch`, which takes any file")
        };
        if answer.out.len() > TEXT_MAX {
            return Err(invalid("it is larger than 1 MiB"));
        }
        String::from_utf8(answer.out).map_err(|_| invalid("it is not UTF-8"))
    }

    pub(crate) async fn do_digest(&self, path: &RemotePath, within: Within<'_>) -> Result<Digest, Failure> {
        let what = self.what("compute the digest of", path);
        let held = within.reading();
        held.covers(&what, path)?;
        let (folder, base) = split(path);
        let line = Line::new("v_sum").arg(folder).arg(base);
        let answer = self.call(&what, held, None, line, self.machine.limits().data).await?;
        match answer.status {
            0 => listing::sum(&answer.out).ok_or_else(|| odd(&what, &answer)),
            48 => Ok(self.tree_of(&what, path, held).await?.digest()),
            _ => Err(refusal(&what, &answer)),
        }
    }

    pub(crate) async fn do_disk_free(&self, path: &RemotePath, within: Within<'_>) -> Result<u64, Failure> {
        let what = self.what("ask for the free space at", path);
        let held = within.reading();
        held.covers(&what, path)?;
        let (folder, base) = split(path);
        let answer = self.look(&what, held, Line::new("v_free").arg(folder).arg(base)).await?;
        if answer.status != 0 {
            return Err(refusal(&what, &answer));
        }
        let text = String::from_utf8_lossy(&answer.out);
        let free = text.lines().last().and_then(listing::free);
        free.map(|kib| kib.saturating_mul(1024)).ok_or_else(|| odd(&what, &answer))
    }
}

/// The target's tools said something that they should not.
pub(crate) fn odd(what: &str, answer: &Answer) -> Failure {
    Failure::new(FailureKind::Other, format!("{what}: the target's tools answered in an unknown form"))
        .with_detail(
            String::from_utf8_lossy(&answer.out).chars().take(400).collect::<String>().escape_debug(),
        )
}
