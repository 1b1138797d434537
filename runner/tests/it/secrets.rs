//! Secrets in real runs: the real program, targets over OpenSSH, and a module that nobody vetted. The value is where
//! the plan sends it, and nowhere else: not on this machine, not on the target, not in a list of processes.

use crate::support::job::{Job, Ran};
use runner_fleet::{Fleet, fleet_or_skip};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The values. Whoever finds one of them in what a run wrote has found a leak.
const TOKEN: &str = "tok-5f9Qz/w+8Lp'3x";
const PASSWORD: &str = "pass word\"7Jk2\\mN$x";
const KEY: &str =
    "-----BEGIN KEY-----\nQ2hlZXNlIGFuZCBjcmFja2Vycw\nbW9yZSBjaGVlc2UgcGxlYXNl\n-----END KEY-----";

/// The forms in which a value could show up.
fn forms() -> Vec<String> {
    let mut forms = Vec::new();
    for value in [TOKEN, PASSWORD, KEY] {
        let json = serde_json::to_string(value).expect("JSON");
        forms.extend([value.to_owned(), json.trim_matches('"').to_owned(), base64(value.as_bytes())]);
        forms.push(percent(value));
    }
    forms.extend(KEY.lines().map(str::to_owned));
    forms
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks_exact(3) {
        let bits = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
        out.extend((0..4).map(|place| char::from(LETTERS[(bits >> (18 - 6 * place) & 63) as usize])));
    }
    // The last letters depend on what follows.
    out
}

fn percent(text: &str) -> String {
    let one = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// Where a value stands in these bytes.
fn leak(bytes: &[u8]) -> Option<String> {
    forms().into_iter().find(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()))
}

/// Every file below a folder that holds a value.
fn leaks_below(folder: &Path) -> Vec<String> {
    let mut leaks = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
            if kind.is_dir() {
                folders.push(path);
            } else if let Some(found) =
                kind.is_file().then(|| leak(&fs::read(&path).unwrap_or_default())).flatten()
            {
                leaks.push(format!("{}: {found}", path.display()));
            }
        }
    }
    leaks.sort();
    leaks
}

/// Looks at every process of this machine, those of the hosts too, until it is told to stop: what shows a value.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(Vec<String>, usize)>,
}

impl Watch {
    fn begin() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let own = std::process::id().to_string();
        let thread = std::thread::spawn(move || {
            let (mut seen, mut looked) = (Vec::new(), 0);
            while !stopped.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").expect("processes").flatten() {
                    let id = process.file_name().to_string_lossy().into_owned();
                    if !id.bytes().all(|b| b.is_ascii_digit()) || id == own {
                        continue;
                    }
                    let of = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
                    let command = of("cmdline");
                    looked += 1;
                    if let Some(found) = leak(&command) {
                        seen.push(format!("arguments of {}: {found}", String::from_utf8_lossy(&command)));
                    }
                    // The command that it is for may have it.
                    if let Some(found) = leak(&of("environ"))
                        && !command.windows(10).any(|window| window == b"is-granted")
                    {
                        seen.push(format!("environment of {}: {found}", String::from_utf8_lossy(&command)));
                    }
                }
            }
            (seen, looked)
        });
        Self { stop, thread }
    }

    /// What was seen.
    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let (mut seen, looked) = self.thread.join().expect("it ends");
        assert!(looked > 100, "it has looked at {looked} processes");
        seen.sort();
        seen.dedup();
        seen
    }
}

/// A server of this machine that answers with the head and the body of what it was asked.
fn echo() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
            loop {
                let count = stream.read(&mut buffer).unwrap_or(0);
                request.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let length =
                    text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
                if count == 0 || body.is_some_and(|body| body >= length.unwrap_or(0)) {
                    break;
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let first =
                text.lines().find(|line| line.starts_with("authorization")).unwrap_or_default().to_owned();
            kept.lock().expect("no panic").push(text);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nx-echo: {first}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                request.len()
            );
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.write_all(&request);
        }
    });
    (port, heard)
}

