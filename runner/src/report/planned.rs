//! What a dry run found: for each target what would change, in order, and from where on nobody can tell. Targets of which
//! the same is told are told together.

use super::Reporter;
use super::paint::Paint;
use super::summary::difference;
use runner_model::words::{count, names};
use runner_model::{
    EffectEnd, Effected, End, EnvironmentName, Event, Failure, PlanName, ReleaseId, Stamped, StepId,
    TargetName, text,
};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};

/// The version of the document.
const VERSION: u32 = 1;

/// Prints it at the end of the run.
pub struct Planned<W> {
    out: W,
    json: bool,
    paint: Paint,
    found: Found,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Found {
    version: u32,
    dry_run: bool,
    plan: Option<PlanName>,
    environment: Option<EnvironmentName>,
    release: Option<ReleaseId>,
    targets: Vec<OnTarget>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct OnTarget {
    target: TargetName,
    does: Vec<Told>,
}

/// One thing that is told of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Told {
    /// This would be done.
    Effect(Box<Effected>),
    /// What the step does from here on nobody can tell.
    Unknown { step: StepId, why: String },
    /// This goes wrong already.
    Failed { step: Option<StepId>, failure: Failure },
}

impl Told {
    /// Whether the same is told, whatever the target is called.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Effect(one), Self::Effect(other)) => {
                (&one.step, &one.act, one.class, &one.difference)
                    == (&other.step, &other.act, other.class, &other.difference)
            }
            (one, other) => one == other,
        }
    }
}

impl<W: Write + Send> Planned<W> {
    /// On this, as text or as JSON.
    pub fn new(out: W, json: bool, colours: bool) -> Self {
        let found = Found { version: VERSION, dry_run: true, ..Found::default() };
        Self { out, json, paint: Paint { colours }, found }
    }

    fn add(&mut self, target: &TargetName, told: Told) {
        let targets = &mut self.found.targets;
        match targets.iter_mut().find(|known| known.target == *target) {
            Some(known) => known.does.push(told),
            None => targets.push(OnTarget { target: target.clone(), does: vec![told] }),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let groups = self.groups();
        for (members, does) in &groups {
            let _ = writeln!(out, "{}", self.paint.strong(&format!("on {}", names(members.iter().copied()))));
            for told in *does {
                self.told(&mut out, told);
            }
            out.push('\n');
        }
        let all = self.found.targets.iter().flat_map(|target| &target.does);
        let effects = all.clone().filter(|told| matches!(told, Told::Effect(_))).count();
        let unknown = all.filter(|told| matches!(told, Told::Unknown { .. })).count();
        let effects = match effects {
            0 => "nothing would be changed".to_owned(),
            some => format!("{} would come of it", count(some, "effect")),
        };
        let unknown = match unknown {
            0 => String::new(),
            1 => ", and 1 step is unknown from some call on".to_owned(),
            some => format!(", and {some} steps are unknown from some call on"),
        };
        let _ = writeln!(out, "a dry run, and nothing was touched: {effects}{unknown}");
        out
    }

    fn told(&self, out: &mut String, told: &Told) {
        match told {
            Told::Effect(effected) => {
                let _ = write!(out, "  {}: {}", effected.step, effected.act.words());
                match &effected.difference {
                    Some(known) => difference(out, self.paint, "", known),
                    None => out.push('\n'),
                }
            }
            Told::Unknown { step, why } => {
                let line = format!("  {step}: unknown from here: {why}");
                let _ = writeln!(out, "{}", self.paint.doubtful(&line));
            }
            Told::Failed { step, failure } => {
                let step = step.as_ref().map(|step| format!("{step}: ")).unwrap_or_default();
                let _ = writeln!(out, "{}", self.paint.bad(&format!("  {step}fails: {failure}")));
                for line in failure.detail.lines() {
                    let _ = writeln!(out, "    {}", text::shown(line));
                }
            }
        }
    }

    /// Targets of which the same is told, in the order in which the first of each came.
    fn groups(&self) -> Vec<(Vec<&str>, &[Told])> {
        let mut groups: Vec<(Vec<&str>, &[Told])> = Vec::new();
        for OnTarget { target, does } in self.found.targets.iter().filter(|target| !target.does.is_empty()) {
            let same = |other: &[Told]| {
                does.len() == other.len() && does.iter().zip(other).all(|(one, other)| one.is_like(other))
            };
            match groups.iter_mut().find(|(_, other)| same(other)) {
                Some((members, _)) => members.push(target.as_str()),
                None => groups.push((vec![target.as_str()], does)),
            }
        }
        groups
    }
}

impl<W: Write + Send> Reporter for Planned<W> {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        match &stamped.event {
            Event::RunStarted { plan, environment, targets, .. } => {
                self.found.plan = Some(plan.clone());
                self.found.environment = Some(environment.clone());
                let all = targets.iter().map(|target| OnTarget { target: target.clone(), does: Vec::new() });
                self.found.targets = all.collect();
            }
            Event::ReleaseNamed { release } => self.found.release = Some(release.clone()),
            Event::Effect(effected) if effected.end == EffectEnd::Planned => {
                let on = effected.on.as_ref().unwrap_or(&effected.target).clone();
                self.add(&on, Told::Effect(effected.clone()));
            }
            Event::StepFinished { step, target, end: End::Unknown { why }, .. } => {
                self.add(target, Told::Unknown { step: step.clone(), why: why.clone() });
            }
            Event::StepFinished { step, target, end: End::Failed { failure, .. }, .. } => {
                self.add(target, Told::Failed { step: Some(step.clone()), failure: failure.clone() });
            }
            Event::Unreachable { target, failure } => {
                self.add(target, Told::Failed { step: None, failure: failure.clone() });
            }
            Event::RunFinished { .. } if self.json => {
                let json = serde_json::to_string_pretty(&self.found).map_err(io::Error::other)?;
                writeln!(self.out, "{}", text::shown_json(&json))?;
                self.out.flush()?;
            }
            Event::RunFinished { .. } => {
                let text = self.text();
                self.out.write_all(text.as_bytes())?;
                self.out.flush()?;
            }
            _ => {}
        }
        Ok(())
    }
}
