//! A real OpenTelemetry collector on this machine: Rotel, which comes as a wheel. What it receives it writes down for people,
//! and that is what is read here: none of the code that sent it has a part in it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Collector {
    agent: Child,
    folder: tempfile::TempDir,
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub(crate) endpoint: String,
}

/// A span as the collector saw it. Attributes are as it prints them: `Str(web)`, `Int(3)`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// The collector, where it was installed: beside the programs of a Python environment that is in `PATH`.
fn agent() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter_map(|bin| fs::read_dir(bin.parent()?.join("lib")).ok())
        .flat_map(|pythons| pythons.flatten())
        .map(|python| python.path().join("site-packages/rotel/rotel-agent"))
        .find(|agent| agent.is_file())
}

impl Collector {
    /// `None`, and a word about it, where there is none.
    pub(crate) fn start() -> Option<Self> {
        let Some(agent) = agent() else {
            eprintln!("SKIPPED: telemetry to a real collector: no `rotel` in a Python environment of PATH");
            return None;
        };
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Both at once, so that they are not the same.
        let [http, grpc] = [free(), free()].map(|listener| listener.local_addr().unwrap());
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let agent = Command::new(agent)
            .args(["start", "--otlp-http-endpoint", &http.to_string()])
            .args(["--otlp-grpc-endpoint", &grpc.to_string(), "--exporter", "blackhole"])
            .args(["--debug-log", "traces", "--debug-log", "metrics", "--debug-log-verbosity", "detailed"])
            .arg("--disable-batching")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let collector = Self { agent, folder, endpoint: format!("http://{http}") };
        let start = Instant::now();
        while TcpStream::connect(http).is_err() {
            assert!(start.elapsed() < PATIENCE, "the collector does not start: {}", collector.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(collector)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What it has received, once it has received this.
    pub(crate) fn log_with(&self, part: &str) -> String {
        let start = Instant::now();
        loop {
            let log = self.log();
            if log.contains(part) {
                return log;
            }
            assert!(start.elapsed() < PATIENCE, "the collector has no `{part}`: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

/// The spans in what a collector wrote.
pub(crate) fn spans(log: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut reads = false;
    for line in log.lines() {
        if line.starts_with("Span #") {
            spans.push(Span::default());
            reads = true;
        } else if line.starts_with("Resource") || line.starts_with("Events:") || line.starts_with("Metric") {
            // Attributes of something else follow.
            reads = false;
        }
        let Some(span) = spans.last_mut().filter(|_| reads) else { continue };
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.trim() {
            "Trace ID" => value.clone_into(&mut span.trace),
            "ID" => value.clone_into(&mut span.id),
            "Parent ID" => value.clone_into(&mut span.parent),
            "Name" => value.clone_into(&mut span.name),
            "Status code" => value.clone_into(&mut span.status),
            "Start time" => span.begin = value.parse().unwrap(),
            "End time" => span.end = value.parse().unwrap(),
            key => {
                if let Some(name) = key.strip_prefix("-> ") {
                    span.attributes.insert(name.to_owned(), value.to_owned());
                }
            }
        }
    }
    spans
}
