//! How telemetry leaves this process: over the runner's own HTTP client, and with one eye on what fails.

use crate::settings::{Signal, Warning};
use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use runner_model::text;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;

/// The largest answer that is read.
const ANSWER_MAX: usize = 64 << 10;

/// The first thing that went wrong.
#[derive(Debug, Default)]
pub(crate) struct Trouble(OnceLock<String>);

impl Trouble {
    fn note(&self, result: &OTelSdkResult) {
        if let Err(error) = result {
            // The later ones are most likely the same.
            let _ = self.0.set(text::shown(&error.to_string()).into_owned());
        }
    }

    pub(crate) fn first(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

/// An exporter whose failures are noticed.
#[derive(Debug)]
pub(crate) struct Noticing<E> {
    exporter: E,
    trouble: Arc<Trouble>,
}

impl<E> Noticing<E> {
    pub(crate) fn new(exporter: E, trouble: &Arc<Trouble>) -> Self {
        Self { exporter, trouble: Arc::clone(trouble) }
    }
}

impl<E: SpanExporter> SpanExporter for Noticing<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        self.trouble.note(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Noticing<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.trouble.note(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

/// Sends requests on the runtime of the run, for exporters that have threads of their own.
#[derive(Debug)]
pub(crate) struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl Client {
    pub(crate) fn new(signal: &Signal) -> Result<Self, Warning> {
        let builder = reqwest::Client::builder();
        // Reading the machine's certificates is for those who meet one.
        let builder = match (signal.secure, &signal.certificate) {
            (false, _) => builder.tls_certs_only([]),
            (true, None) => builder,
            (true, Some(file)) => builder.tls_certs_only(certificates(file)?),
        };
        let client = builder
            .timeout(signal.timeout)
            // Headers may hold a token, which is for the collector alone.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .build()
            .map_err(|error| Warning::cannot_send(format_args!("make a client: {error}")))?;
        Ok(Self { client, runtime: Handle::current() })
    }
}

/// Those of a file in PEM.
fn certificates(file: &Path) -> Result<Vec<reqwest::Certificate>, Warning> {
    let shown = file.display();
    let wrong = |why: &dyn std::fmt::Display| {
        Warning::cannot_send(format_args!("the certificates in `{shown}` cannot be used: {why}"))
    };
    let pem = std::fs::read(file).map_err(|error| wrong(&error))?;
    let all = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error))?;
    if all.is_empty() {
        return Err(wrong(&"there is none in it"));
    }
    Ok(all)
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = async move {
            let mut answer = client.execute(request.try_into()?).await?;
            let status = answer.status();
            let mut body = Vec::new();
            while let Some(part) = answer.chunk().await? {
                let room = ANSWER_MAX - body.len();
                body.extend_from_slice(&part[..part.len().min(room)]);
                if body.len() == ANSWER_MAX {
                    break;
                }
            }
            Ok(Response::builder().status(status).body(Bytes::from(body))?)
        };
        // The caller is no task of the runtime, and what it waits for must not be done on its thread.
        self.runtime.spawn(exchange).await?
    }
}
