//! A server that answers as a test wants, for what no real registry does; and clients for it.

use runner_registry::{Client, Credentials, Repository, Settings};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The smallest component that there is.
pub const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    pub authorization: Option<String>,
    pub body: Vec<u8>,
}

/// What is answered: raw bytes, the last of them again and again when it is `endless`.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub bytes: Vec<u8>,
    pub endless: bool,
    /// The connection stays open, and nothing more comes.
    pub hangs: bool,
}

/// An answer with headers (`"a: b\r\n"`) and a body.
pub fn answer(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let mut bytes = format!(
        "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    Answer { bytes, ..Answer::default() }
}

/// A body that never ends.
pub fn endless(headers: &str) -> Answer {
    let mut bytes = format!("HTTP/1.1 200 X\r\n{headers}connection: close\r\n\r\n").into_bytes();
    bytes.extend_from_slice(&[b' '; 64 * 1024]);
    Answer { bytes, endless: true, hangs: false }
}

/// A server that ends with the test.
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(reply: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ending = Arc::new(AtomicBool::new(false));
        let (log, end, reply) = (asked.clone(), ending.clone(), Arc::new(reply));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let (log, end, reply) = (log.clone(), end.clone(), reply.clone());
                // It ends with its connection, or when the server does.
                std::thread::spawn(move || stream.map(|stream| serve(stream, &log, &end, &*reply)));
            }
        });
        Self { address, asked, ending, thread: Some(thread) }
    }

    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    pub fn repository(&self) -> Repository {
        format!("{}/ops/x", self.authority()).parse().expect("a repository")
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether somebody asked with a path that contains this.
    pub fn was_asked(&self, part: &str) -> bool {
        self.asked().iter().any(|asked| asked.path.contains(part))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Asked>>, end: &AtomicBool, reply: &dyn Fn(&Asked) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let mut out = stream;
    // The start of TLS, which a server without it takes for a bad request.
    if reader.fill_buf().is_ok_and(|bytes| bytes.first() == Some(&0x16)) {
        let _ = out.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        return;
    }
    let Some(asked) = read(&mut reader) else { return };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
    let answer = reply(&asked);
    if out.write_all(&answer.bytes).is_err() {
        return;
    }
    while answer.endless && out.write_all(&[b' '; 64 * 1024]).is_ok() {}
    // Until the other end has had enough.
    let _ = out.set_read_timeout(Some(Duration::from_millis(50)));
    while answer.hangs && !end.load(Ordering::Relaxed) {
        match out.read(&mut [0; 16]) {
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            _ => return,
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut authorization, mut length) = (None, 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.to_owned()),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path, authorization, body })
}

/// Without anybody's credentials.
pub fn settings() -> Settings {
    Settings { credentials: Credentials::none(), ..Settings::default() }
}

pub fn client() -> Client {
    Client::new(settings()).expect("a client")
}

/// A file of Docker with these credentials for a registry, in a folder that lives as long as it is held.
pub fn docker_file(authority: &str, entry: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.json");
    std::fs::write(&file, format!("{{\"auths\":{{\"{authority}\":{entry}}}}}")).expect("a file");
    (folder, file)
}
