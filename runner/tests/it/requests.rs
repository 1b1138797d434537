//! Requests of a step, to a server of this machine: what goes out, what comes back, and where it may go.

use crate::support::{Nowhere, Run};
use runner::host::Requests;
use runner::sandbox::limits::Limits;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that answers every request with what its path asks for, and keeps the heads of the requests.
async fn server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let answer = match head.split(' ').nth(1).unwrap_or_default() {
                    "/redirect" => {
                        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/evil\r\ncontent-length: 0\r\n\r\n"
                            .to_owned()
                    }
                    "/error" => "HTTP/1.1 503 Busy\r\nX-Why: nap\r\ncontent-length: 4\r\n\r\nbusy".to_owned(),
                    "/large" => {
                        format!("HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n{}", "x".repeat(3_000_000))
                    }
                    "/never" => {
                        tokio::time::sleep(Duration::from_secs(30)).await;
                        String::new()
                    }
                    _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_owned(),
                };
                kept.lock().expect("no panic").push(head);
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, heads)
}

fn run(grants: &[String]) -> Run {
    let run = Run::granted(&[], &[], &grants.iter().map(String::as_str).collect::<Vec<_>>());
    let http = Arc::new(Requests::new(Arc::new(Nowhere), run.store()));
    Run { http, ..run }
}

fn get(url: &str) -> Value {
    json!({ "call": "http.send", "method": "GET", "url": url })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_any_status_is_an_answer_and_no_redirect_is_followed() {
    let (port, heads) = server().await;
    let origin = format!("http://127.0.0.1:{port}");
    let limits = Limits { output: 2 << 20, ..Limits::default() };
    let run = Run { limits, ..run(&[format!("GET {origin}/")]) };
    let at = |path: &str| get(&format!("{origin}{path}"));
    let result = run.calls(json!([at("/"), at("/redirect"), at("/error"), at("/large")])).await;
    let statuses: Vec<_> = result.answers().iter().map(|answer| answer["ok"]["status"].clone()).collect();
    assert_eq!(statuses, [200, 302, 503, 200], "{:?}", result.answers());
    let answers = result.answers();
    assert_eq!(answers[0]["ok"]["body"], "ok");
    assert!(answers[2]["ok"]["headers"].as_array().expect("headers").contains(&json!(["x-why", "nap"])));
    assert_eq!(answers[3]["ok"]["truncated"], true);
    assert_eq!(answers[3]["ok"]["body"].as_str().expect("text").len(), 1 << 20);
    assert_eq!(heads.lock().expect("no panic").len(), 4, "nobody asked twice");
    assert!(result.journal.iter().all(|line| line == "http.send ok"), "{:?}", result.journal);
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_to_goes_elsewhere_and_keeps_the_authority() {
    let (port, heads) = server().await;
    let run = run(&[format!("GET http://shop.example.org/ at 127.0.0.1:{port}")]);
    let mut call = get("http://shop.example.org/health");
    call["connect-to"] = json!(format!("127.0.0.1:{port}"));
    call["headers"] = json!([["x-operation", "r-7"]]);
    let result = run.calls(json!([call])).await;
    assert_eq!(result.answer()["ok"]["status"], 200, "{:?}", result.answers());
    let head = heads.lock().expect("no panic")[0].to_ascii_lowercase();
    assert!(head.contains("host: shop.example.org\r\n"), "{head}");
    assert!(head.contains("x-operation: r-7\r\n"), "{head}");
    assert_eq!(head.matches("host:").count(), 1, "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_apart() {
    let (port, _) = server().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let run = run(&[
        format!("GET http://127.0.0.1:{port}/"),
        format!("GET http://127.0.0.1:{closed}/"),
        "GET http://does-not-exist.invalid/".to_owned(),
    ]);
    let mut never = get(&format!("http://127.0.0.1:{port}/never"));
    never["timeout"] = json!(300);
    let result = run
        .calls(json!([
            never,
            get(&format!("http://127.0.0.1:{closed}/")),
            get("http://does-not-exist.invalid/"),
            { "call": "http.download", "method": "GET", "url": format!("http://127.0.0.1:{port}/error"), "as": "x" },
            { "call": "http.download", "method": "GET", "url": format!("http://127.0.0.1:{port}/"), "as": "x" },
            { "call": "artifacts.bytes", "artifact": "x" },
        ]))
        .await;
    assert_eq!(result.kinds(), ["Timeout", "Unreachable", "Unreachable", "Other", "ok", "ok"]);
    assert_eq!(result.answers()[5]["ok"], "ok");
}
