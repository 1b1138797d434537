//! Traces and metrics of runs, sent by OTLP: one more consumer of the event stream. It never delays a run and never
//! fails one: what cannot be sent is told once, at the end.
//!
//! What is sent are names, times, classes and outcomes; never a value, a content, an argument or a message.

mod export;
mod metrics;
mod settings;
mod trace;

pub use settings::{Settings, Warning};

use export::{Client, Noticing, Trouble};
use metrics::Metrics;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use runner_model::{EnvironmentName, PlanName, RunId, Stamped, TargetName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use trace::Trace;

/// The longest that the end of a run waits for what is still to be sent.
pub const LAST_WORDS: Duration = Duration::from_secs(5);

/// So many spans may wait to be sent; what comes on top is left out.
const QUEUE: usize = 32_768;

/// What the run is called.
#[derive(Debug, Clone)]
pub struct About {
    /// The run.
    pub run: RunId,
    /// The plan.
    pub plan: PlanName,
    /// The environment that it releases to.
    pub environment: EnvironmentName,
    /// Where the targets are.
    pub addresses: BTreeMap<TargetName, String>,
    /// The program's version.
    pub version: &'static str,
}

/// Takes in the events of a run.
pub struct Telemetry {
    trace: Option<Trace>,
    metrics: Option<Metrics>,
}

/// What is to be sent when the run is over.
pub struct Sending {
    spans: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    trouble: Arc<Trouble>,
}

impl Telemetry {
    /// Begins. To be called inside the runtime of the run.
    ///
    /// # Errors
    /// Nothing can be sent to where the settings say.
    pub fn start(settings: &Settings, about: About) -> Result<(Self, Sending), Warning> {
        // Whoever came first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let trouble = Arc::<Trouble>::default();
        let resource = resource(settings, about.version);
        let spans = settings.traces.as_ref().map(|signal| {
            let client = Client::new(signal)?;
            let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
            let exporter = Noticing::new(exporter.map_err(Warning::cannot_send)?, &trouble);
            let mut batches = BatchConfigBuilder::default();
            if !settings.queue_is_set {
                batches = batches.with_max_queue_size(QUEUE);
            }
            let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build()).build();
            Ok(SdkTracerProvider::builder()
                .with_span_processor(processor)
                .with_resource(resource.clone())
                .build())
        });
        let meters = settings.metrics.as_ref().map(|signal| {
            let client = Client::new(signal)?;
            let exporter = MetricExporter::builder().with_http().with_http_client(client).build();
            let exporter = Noticing::new(exporter.map_err(Warning::cannot_send)?, &trouble);
            Ok(SdkMeterProvider::builder()
                .with_periodic_exporter(exporter)
                .with_resource(resource.clone())
                .build())
        });
        let (spans, meters) = (spans.transpose()?, meters.transpose()?);
        let metrics = meters.as_ref().map(|provider| Metrics::new(provider, &about));
        let trace = spans.as_ref().map(|provider| Trace::new(provider, settings.parent.as_ref(), about));
        Ok((Self { trace, metrics }, Sending { spans, meters, trouble }))
    }

    /// The trace of the run, in hexadecimal; `None`: none is sent.
    pub fn trace_id(&self) -> Option<String> {
        self.trace.as_ref().and_then(Trace::id)
    }

    /// Takes in an event.
    pub fn event(&mut self, stamped: &Stamped) {
        if let Some(metrics) = &mut self.metrics {
            metrics.add(&stamped.event);
        }
        if let Some(trace) = &mut self.trace {
            trace.add(stamped);
        }
    }
}

impl Sending {
    /// Sends what is left, for at most [`LAST_WORDS`]. Answers why something was not sent.
    pub async fn end(self) -> Option<String> {
        let Self { spans, meters, trouble } = self;
        let (done, over) = tokio::sync::oneshot::channel();
        // A thread of its own: it waits for its exporters, and nobody waits for a thread that hangs.
        std::thread::spawn(move || {
            let spans = std::thread::spawn(move || {
                spans.map(|provider| provider.shutdown_with_timeout(LAST_WORDS).map_err(|e| e.to_string()))
            });
            let meters =
                meters.map(|provider| provider.shutdown_with_timeout(LAST_WORDS).map_err(|e| e.to_string()));
            let spans = spans.join().ok().flatten();
            let failed = spans.into_iter().chain(meters).find_map(Result::err);
            let _ = done.send(failed);
        });
        let failed = match tokio::time::timeout(LAST_WORDS, over).await {
            Ok(Ok(failed)) => failed,
            Ok(Err(_)) => Some("the sender ended early".to_owned()),
            Err(_) => Some(format!("no answer within {} s", LAST_WORDS.as_secs())),
        };
        trouble.first().or(failed)
    }
}

/// Who sends: what the environment says, and the runner where it says nothing.
fn resource(settings: &Settings, version: &'static str) -> Resource {
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", version));
    if !settings.names_service {
        resource = resource.with_service_name("runner");
    }
    resource.build()
}
