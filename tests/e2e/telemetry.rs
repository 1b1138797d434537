//! Traces and metrics as a real collector receives them, and what becomes of a run when nobody receives them.

use crate::collector::{Collector, Span, spans};
use crate::support::{PATIENCE, Project, version};
use runner_fleet::{Fleet, fleet_or_skip};
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traced(project: &mut Project, endpoint: &str, more: &[(&str, &str)]) {
    let all = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)].into_iter().chain(more.iter().copied());
    project.env.extend(all.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

fn attribute<'a>(span: &'a Span, name: &str) -> &'a str {
    span.attributes.get(name).map_or("", String::as_str)
}

#[test]
fn a_run_is_one_trace_below_the_span_of_ci_and_its_numbers_arrive() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let Some(collector) = Collector::start() else { return };
    let mut project = Project::new(&fleet);
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let named = [("TRACEPARENT", parent.as_str()), ("OTEL_RESOURCE_ATTRIBUTES", "team=shop")];
    traced(&mut project, &collector.endpoint, &named);
    project.lock();
    let ran = project.run(&["exec", "plan.toml", "--environment", "fleet", "--json"]);
    ran.must_say(0, &[&format!("trace: {TRACE}")]);
    assert!(!ran.stderr.contains("warning"), "{ran}");
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["trace-id"], TRACE);

    let log = collector.log_with("cicd.pipeline.run.duration");
    collector.log_with("RUN web");
    let spans = spans(&log);
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
    let run = spans.iter().find(|span| span.parent == PARENT).unwrap();
    assert_eq!((run.name.as_str(), attribute(run, "cicd.pipeline.result")), ("RUN web", "Str(success)"));
    assert_eq!(attribute(run, "cicd.pipeline.run.id"), format!("Str({})", ran.run()));
    let above = |span: &Span| spans.iter().find(|other| other.id == span.parent).unwrap();
    for span in spans.iter().filter(|span| span.id != run.id) {
        let above = above(span);
        assert!(above.begin <= span.begin && span.end <= above.end, "{span:#?} is not within {above:#?}");
    }
    let switches: Vec<&Span> = spans.iter().filter(|span| span.name == "switch").collect();
    assert_eq!(switches.len(), 2);
    for switch in switches {
        assert_eq!((above(switch).name.as_str(), above(above(switch)).name.as_str()), ("batch", "rollout"));
        assert_eq!(attribute(switch, "cicd.pipeline.task.run.result"), "Str(success)");
        assert!(attribute(switch, "server.address").starts_with("Str("), "{switch:#?}");
        let effect = spans.iter().find(|span| span.parent == switch.id).unwrap();
        assert_eq!(
            (effect.name.as_str(), attribute(effect, "runner.effect.class")),
            ("symlink", "Str(change)")
        );
        assert_eq!(attribute(effect, "file.path"), "Str(/srv/app/current)");
    }
    // Names and outcomes, and nothing that could be a value.
    let known = ["cicd.", "deployment.", "runner.", "server.", "file.", "process.", "http."];
    let odd = spans.iter().flat_map(|span| span.attributes.keys());
    let odd: Vec<_> = odd.filter(|key| !known.iter().any(|known| key.starts_with(known))).collect();
    assert_eq!(odd, [""; 0]);
    for part in [
        "-> service.name: Str(runner)",
        "-> team: Str(shop)",
        "-> Name: runner.step.duration",
        "-> Name: runner.invocations",
        "-> Name: runner.effects",
        "-> Name: runner.bytes_sent",
        "-> Name: runner.targets",
    ] {
        assert!(log.contains(part), "the collector has no `{part}`: {log}");
    }
}

#[test]
fn a_step_that_fails_is_an_error_in_the_trace_with_its_kind_and_not_its_message() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let Some(collector) = Collector::start() else { return };
    let mut project = Project::new(&fleet);
    traced(&mut project, &collector.endpoint, &[("OTEL_METRICS_EXPORTER", "none")]);
    fleet.host(1).answer("/version.txt", "hunter2").unwrap();
    project.edit_plan("deadline = \"10s\"", "deadline = \"2s\"");
    project.lock_and_exec().must_say(4, &["hunter2"]);
    let log = collector.log_with("RUN web");
    let spans = spans(&log);
    for name in ["smoke-test", "RUN web"] {
        let span = spans.iter().find(|span| span.name == name).unwrap();
        assert_eq!(span.status, "STATUS_CODE_ERROR", "{span:#?}");
        assert_ne!(attribute(span, "error.type"), "", "{span:#?}");
    }
    assert!(!log.contains("hunter2") && !log.contains("runner.invocations"), "{log}");
}