/// A file that nobody else may read.
fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}

/// A job whose plan has three secrets, each from another kind of source.
fn job(fleet: &Fleet, capabilities: &Value, calls: &Value, step: &str) -> Job {
    let mut job = Job::new(fleet, capabilities, calls, step);
    job.env.push(("SHOP_TOKEN".to_owned(), TOKEN.to_owned()));
    // Outside of the plan's folder: what is in there a step may be granted.
    let elsewhere = job.folder().join("kept");
    fs::create_dir(&elsewhere).expect("a folder");
    private(&elsewhere.join("password"), &format!("{PASSWORD}\n"));
    private(&elsewhere.join("key"), KEY);
    job.add(&format!(
        "[secrets]\ntoken = {{ env = \"SHOP_TOKEN\" }}\ndb-password = {{ file = \"../kept/password\" }}\n\
         key = {{ command = [\"cat\", {:?}] }}\n",
        elsewhere.join("key")
    ));
    job
}

/// The answers that the puppet was given, as the journal has them.
fn answers(job: &Job) -> Vec<Value> {
    let entries = job.journal().expect("a journal");
    let ended = entries.iter().find(|entry| entry["kind"] == "invocation-ended").expect("an end");
    ended["answer"]["ok"]["inline"]["answers"].as_array().unwrap_or_else(|| panic!("{ended}")).clone()
}

