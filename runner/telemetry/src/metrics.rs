//! A run in numbers: how long it and its steps took, and how often what ended how. Names of targets are no attributes
//! here: a fleet would make a series of each.

use crate::About;
use crate::trace::{class_of, error_of, outcome_of, result_of, verdict_of, word_of};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use runner_model::Event;
use std::time::Duration;

/// In seconds: from a step that finds all as it should be to an hour of dumping.
const BOUNDS: [f64; 14] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0];

pub(crate) struct Metrics {
    /// The plan and the environment.
    which: [KeyValue; 2],
    run: Histogram<f64>,
    step: Histogram<f64>,
    invocations: Counter<u64>,
    effects: Counter<u64>,
    sent: Counter<u64>,
    targets: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new(provider: &SdkMeterProvider, about: &About) -> Self {
        let meter = provider.meter("runner");
        let seconds = |name: &'static str, what: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(what)
                .with_boundaries(BOUNDS.to_vec())
                .build()
        };
        let counter = |name: &'static str, unit: &'static str, what: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(what).build()
        };
        Self {
            which: [
                KeyValue::new("cicd.pipeline.name", about.plan.to_string()),
                KeyValue::new("deployment.environment.name", about.environment.to_string()),
            ],
            run: seconds("cicd.pipeline.run.duration", "How long runs took"),
            step: seconds("runner.step.duration", "How long invocations of steps took"),
            invocations: counter(
                "runner.invocations",
                "{invocation}",
                "Invocations of steps, by how they ended",
            ),
            effects: counter("runner.effects", "{effect}", "Effects, by kind and how they ended"),
            sent: counter("runner.bytes_sent", "By", "What was sent to targets"),
            targets: counter(
                "runner.targets",
                "{target}",
                "Targets of runs, by the state that they were left in",
            ),
        }
    }

    fn with(&self, more: impl IntoIterator<Item = KeyValue>) -> Vec<KeyValue> {
        self.which.iter().cloned().chain(more).collect()
    }

    pub(crate) fn add(&mut self, event: &Event) {
        let seconds = |milliseconds: u64| Duration::from_millis(milliseconds).as_secs_f64();
        match event {
            Event::StepFinished { step, end, milliseconds, tally, .. } => {
                let attributes = self.with([
                    KeyValue::new("cicd.pipeline.task.name", step.to_string()),
                    KeyValue::new("cicd.pipeline.task.run.result", result_of(end)),
                ]);
                self.step.record(seconds(*milliseconds), &attributes);
                self.invocations.add(1, &attributes);
                if tally.bytes_sent > 0 {
                    let step = KeyValue::new("cicd.pipeline.task.name", step.to_string());
                    self.sent.add(tally.bytes_sent, &self.with([step]));
                }
            }
            Event::Effect(effected) => self.effects.add(
                1,
                &self.with([
                    KeyValue::new("runner.effect.kind", effected.act.kind().to_owned()),
                    KeyValue::new("runner.effect.class", class_of(effected.class)),
                    KeyValue::new("runner.effect.outcome", outcome_of(&effected.end)),
                ]),
            ),
            Event::TargetFinished { end, .. } => {
                self.targets.add(1, &self.with([KeyValue::new("runner.target.end", word_of(end))]));
            }
            Event::RunFinished { verdict, milliseconds, .. } => {
                let mut attributes = self.with([
                    KeyValue::new("cicd.pipeline.run.state", "executing"),
                    KeyValue::new("cicd.pipeline.result", verdict_of(*verdict)),
                ]);
                attributes.extend(error_of(*verdict).map(|kind| KeyValue::new("error.type", kind)));
                self.run.record(seconds(*milliseconds), &attributes);
            }
            _ => {}
        }
    }
}
