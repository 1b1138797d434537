//! For programs: the document of `--json`, and the lines of `--events`.

use super::account::Changed;
use super::account::{Account, Failed, StepAccount, TargetAccount};
use super::{Around, Reporter, Sealed, summary};
use runner_model::{
    Difference, Event, Failure, Limited, Phase, ReleaseId, Stamped, StepId, TargetEnd, TargetName, Verdict,
    text,
};
use serde::Serialize;
use std::io::{self, Write};

/// The version of the document; it grows when a field changes its meaning or goes away.
const VERSION: u32 = 1;

/// Writes every event as one line of JSON, at once: who follows the file sees the run as it goes.
#[derive(Debug)]
pub struct EventLog<W> {
    out: W,
    broken: bool,
}

impl<W: Write> EventLog<W> {
    /// Writes there.
    pub fn new(out: W) -> Self {
        Self { out, broken: false }
    }

    fn write(&mut self, stamped: &Stamped) -> io::Result<()> {
        let line = serde_json::to_string(stamped)?;
        writeln!(self.out, "{}", text::shown_json(&line))?;
        self.out.flush()
    }
}

impl<W: Write + Send> Reporter for EventLog<W> {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        // After a failure a line may be half written: what followed it would not be JSON lines.
        if self.broken {
            return Ok(());
        }
        let written = self.write(stamped);
        self.broken = written.is_err();
        written
    }
}

/// Writes one JSON document when the run has finished.
#[derive(Debug)]
pub struct Document<W> {
    out: W,
    account: Account,
    around: Around,
}

impl<W: Write> Document<W> {
    /// Writes there.
    pub fn new(out: W) -> Self {
        Self { out, account: Account::default(), around: Around::default() }
    }

    /// The same, with what is known beside the events.
    #[must_use]
    pub fn around(self, around: &Around) -> Self {
        Self { around: around.clone(), ..self }
    }
}

impl<W: Write + Send> Reporter for Document<W> {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        self.account.add(&stamped.event);
        if let Event::RunFinished { verdict, .. } = stamped.event {
            let json = serde_json::to_string_pretty(&Shape::new(&self.account, verdict, &self.around))?;
            writeln!(self.out, "{}", text::shown_json(&json))?;
            self.out.flush()?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shape<'a> {
    version: u32,
    run: Option<&'a str>,
    plan: Option<&'a str>,
    environment: Option<&'a str>,
    summary: Option<&'a str>,
    verdict: Verdict,
    exit_code: u8,
    release: Option<&'a ReleaseId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a Limited>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    milliseconds: u64,
    bytes_sent: u64,
    targets: Vec<TargetShape<'a>>,
    phases: Vec<PhaseShape>,
    steps: Vec<StepShape<'a>>,
    failures: Vec<FailedShape<'a>>,
    /// With `--diff`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<ChangedShape<'a>>,
    /// Commands that may be next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<&'a Sealed>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct TargetShape<'a> {
    target: &'a TargetName,
    end: Option<&'a TargetEnd>,
    live_before: Option<&'a ReleaseId>,
    live: Option<&'a ReleaseId>,
    live_known: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_behind: Vec<String>,
    /// As the cluster said it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_service: Option<bool>,
    bytes_sent: u64,
    changes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ChangedShape<'a> {
    step: &'a StepId,
    what: &'a str,
    targets: &'a [TargetName],
    difference: &'a Difference,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PhaseShape {
    phase: Phase,
    milliseconds: u64,
}

/// Times in milliseconds.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct StepShape<'a> {
    step: &'a StepId,
    phase: Phase,
    invocations: usize,
    total: u64,
    median: u64,
    max: u64,
    slowest: Option<&'a TargetName>,
    changes: u64,
    bytes_sent: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FailedShape<'a> {
    target: &'a TargetName,
    step: Option<&'a StepId>,
    attempt: u32,
    failure: &'a Failure,
    stderr: &'a str,
}

