//! What the standard variables of OpenTelemetry ask for. What is not supported is a warning and not a guess; telemetry is
//! never a reason not to deploy.

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use runner_model::text;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// How long one request may take, where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why no telemetry, or not all of it, is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(String);

impl Warning {
    fn new(why: impl fmt::Display) -> Self {
        Self(text::shown(&why.to_string()).into_owned())
    }

    pub(crate) fn cannot_send(why: impl fmt::Display) -> Self {
        Self::new(format_args!("no telemetry is sent: {why}"))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One kind of telemetry that is sent. Where to, and with which headers, the exporter reads by the same rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) timeout: Duration,
    /// Over TLS.
    pub(crate) secure: bool,
    /// A file of certificates, of which one vouches for the collector; `None`: those of the machine.
    pub(crate) certificate: Option<PathBuf>,
}

/// What is sent.
#[derive(Debug, Default)]
pub struct Settings {
    pub(crate) traces: Option<Signal>,
    pub(crate) metrics: Option<Signal>,
    /// What the run is a part of.
    pub(crate) parent: Option<SpanContext>,
    pub(crate) names_service: bool,
    pub(crate) queue_is_set: bool,
}

impl Settings {
    /// What the process's environment asks for; `None`: nothing is sent.
    pub fn of_process() -> (Option<Self>, Vec<Warning>) {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> (Option<Self>, Vec<Warning>) {
        // An empty variable is as good as none, the specification says.
        let get = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let mut warnings = Vec::new();
        if get("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
            return (None, warnings);
        }
        let mut take = |signal: Result<Option<Signal>, Warning>| {
            signal.unwrap_or_else(|warning| {
                // What is wrong for both is said once.
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
                None
            })
        };
        let traces = take(signal(&get, "TRACES"));
        let metrics = take(signal(&get, "METRICS"));
        if traces.is_none() && metrics.is_none() {
            return (None, warnings);
        }
        let parent = traces.as_ref().and_then(|_| get("TRACEPARENT")).and_then(|traceparent| {
            let parent = parent(&traceparent, get("TRACESTATE"));
            if parent.is_none() {
                warnings.push(Warning::new(format_args!(
                    "the run begins a trace of its own: `TRACEPARENT` is `{}`, which is no W3C trace context",
                    text::shown(&traceparent)
                )));
            }
            parent
        });
        let attributes = get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let names_service = get("OTEL_SERVICE_NAME").is_some()
            || attributes.split(',').any(|pair| pair.trim_start().starts_with("service.name="));
        let queue_is_set = get("OTEL_BSP_MAX_QUEUE_SIZE").is_some();
        (Some(Self { traces, metrics, parent, names_service, queue_is_set }), warnings)
    }
}

/// Whether, and how, one kind of telemetry is sent.
fn signal(get: &impl Fn(&str) -> Option<String>, kind: &str) -> Result<Option<Signal>, Warning> {
    let either = |end: &str| {
        let [own, all] = [format!("OTEL_EXPORTER_OTLP_{kind}_{end}"), format!("OTEL_EXPORTER_OTLP_{end}")];
        get(&own).map(|value| (own, value)).or_else(|| get(&all).map(|value| (all, value)))
    };
    let Some((name, endpoint)) = either("ENDPOINT") else { return Ok(None) };
    let exporter = format!("OTEL_{kind}_EXPORTER");
    match get(&exporter).as_deref().map(str::trim) {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => {
            return Err(Warning::cannot_send(format_args!(
                "`{exporter}` is `{other}`, and `otlp` and `none` are what the runner knows"
            )));
        }
    }
    match either("PROTOCOL").as_ref().map(|(name, value)| (name, value.trim())) {
        None | Some((_, "http/protobuf")) => {}
        Some((name, other)) => {
            return Err(Warning::cannot_send(format_args!(
                "`{name}` is `{other}`, and the runner speaks `http/protobuf` alone: set it to that, with the \
                 collector's endpoint for it, which is most often port 4318"
            )));
        }
    }
    let url = Url::parse(endpoint.trim());
    let url = url.ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        return Err(Warning::cannot_send(format_args!(
            "`{name}` is not the URL of a collector, as in `http://localhost:4318`"
        )));
    };
    let timeout = match either("TIMEOUT") {
        None => TIMEOUT,
        Some((name, value)) => {
            Duration::from_millis(value.trim().parse().ok().filter(|&ms| ms > 0).ok_or_else(|| {
                Warning::cannot_send(format_args!(
                    "`{name}` is `{value}`, which is no number of milliseconds"
                ))
            })?)
        }
    };
    for end in ["CLIENT_KEY", "CLIENT_CERTIFICATE"] {
        if let Some((name, _)) = either(end) {
            return Err(Warning::cannot_send(format_args!(
                "`{name}` is set, and the runner shows no certificate of its own: give the collector a header instead"
            )));
        }
    }
    let certificate = either("CERTIFICATE").map(|(_, file)| PathBuf::from(file));
    Ok(Some(Signal { timeout, secure: url.scheme() == "https", certificate }))
}