fn all_of(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

/// Prints what it was given in every way that a shell has, to both streams, in pieces.
const TELLTALE: &str = "is=is-granted; printf '%s\\n' \"$TOKEN\"; printf '%s' \"$TOKEN\" | cut -c1-9 | tr -d '\\n'; sleep 0.1; \
    printf '%s' \"$TOKEN\" | cut -c10-; printf 'user:%s' \"$TOKEN\" | base64; cat; env | grep TOKEN >&2; sleep 0.4";

#[test]
fn a_value_goes_where_the_plan_sends_it_and_nowhere_else() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let (port, heard) = echo();
    let origin = format!("http://127.0.0.1:{port}/");
    let capabilities = json!({
        "ssh": [
            "read:/srv/app", "write:/srv/app", "exec-read:TOKEN=* sh -c *", "exec-read:cat", "exec-read:false",
            "exec-read:sh -c *",
        ],
        "http": [format!("opaque POST {origin}")],
        "secrets": ["*"],
    });
    let basic = json!({ "name": "password", "before": "shop:", "base64": true });
    let calls = json!([
        { "call": "commands.run", "argv": ["sh", "-c", TELLTALE], "env-secret": { "TOKEN": "token" },
          "stdin-secret": "key" },
        { "call": "commands.run", "argv": ["sh", "-c", "cat >&2; exit 3"], "stdin-secret": "password" },
        { "call": "targets.write-secret", "path": "/srv/app/secret.conf",
          "secret": { "name": "password", "before": "password=", "after": "\n" } },
        { "call": "targets.write-secret", "path": "/srv/app/secret.conf",
          "secret": { "name": "password", "before": "password=", "after": "\n" } },
        { "call": "targets.stat", "path": "/srv/app/secret.conf" },
        { "call": "targets.read", "path": "/srv/app/secret.conf" },
        { "call": "targets.write-secret", "path": "/srv/app/key", "secret": "key", "mode": 0o640 },
        { "call": "http.send", "method": "POST", "url": origin, "effect": "opaque",
          "header-secret": { "authorization": basic }, "body-secret": { "name": "token", "url-encode": true } },
        { "call": "log", "message": "nothing to see" },
    ]);
    let mut job = job(
        &fleet,
        &capabilities,
        &calls,
        "secrets = { token = \"token\", password = \"db-password\", key = \"key\" }",
    );
    let temporary = job.folder().join("tmp");
    fs::create_dir(&temporary).expect("a folder");
    job.env.push(("TMPDIR".to_owned(), temporary.display().to_string()));
    // A cache of its own, so that all that is written there is of this run.
    job.env.push(("XDG_CACHE_HOME".to_owned(), job.folder().join("cache").display().to_string()));
    job.lock();
    // The environment of the program itself is whoever started it's to keep.
    let watch = Watch::begin();
    let events = job.folder().join("events.jsonl");
    let ran = job.runner(&["exec", "-v", "--diff", "--json", "--events", &events.display().to_string()]);
    let seen = watch.end();
    assert_eq!(ran.code, 0, "{ran:?}");

    // Where it was to go, it went.
    let target = fleet.host(1);
    let read = |path: &str| fs::read_to_string(target.outside(Path::new(path))).expect("a file");
    assert_eq!(read("/srv/app/secret.conf"), format!("password={PASSWORD}\n"));
    assert_eq!(read("/srv/app/key"), KEY);
    let mode = |path: &str| {
        fs::metadata(target.outside(Path::new(path))).expect("a file").permissions().mode() & 0o777
    };
    assert_eq!((mode("/srv/app/secret.conf"), mode("/srv/app/key")), (0o600, 0o640));
    let heard = heard.lock().expect("no panic").first().expect("a request").clone();
    assert!(
        heard.contains(&format!("authorization: {}", base64(format!("shop:{PASSWORD}").as_bytes()))),
        "{heard}"
    );
    assert!(heard.ends_with(&percent(TOKEN)), "{heard}");

    // What came back has it nowhere.
    let answers = answers(&job);
    let stdout = answers[0]["ok"]["stdout"].as_str().expect("text");
    assert!(stdout.starts_with("***\n***"), "whole, and in two pieces: {stdout:?}");
    assert_eq!(answers[0]["ok"]["stderr"], "TOKEN=***\n");
    assert_eq!(answers[1]["err"]["detail"], "***");
    assert_eq!(
        (&answers[2]["ok"], &answers[3]["ok"]),
        (&json!(true), &json!(false)),
        "the second changes nothing"
    );
    assert_eq!(answers[5]["ok"], "password=***\n");
    assert!(answers[7]["ok"]["body"].as_str().expect("text").contains("authorization: "), "{}", answers[7]);

    // A comparison says that a secret is different, and not even its size.
    let told = fs::read_to_string(&events).expect("events");
    let compared: Vec<serde_json::Value> = told
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .filter(|event| event.to_string().contains("\"write-secret\""))
        .collect();
    assert!(!compared.is_empty(), "{told}");
    assert!(
        compared.iter().all(|event| event.to_string().contains(r#""difference":{"is":"secret"}"#)),
        "{compared:?}"
    );

    // Nothing else has it: not what was said, not what was written, here or there, and no process shows it.
    assert_eq!(leak(all_of(&ran).as_bytes()), None, "{ran:?}");
    fs::remove_dir_all(job.folder().join("kept")).expect("the sources are not what the run wrote");
    assert_eq!(leaks_below(job.folder()), Vec::<String>::new());
    // On each target the two files that the step writes, and no other.
    for host in fleet.hosts() {
        let there = leaks_below(&host.outside(host.root()));
        let found: Vec<&str> = there.iter().filter_map(|leak| leak.split(": ").next()).collect();
        let meant = ["/srv/app/key", "/srv/app/secret.conf"].map(|path| host.outside(Path::new(path)));
        assert_eq!(found, meant.each_ref().map(|path| path.to_str().expect("UTF-8")), "{there:?}");
    }
    let own = env!("CARGO_BIN_EXE_runner");
    // What the command that was given it starts has its environment, by right.
    let by_right = |seen: &String| seen.contains(own) || seen.starts_with("environment of sleep\0");
    let seen: Vec<_> = seen.into_iter().filter(|seen| !by_right(seen)).collect();
    assert_eq!(seen, Vec::<String>::new());
}

/// Runs the job and sees that the step was refused, and told so in the journal.
fn assert_denied(job: &Job, message: &str, detail: &str) {
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    let denials = job.denials();
    assert!(
        denials.iter().any(|(said, mend)| said.contains(message) && mend.contains(detail)),
        "{message} / {detail}: {denials:?}"
    );
    assert_eq!(leak(all_of(&ran).as_bytes()), None, "{ran:?}");
}

#[test]
fn a_module_gets_no_secret_that_it_is_not_given() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let capabilities = json!({ "ssh": ["exec-read:TOKEN=* true", "write:/srv/app"], "secrets": ["*"] });
    let asks = json!([{ "call": "secrets.get", "name": "db-password", "hand-on": true }]);
    let job = job(&fleet, &capabilities, &asks, "secrets = [\"token\"]");
    job.lock();
    assert_denied(&job, "the plan does not give it to the step", "secrets = [\"db-password\"]");
}

#[test]
fn a_secret_goes_to_no_place_that_is_not_granted() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (port, heard) = echo();
    let capabilities = json!({ "ssh": ["exec-read:TOKEN=* true", "write:/srv/app/etc"], "secrets": ["*"] });
    let to = format!("http://127.0.0.1:{port}/");
    for (call, message) in [
        (
            json!({ "call": "commands.run", "argv": ["true"], "env-secret": { "LD_PRELOAD": "token" } }),
            "LD_PRELOAD",
        ),
        (json!({ "call": "commands.run", "argv": ["cat"], "stdin-secret": "token" }), "run `cat`"),
        (
            json!({ "call": "http.send", "method": "GET", "url": to, "header-secret": { "x": "token" } }),
            "send `GET",
        ),
        (
            json!({ "call": "targets.write-secret", "path": "/srv/app/other", "secret": "token" }),
            "write `/srv/app/other`",
        ),
    ] {
        let mut call = call;
        call["hand-on"] = json!(true);
        let job = job(&fleet, &capabilities, &json!([call]), "secrets = [\"token\"]");
        job.lock();
        assert_denied(&job, message, "capabilities");
    }
    assert!(heard.lock().expect("no panic").is_empty(), "nothing was sent");
}