impl<'a> Shape<'a> {
    fn new(account: &'a Account, verdict: Verdict, around: &'a Around) -> Self {
        Self {
            version: VERSION,
            run: account.run.as_ref().map(|run| run.as_str()),
            plan: account.plan.as_ref().map(|plan| plan.as_str()),
            environment: account.environment.as_ref().map(|environment| environment.as_str()),
            summary: account.summary.as_deref(),
            verdict,
            exit_code: verdict.exit_code(),
            release: account.release.as_ref(),
            limit: account.limit.as_ref(),
            trace_id: around.trace.as_deref(),
            milliseconds: account.milliseconds,
            bytes_sent: account.bytes_sent(),
            targets: account.targets.iter().map(|known| target(account, known)).collect(),
            phases: account
                .phases
                .iter()
                .map(|(phase, milliseconds)| PhaseShape { phase: *phase, milliseconds: *milliseconds })
                .collect(),
            steps: account.steps.iter().map(step).collect(),
            failures: account.failures.iter().map(failed).collect(),
            changes: account.changed.iter().map(changed).collect(),
            next: summary::commands(account, verdict, around).into_iter().map(|(_, line)| line).collect(),
            journal: around.seal.get(),
        }
    }
}

fn target<'a>(account: &'a Account, known: &'a TargetAccount) -> TargetShape<'a> {
    TargetShape {
        target: &known.target,
        end: known.end.as_ref(),
        live_before: known.before.as_ref().and_then(Option::as_ref),
        live: known.live.as_ref(),
        live_known: known.live_known,
        left_behind: account.left_behind(known),
        in_service: known.in_service,
        bytes_sent: known.bytes_sent,
        changes: known.changes,
    }
}

fn changed(changed: &Changed) -> ChangedShape<'_> {
    let Changed { step, what, difference, targets } = changed;
    ChangedShape { step, what, targets, difference }
}

fn step(account: &StepAccount) -> StepShape<'_> {
    let slowest = account.slowest();
    StepShape {
        step: &account.step,
        phase: account.phase,
        invocations: account.took.len(),
        total: account.total(),
        median: account.median(),
        max: slowest.map_or(0, |(took, _)| *took),
        slowest: slowest.map(|(_, target)| target),
        changes: account.changes,
        bytes_sent: account.bytes_sent,
    }
}

fn failed(failed: &Failed) -> FailedShape<'_> {
    FailedShape {
        target: &failed.target,
        step: failed.step.as_ref(),
        attempt: failed.attempt,
        failure: &failed.failure,
        stderr: &failed.stderr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    fn document(events: &[Stamped]) -> String {
        let mut out = Vec::new();
        let mut document = Document::new(&mut out);
        events.iter().for_each(|event| document.event(event).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_document_of_a_run_that_failed() {
        insta::assert_snapshot!(document(&fixtures::failed()));
    }

    #[test]
    fn every_line_of_the_event_log_reads_back_as_its_event() {
        for events in
            [fixtures::failed(), fixtures::cancelled(), fixtures::unreachable(), fixtures::hostile()]
        {
            let mut out = Vec::new();
            let mut log = EventLog::new(&mut out);
            events.iter().for_each(|event| log.event(event).unwrap());
            let text = String::from_utf8(out).unwrap();
            assert!(!text.replace('\n', "").contains(text::is_unsafe));
            let read: Vec<Stamped> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(read, events);
        }
    }

    #[test]
    fn the_form_of_an_event_line() {
        let mut out = Vec::new();
        let mut log = EventLog::new(&mut out);
        fixtures::failed().iter().for_each(|event| log.event(event).unwrap());
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn a_full_disk_is_told_once_and_ends_the_log_at_a_line() {
        struct Full(Vec<u8>);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let room = 700usize.saturating_sub(self.0.len()).min(bytes.len());
                if room == 0 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.0.extend_from_slice(&bytes[..room]);
                Ok(room)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut log = EventLog::new(Full(Vec::new()));
        let lost = fixtures::failed().iter().filter(|event| log.event(event).is_err()).count();
        assert_eq!(lost, 1);
    }
}