#[test]
fn a_collector_that_is_not_there_or_never_answers_costs_a_warning_and_no_release() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let mut project = Project::new(&fleet);
    project.lock();
    // Nobody accepts what comes in here: the kernel does, and there it stays.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    for (number, address) in [gone, silent.local_addr().unwrap()].into_iter().enumerate() {
        project.env.clear();
        traced(&mut project, &format!("http://{address}"), &[]);
        project.next_version(&format!("1.0.{number}"));
        let ran = project.lock_and_exec();
        ran.must_say(0, &["warning: telemetry of this run was not sent"]);
        assert_eq!(ran.stderr.matches("warning: ").count(), 1, "{ran}");
        assert_eq!(version(fleet.host(1)), format!("1.0.{number}"));
    }
    project.env.clear();
    traced(&mut project, "http://127.0.0.1:4317", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let ran = project.exec();
    ran.must_say(0, &["no telemetry is sent", "`http/protobuf` alone"]);
    assert!(!ran.stderr.contains("trace: "), "{ran}");
}

/// nginx in front of a collector, with a certificate of an authority that nobody knows.
struct Tls {
    nginx: Child,
    folder: tempfile::TempDir,
    endpoint: String,
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}

impl Tls {
    /// `None`, and a visible skip, without the programs.
    fn in_front_of(collector: &Collector) -> Option<Self> {
        let missing = |name: &&&str| Command::new(name).arg("-v").output().is_err();
        if let Some(name) = ["nginx", "openssl"].iter().find(missing) {
            eprintln!("SKIPPED: telemetry over TLS: no `{name}`");
            return None;
        }
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let at = folder.path().display().to_string();
        for arguments in [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout key.pem -out request.pem",
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
        ] {
            fs::write(folder.path().join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
            let ended =
                Command::new("openssl").args(arguments.split(' ')).current_dir(&folder).output().unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        }
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};\n"))
            .concat();
        let server = format!(
            "listen {address} ssl; ssl_certificate {at}/cert.pem; ssl_certificate_key {at}/key.pem;\n\
             location / {{ proxy_pass {}; }}",
            collector.endpoint
        );
        let configuration = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\nevents {{}}\n\
             http {{ access_log off;\n{places}server {{ {server} }} }}\n"
        );
        fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
        let mut nginx = Command::new("nginx");
        nginx
            .args(["-e", &format!("{at}/error.log"), "-c", &format!("{at}/nginx.conf")])
            .stdin(Stdio::null());
        let tls = Self { nginx: nginx.spawn().unwrap(), folder, endpoint: format!("https://{address}") };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            let log = fs::read_to_string(tls.folder.path().join("error.log")).unwrap_or_default();
            assert!(begin.elapsed() < PATIENCE, "nginx does not come up: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(tls)
    }
}

#[test]
fn a_collector_with_a_certificate_of_its_own_is_vouched_for_by_a_file() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let Some(collector) = Collector::start() else { return };
    let Some(tls) = Tls::in_front_of(&collector) else { return };
    let mut project = Project::new(&fleet);
    traced(&mut project, &tls.endpoint, &[]);
    let untold = project.release();
    assert!(untold.stderr.contains("warning: "), "nobody vouches for it: {untold}");
    assert!(!collector.log().contains("RUN web"));

    let file = tls.folder.path().join("ca.pem").display().to_string();
    traced(&mut project, &tls.endpoint, &[("OTEL_EXPORTER_OTLP_CERTIFICATE", &file)]);
    let told = project.exec();
    assert_eq!(told.code, Some(0), "{told}");
    assert!(!told.stderr.contains("warning: "), "{told}");
    collector.log_with("RUN web");

    project.env.pop();
    traced(&mut project, &tls.endpoint, &[("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")]);
    project.exec().must_say(
        0,
        &["warning: no telemetry is sent: the certificates in `/nowhere/ca.pem` cannot be used"],
    );
}
