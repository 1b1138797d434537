//! One request to a socket of this machine, and everything that is no daemon's socket.

use super::*;
use runner_model::{Exchange, Failure};
use std::os::unix::fs::symlink;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

impl Bench {
    async fn exchange(&self, name: &str) -> Result<String, Failure> {
        let exchange =
            Exchange { path: self.path(name), text: "show it's\n".to_owned(), effect: EffectClass::Signal };
        let intent = Intent::new("{\"intent\":\"ask\"}");
        self.target.exchange(&exchange, Within::both(&self.all()), Some(intent)).await
    }
}

/// A daemon that takes one line from each that connects and answers with this. It never ends by itself.
fn daemon(bench: &Bench, name: &str, answer: Vec<u8>) {
    let listener = UnixListener::bind(bench.at(name)).expect("a socket");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut got = vec![0; 10];
            stream.read_exact(&mut got).await.expect("asked");
            assert_eq!(got, b"show it's\n");
            // Whoever asks may have gone when it had enough.
            let _ = stream.write_all(&answer).await;
        }
    });
}

#[tokio::test]
async fn a_socket_answers_all_that_it_says_until_it_closes() {
    in_every_shell(async |bench| {
        daemon(bench, "sock é", b"a\nb\n\n".to_vec());
        let before = bench.intents();
        assert_eq!(bench.exchange("sock é").await.expect("answered"), "a\nb\n\n");
        assert_eq!(bench.intents(), before + 1);
        daemon(bench, "silent", vec![]);
        assert_eq!(bench.exchange("silent").await.expect("answered"), "");
        daemon(bench, "most", vec![b'x'; 1 << 20]);
        assert_eq!(bench.exchange("most").await.expect("answered").len(), 1 << 20);
    })
    .await;
}

#[tokio::test]
async fn a_socket_that_says_too_much_or_nothing_is_given_up() {
    let limits = Limits { socket: Duration::from_millis(300), ..Limits::default() };
    for (name, words) in SHELLS.into_iter().filter(|(_, words)| available(words[0])) {
        let bench = Bench::limited(name, words, Arc::default(), limits).await;
        daemon(&bench, "flood", vec![b'x'; (1 << 20) + 1]);
        let failure = bench.exchange("flood").await.expect_err("a flood");
        assert_eq!((failure.kind, failure.message.contains("1 MiB")), (FailureKind::Invalid, true));
        daemon(&bench, "binary", vec![0xff, 0xfe]);
        assert_eq!(bench.exchange("binary").await.expect_err("no text").kind, FailureKind::Invalid);
        let _never = UnixListener::bind(bench.at("never")).expect("a socket");
        let failure = bench.exchange("never").await.expect_err("silence");
        assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
        bench.connection.close().await;
    }
}

#[tokio::test]
async fn only_a_socket_that_nobody_else_can_swap_is_asked() {
    in_every_shell(async |bench| {
        daemon(bench, "good", b"yes".to_vec());
        symlink(bench.at("good"), bench.at("link")).expect("linked");
        std::fs::write(bench.at("file"), "").expect("written");
        std::fs::create_dir(bench.at("open")).expect("mkdir");
        daemon(bench, "open/sock", b"yes".to_vec());
        std::fs::set_permissions(bench.at("open"), std::fs::Permissions::from_mode(0o777)).expect("chmod");
        drop(UnixListener::bind(bench.at("dead")).expect("a socket"));
        let outside = tempfile::tempdir().expect("a folder");
        let _listener = UnixListener::bind(outside.path().join("sock")).expect("a socket");
        symlink(outside.path(), bench.at("away")).expect("linked");
        for (name, kind) in [
            ("link", FailureKind::Conflict),
            ("file", FailureKind::Conflict),
            ("root", FailureKind::Conflict),
            ("missing", FailureKind::NotFound),
            ("no/sock", FailureKind::NotFound),
            ("open/sock", FailureKind::Denied),
            ("away/sock", FailureKind::Denied),
        ] {
            let failure = bench.exchange(name).await.expect_err(name);
            assert_eq!(failure.kind, kind, "{}: {name}: {failure}", bench.shell);
        }
        let failure = bench.exchange("dead").await.expect_err("nobody listens");
        assert_eq!(failure.kind, FailureKind::Conflict, "{failure}");
        assert!(failure.message.contains("nobody listens"), "{failure}");
        let elsewhere = Exchange {
            path: "/run/other.sock".parse().expect("a path"),
            text: String::new(),
            effect: EffectClass::Read,
        };
        let failure = bench.target.exchange(&elsewhere, Within::both(&bench.all()), None).await;
        assert_eq!(failure.expect_err("not granted").kind, FailureKind::Denied);
    })
    .await;
}