/// The span that CI gave to the run.
fn parent(traceparent: &str, tracestate: Option<String>) -> Option<SpanContext> {
    struct Carrier(BTreeMap<&'static str, String>);
    impl Extractor for Carrier {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key).map(String::as_str)
        }
        fn keys(&self) -> Vec<&str> {
            self.0.keys().copied().collect()
        }
    }
    let mut carrier = BTreeMap::from([("traceparent", traceparent.trim().to_owned())]);
    carrier.extend(tracestate.map(|state| ("tracestate", state)));
    let context = TraceContextPropagator::new().extract(&Carrier(carrier));
    let context = context.span().span_context().clone();
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Option<Settings>, Vec<String>) {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let (settings, warnings) = Settings::read(find);
        (settings, warnings.iter().map(ToString::to_string).collect())
    }

    const HERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");

    #[test]
    fn nothing_is_sent_unless_an_endpoint_is_named() {
        for off in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[("OTEL_SERVICE_NAME", "x"), ("TRACEPARENT", "nonsense")],
            &[HERE, ("OTEL_SDK_DISABLED", "TRUE")],
            &[HERE, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")],
        ] {
            let (settings, warnings) = read(off);
            assert!(settings.is_none() && warnings.is_empty(), "{off:?}: {warnings:?}");
        }
        let (settings, _) = read(&[HERE]);
        assert!(settings.is_some_and(|s| s.traces.is_some() && s.metrics.is_some() && !s.names_service));
        let (settings, _) = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318/x")]);
        assert!(settings.is_some_and(|s| s.traces.is_some() && s.metrics.is_none()));
    }

    #[test]
    fn what_is_not_spoken_is_a_warning_that_says_what_is() {
        for (wrong, says) in [
            (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), "speaks `http/protobuf` alone"),
            (("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"), "is not the URL of a collector"),
            (("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"), "no number of milliseconds"),
            (("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem"), "shows no certificate of its own"),
        ] {
            let (settings, warnings) = read(&[wrong, HERE]);
            assert!(settings.is_none(), "{wrong:?}");
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains(wrong.0) && warnings[0].contains(says), "{warnings:?}");
        }
        let (settings, warnings) = read(&[HERE, ("OTEL_TRACES_EXPORTER", "zipkin")]);
        assert!(settings.is_some_and(|s| s.traces.is_none() && s.metrics.is_some()));
        assert!(warnings[0].contains("`otlp` and `none`"), "{warnings:?}");
    }

    #[test]
    fn a_run_is_a_part_of_what_ci_says_and_a_broken_parent_is_told() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let (settings, warnings) = read(&[HERE, ("TRACEPARENT", good), ("TRACESTATE", "ci=7")]);
        assert_eq!(warnings, [""; 0]);
        let parent = settings.and_then(|s| s.parent).expect("a parent");
        assert_eq!(parent.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.trace_state().get("ci"), Some("7"));
        let (settings, warnings) = read(&[HERE, ("TRACEPARENT", "00-\u{1b}[31m")]);
        assert!(settings.is_some_and(|s| s.parent.is_none()));
        assert!(warnings[0].contains(r"`00-\u{1b}[31m`"), "{warnings:?}");
    }

    #[test]
    fn the_service_keeps_the_name_that_it_was_given() {
        for named in
            [("OTEL_SERVICE_NAME", "deploys"), ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=deploys")]
        {
            assert!(read(&[HERE, named]).0.is_some_and(|s| s.names_service), "{named:?}");
        }
    }
}
