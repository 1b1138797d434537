//! Against a real HAProxy, with two small web servers behind it.

use super::*;
use runner_sdk::Service;
use runner_sdk::testing::World;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration as Time, Instant};

/// A running HAProxy and the folder that it lives in; both end with it.
struct Real {
    folder: tempfile::TempDir,
    process: Child,
    port: u16,
}

impl Drop for Real {
    fn drop(&mut self) {
        self.process.kill().expect("it was running");
        self.process.wait().expect("it ends");
    }
}

/// A server that says its name; it answers `/slow` when it is told to.
fn backend(name: &'static str) -> (u16, Receiver<Sender<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (slow, waits) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, slow) = (stream.expect("a connection"), slow.clone());
            std::thread::spawn(move || {
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).expect("a request");
                if line.contains("/slow") {
                    let (go, told) = channel();
                    slow.send(go).expect("the test waits for it");
                    // An end of the test is as good as being told.
                    let _ = told.recv();
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{name}",
                    name.len()
                );
                // Who was cut off does not read it.
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    (port, waits)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

impl Real {
    fn start(servers: &[(&str, u16)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let servers: String = servers
            .iter()
            .map(|(name, port)| format!("  server {name} 127.0.0.1:{port} check inter 100 fall 1 rise 1\n"))
            .collect();
        let config = format!(
            "global\n  stats socket {} mode 600 level admin\n  server-state-file {}\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  \
             load-server-state-from-file global\n\
             frontend www\n  bind 127.0.0.1:{port}\n  default_backend shop\n\
             backend shop\n{servers}",
            at("admin.sock"),
            at("state"),
        );
        std::fs::write(folder.path().join("haproxy.cfg"), config).expect("written");
        std::fs::write(folder.path().join("state"), "").expect("written");
        let process = Self::process(&folder.path().join("haproxy.cfg"));
        let real = Self { folder, process, port };
        real.is_up();
        real
    }

    fn process(config: &std::path::Path) -> Child {
        let mut command = Command::new("haproxy");
        command
            .args(["-db", "-f"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().expect("haproxy is installed")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    fn is_up(&self) {
        let began = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            assert!(began.elapsed() < Time::from_secs(20), "haproxy does not come up");
            std::thread::yield_now();
        }
    }

    /// What a reload is for the servers: a new process with the same configuration.
    fn restart(&mut self) {
        self.process.kill().expect("it was running");
        self.process.wait().expect("it ends");
        std::fs::remove_file(self.socket()).expect("its socket stays");
        self.process = Self::process(&self.folder.path().join("haproxy.cfg"));
        self.is_up();
    }

    fn world(&self) -> World {
        let world = World::new();
        world.current("lb").subject("web-1").real_time();
        let (path, file) = (self.socket(), self.folder.path().display().to_string());
        world.target("lb").dir(&file).socket(&path.display().to_string(), {
            let path = path.clone();
            move |text| {
                let mut stream =
                    UnixStream::connect(&path).map_err(|error| Error::other(error.to_string()))?;
                stream.write_all(text.as_bytes()).map_err(|error| Error::other(error.to_string()))?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).map_err(|error| Error::other(error.to_string()))?;
                Ok(answer)
            }
        });
        world
    }

    fn params(&self) -> Value {
        json!({ "socket": self.socket(), "backend": "shop", "state-file": self.folder.path().join("state") })
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("haproxy listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Who answers, of some requests in a row.
    fn who(&self) -> Vec<String> {
        let mut who: Vec<String> = (0..10)
            .map(|_| {
                let answer = self.get("/");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                answer.rsplit('\n').next().expect("a body").to_owned()
            })
            .collect();
        who.sort();
        who.dedup();
        who
    }
}

fn installed() -> bool {
    let found = Command::new("haproxy").arg("-v").stdout(Stdio::null()).status().is_ok();
    if !found {
        #[expect(clippy::print_stderr, reason = "the tests' output is looked through for it")]
        {
            eprintln!("SKIPPED: haproxy is not installed");
        }
    }
    found
}

#[test]
fn no_request_is_lost_while_a_server_leaves_and_joins() {
    if !installed() {
        return;
    }
    let ((one, slow), (two, _slow)) = (backend("one"), backend("two"));
    let real = Real::start(&[("web-1", one), ("web-2", two)]);
    let world = real.world();
    world.join::<Haproxy>(real.params()).expect("both are up");
    assert_eq!(real.who(), ["one", "two"]);

    // A request that takes its time is waited for, and answered.
    std::thread::scope(|scope| {
        let mut asked: Vec<_> = (0..2).map(|_| scope.spawn(|| real.get("/slow"))).collect();
        let go = slow.recv().expect("one of the two");
        let leaves = scope.spawn(|| {
            let world = real.world();
            world.leave::<Haproxy>(real.params()).map(|()| world.log())
        });
        let began = Instant::now();
        while world.observe::<Haproxy>(real.params()).expect("a standing").service != Service::Draining {
            assert!(began.elapsed() < Time::from_secs(20), "it does not drain");
        }
        assert_eq!(world.observe::<Haproxy>(real.params()).expect("a standing").connections, Some(1));
        assert_eq!(real.who(), ["two"], "no new ones");
        go.send(()).expect("it waits");
        drop(_slow.recv().expect("the other of the two"));
        let log = leaves.join().expect("no panic").expect("leaves");
        assert!(!log.iter().any(|line| line.starts_with("warn")), "nothing was cut off: {log:?}");
        for asked in asked.drain(..) {
            assert!(asked.join().expect("no panic").starts_with("HTTP/1.1 200"));
        }
    });
    let standing = world.observe::<Haproxy>(real.params()).expect("a standing");
    assert_eq!((standing.service, standing.connections), (Service::Out, Some(0)));
    world.leave::<Haproxy>(real.params()).expect("is out");
    assert!(world.effects().is_empty());

    world.join::<Haproxy>(real.params()).expect("joins");
    assert_eq!(world.observe::<Haproxy>(real.params()).expect("a standing").service, Service::In);
    assert_eq!(real.who(), ["one", "two"]);
}

#[test]
fn who_is_out_stays_out_when_haproxy_is_reloaded() {
    if !installed() {
        return;
    }
    let ((one, _one), (two, _two)) = (backend("one"), backend("two"));
    let mut real = Real::start(&[("web-1", one), ("web-2", two)]);
    let world = real.world();
    world.leave::<Haproxy>(real.params()).expect("leaves");
    let state = real.folder.path().join("state");
    let kept = world.target("lb").text(&state.display().to_string()).expect("the file of the balancer");
    std::fs::write(&state, kept).expect("written");
    real.restart();
    assert_eq!(world.observe::<Haproxy>(real.params()).expect("a standing").service, Service::Out);
    assert_eq!(real.who(), ["two"]);
    world.join::<Haproxy>(real.params()).expect("joins");
    assert_eq!(real.who(), ["one", "two"]);
}

#[test]
fn what_does_not_end_is_cut_off() {
    if !installed() {
        return;
    }
    let (one, slow) = backend("one");
    let real = Real::start(&[("web-1", one)]);
    let world = real.world();
    let mut params = real.params();
    params["timeout"] = json!("1s");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| real.get("/slow"));
        let _go = slow.recv().expect("it came");
        world.leave::<Haproxy>(params).expect("leaves");
        assert!(!asked.join().expect("no panic").starts_with("HTTP/1.1 200"), "it was cut off");
    });
    assert!(world.log().iter().any(|line| line.contains("cut off 1")), "{:?}", world.log());
    assert_eq!(world.observe::<Haproxy>(real.params()).expect("a standing").connections, Some(0));
}

#[test]
fn a_server_that_fails_its_check_is_in_service_and_not_healthy() {
    if !installed() {
        return;
    }
    let real = Real::start(&[("web-1", free_port())]);
    let world = real.world();
    let began = Instant::now();
    while world.observe::<Haproxy>(real.params()).expect("a standing").healthy {
        assert!(began.elapsed() < Time::from_secs(20), "it is never seen to be down");
    }
    assert_eq!(world.observe::<Haproxy>(real.params()).expect("a standing").service, Service::In);
    let mut params = real.params();
    params["healthy-within"] = json!("1s");
    let error = world.join::<Haproxy>(params).expect_err("it is down");
    assert!(error.message.contains("does not pass its health check"), "{error}");
    for unknown in [json!({ "backend": "shop", "server": "web-7" }), json!({ "backend": "shap" })] {
        let mut params = unknown;
        params["socket"] = json!(real.socket());
        let error = world.observe::<Haproxy>(params).expect_err("no such thing");
        assert!(error.is(runner_sdk::ErrorKind::NotFound), "{error}");
    }
}
