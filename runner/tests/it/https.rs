//! Requests over TLS, to a server of this machine whose certificate nobody vouches for.

use crate::support::{Nowhere, Run};
use runner::host::Requests;
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A TLS server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn openssl(folder: &Path, arguments: &str) -> bool {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("it runs").success()
}

/// A server whose certificate is signed by an authority of its own; `None`, and a word, where there is no openssl.
fn server(folder: &Path) -> Option<(Server, u16)> {
    if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: there is no openssl");
        return None;
    }
    for arguments in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=an-authority-of-a-test \
         -keyout ca.key -out ca.pem",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout key.pem -out request.pem",
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
    ] {
        std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("a file");
        assert!(openssl(folder, arguments), "openssl {arguments}");
    }
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let mut child = Command::new("openssl")
        .current_dir(folder)
        .args([
            "s_server",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-cert",
            "cert.pem",
            "-key",
            "key.pem",
            "-www",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("ACCEPT") {
        line.clear();
        assert!(said.read_line(&mut line).expect("it speaks") > 0, "the server ended");
    }
    let server = Server(child);
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "the server does not answer");
        std::thread::sleep(Duration::from_millis(10));
    }
    Some((server, port))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_refused_and_said_to_be() {
    let place = tempfile::tempdir().expect("a folder");
    let Some((_server, port)) = server(place.path()) else { return };
    let urls = [format!("https://127.0.0.1:{port}/"), format!("https://localhost:{port}/")];
    let grants = urls.each_ref().map(|url| format!("GET {url}"));
    let run = Run::granted(&[], &[], &grants.each_ref().map(String::as_str));
    let http = Arc::new(Requests::new(Arc::new(Nowhere), run.store()));
    let run = Run { http, ..run };
    for url in urls {
        let result = run.calls(json!([{ "call": "http.send", "method": "GET", "url": url }])).await;
        let error = &result.answer()["err"];
        eprintln!("{error}");
        assert_eq!(error["kind"], "Unreachable", "{error}");
        let message = error["message"].as_str().expect("text");
        assert!(message.starts_with(&format!("GET {url}: ")), "{message}");
        assert!(message.contains("the server's certificate is not trusted"), "{message}");
        assert!(
            error["detail"].as_str().expect("text").contains("SSL_CERT_FILE"),
            "it says what mends it: {error}"
        );
    }
}
