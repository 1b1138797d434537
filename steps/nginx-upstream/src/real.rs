//! What is written, before a real nginx with two small web servers behind it.

use super::*;
use runner_sdk::testing::{Answer, World};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration as Time, Instant};

fn backend(name: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(stream.try_clone().expect("a copy")).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", name.len());
            stream.write_all(format!("{head}{name}").as_bytes()).expect("nginx reads");
        }
    });
    port
}

struct Nginx {
    process: Child,
    port: u16,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().expect("it was running");
        self.process.wait().expect("it ends");
    }
}

fn nginx(folder: &Path, more: &[&str]) -> Process {
    let mut command = Process::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    command.arg("-e").arg(folder.join("error.log")).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Nginx {
    fn start(folder: &Path, port: u16) -> Self {
        let nginx = Self { process: nginx(folder, &[]).spawn().expect("nginx starts"), port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Time::from_secs(20), "nginx does not come up");
            std::thread::yield_now();
        }
        nginx
    }

    /// Who answers, of some requests in a row.
    fn who(&self) -> Vec<String> {
        let mut who: Vec<String> = (0..10)
            .map(|_| {
                let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("nginx listens");
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
                let mut answer = String::new();
                stream.read_to_string(&mut answer).expect("an answer");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                answer.rsplit('\n').next().expect("a body").to_owned()
            })
            .collect();
        who.sort();
        who.dedup();
        who
    }
}

fn configure(folder: &Path, port: u16) {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", folder.join(kind).display()))
        .concat();
    let config = format!(
        "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log; events {{}}\n\
         http {{ access_log off; {temporary} upstream shop {{ include {0}/shop.conf; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://shop; }} }} }}\n",
        folder.display()
    );
    std::fs::write(folder.join("nginx.conf"), config).expect("written");
}

#[test]
fn nginx_sends_nothing_to_who_left() {
    if Process::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        #[expect(clippy::print_stderr, reason = "the tests' output is looked through for it")]
        {
            eprintln!("SKIPPED: nginx is not installed");
        }
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    configure(folder, port);
    let file = folder.join("shop.conf");
    let (one, two) = (format!("127.0.0.1:{}", backend("one")), format!("127.0.0.1:{}", backend("two")));
    let text = format!("# the shop\nserver {one} max_fails=0; # first\nserver {two};\n");
    let path = file.display().to_string();
    let world = World::new();
    world.current("lb").subject("web-1");
    world.target("lb").file(&path, &text).service("nginx", true).answer(&["nginx", "-t"], Answer::ok(""));
    let with = || json!({ "file": path, "server": one });
    // What the module wrote in memory, as nginx reads it.
    let now = || {
        std::fs::write(&file, world.target("lb").text(&path).expect("a file")).expect("written");
        assert!(nginx(folder, &["-t"]).status().expect("it runs").success(), "nginx accepts it");
        Nginx::start(folder, port).who()
    };
    assert_eq!(now(), ["one", "two"]);
    world.leave::<NginxUpstream>(with()).expect("leaves");
    assert_eq!(now(), ["two"]);
    world.join::<NginxUpstream>(with()).expect("joins");
    assert_eq!(now(), ["one", "two"]);
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), text);
}