#[test]
fn a_run_whose_secrets_are_not_all_there_does_nothing() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let calls = json!([{ "call": "targets.write", "path": "/srv/app/x", "text": "x" }]);
    let capabilities = json!({ "ssh": ["write:/srv/app"], "secrets": ["*"] });
    let mut job = job(&fleet, &capabilities, &calls, "secrets = [\"token\", \"db-password\", \"key\"]");
    job.lock();
    job.env.clear();
    let kept = job.folder().join("kept");
    fs::set_permissions(kept.join("password"), fs::Permissions::from_mode(0o640)).expect("a mode");
    fs::write(kept.join("key"), "short").expect("a file");
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    for said in [
        "3 secrets of the run cannot be fetched, and nothing was done",
        "the secret `token` (from env SHOP_TOKEN), which the step `attack` needs: the variable `SHOP_TOKEN` is not set",
        "may be read or written by others (mode 640)",
        "chmod 600",
        "its value has fewer than 6 characters",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    assert!(job.journal().is_none(), "nothing began");
    assert!(!fleet.host(1).outside(Path::new("/srv/app/x")).exists());
}

#[test]
fn a_source_that_changes_makes_the_lock_stale_and_a_policy_may_deny_it() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let capabilities = json!({ "ssh": [], "secrets": ["*"] });
    let mut job = job(&fleet, &capabilities, &json!([]), "secrets = [\"key\"]");
    job.lock();
    let lock = fs::read_to_string(job.plan().join("plan.lock")).expect("a lock");
    assert!(lock.contains("secrets = [\n  \"key from command cat "), "{lock}");
    job.policy =
        Some("policy = 1\n[environment.test]\ndeny = { secrets = [\"* from command\"] }\n".to_owned());
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("denies `* from command`"), "{ran:?}");
    job.policy = None;
    let file = job.plan().join("plan.toml");
    let plan = fs::read_to_string(&file).expect("a plan").replace("[\"cat\", ", "[\"tac\", ");
    fs::write(&file, plan).expect("a plan");
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("+ secret key from command tac"), "{ran:?}");
}
