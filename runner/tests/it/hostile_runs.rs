//! Hostile modules in real runs: the real program, a plan, a lock, a policy, and targets over OpenSSH. A refusal is in
//! the journal with the layer that refused and the line that mends it there, the exit code is the documented one, and
//! nothing is changed.

use crate::support::job::{Job, digest};
use runner_fleet::{Fleet, fleet_or_skip};
use runner_journal::{Answer, Entry, Payload};
use runner_model::text::is_unsafe;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// The exit codes: something failed in the run, it was refused before it began, a file that people write is wrong.
const FAILED: i32 = 4;
const REFUSED: i32 = 3;
const INVALID: i32 = 2;
/// Of an undo.
const UNDONE_IN_PART: i32 = 7;

/// One attempt at a file of the target, whose refusal the step hands on.
fn write() -> Value {
    json!([{ "call": "targets.write", "path": "/srv/app/evil", "text": "evil", "hand-on": true }])
}

fn both() -> Value {
    json!({ "ssh": ["read:/srv/app", "write:/srv/app"] })
}

/// Runs the job, and sees that the layer refused, said how that is mended, and nothing happened.
fn assert_refused(fleet: &Fleet, job: &Job, layer: &str, mend: &str) {
    let before = digest(fleet);
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, FAILED, "{ran:?}");
    let denials = job.denials();
    assert!(!denials.is_empty(), "the refusal is in the journal: {:?}", job.journal());
    for (message, detail) in denials {
        assert!(message.contains(layer), "it names the layer: {message}");
        assert!(detail.contains(mend), "it says what mends it: {detail}");
    }
    for said in [layer, mend.lines().next().unwrap_or_default()] {
        assert!(ran.stderr.contains(said) || ran.stdout.contains(said), "{said} is said: {ran:?}");
    }
    assert_eq!(digest(fleet), before, "nothing changed on the targets");
    let entries = job.journal().expect("a journal");
    assert!(entries.iter().all(|entry| entry["kind"] != "intent"), "nothing was even begun: {entries:?}");
}

#[test]
fn what_the_manifest_does_not_declare_is_refused() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let job = Job::locked(&fleet, &json!({ "ssh": ["read:/srv/app"] }), &write(), "");
    assert_refused(
        &fleet,
        &job,
        "the module's manifest does not grant it",
        "\"capabilities\": { \"ssh\": [\"write:/srv/app/evil\"] }",
    );
}

#[test]
fn what_the_step_is_not_allowed_is_refused() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let allow = "allow = { ssh = [\"read:/srv/app\"] }";
    let job = Job::locked(&fleet, &both(), &write(), allow);
    assert_refused(
        &fleet,
        &job,
        "the step's `allow` does not grant it",
        "allow = { ssh = [\"write:/srv/app/evil\"] }",
    );
}

#[test]
fn a_socket_is_spoken_to_as_granted_and_a_step_takes_nobody_out() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    // Whoever connects is written down.
    let listens = "cd /srv/app && exec socat UNIX-LISTEN:real.sock,fork,user=deploy EXEC:'tee -a said' ";
    let listener = format!(
        "su deploy -s /bin/sh -c 'touch /srv/app/said'; ({listens} >/dev/null 2>&1 & echo $! > /srv/app/listener)"
    );
    fleet.host(1).inside(&["sh", "-c", &listener]).expect("listens");
    let exchange = |path: &str, effect: &str| json!([{ "call": "sockets.exchange", "path": path, "text": "x", "effect": effect, "hand-on": true }]);
    let real = "/srv/app/real.sock";
    let reads = json!({ "ssh": [format!("socket-read:{real}")] });
    let classes = ["read", "signal", "leave", "join", "opaque"];
    let every = classes.map(|class| format!("socket-{class}:{real}"));
    let all = json!({ "ssh": every });
    for (granted, path, effect, says) in [
        (&reads, real, "signal", "the module's manifest grants it as `read` only"),
        (&reads, "/srv/app/other.sock", "read", "the module's manifest does not grant it"),
        (&all, real, "leave", "only a cluster takes targets out and puts them back"),
        (&all, real, "join", "only a cluster takes targets out and puts them back"),
        (&all, real, "change", "nothing undoes it"),
    ] {
        let job = Job::locked(&fleet, granted, &exchange(path, effect), "");
        let ran = job.runner(&["exec"]);
        assert_eq!(ran.code, FAILED, "{effect}: {ran:?}");
        assert!(ran.stderr.contains(says), "{effect}: {ran:?}");
        let entries = job.journal().expect("a journal");
        assert!(entries.iter().all(|entry| entry["kind"] != "intent"), "{effect}: {entries:?}");
    }
    let said = || std::fs::read_to_string(fleet.host(1).outside("/srv/app/said")).expect("it listens");
    assert_eq!(said(), "", "nobody spoke to it");
    fleet.host(1).inside(&["sh", "-c", "kill $(cat /srv/app/listener)"]).expect("ended");
}

#[test]
fn no_step_writes_to_a_machine_before_the_run_has_its_lock() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let capabilities = json!({ "ssh": ["write:/srv/app", "target:web-1"] });
    let job = Job::new(&fleet, &capabilities, &json!([]), "");
    // It runs here, before any target is touched, and reaches for one.
    job.add(
        "[[prepare]]\nid = \"early\"\nuses = \"puppet\"\nonce = true\n\
         with = { do = [{ call = \"targets.write\", on = \"web-1\", path = \"/srv/app/evil\", text = \"evil\", hand-on = true }] }",
    );
    job.lock();
    let held = "mkdir -p -m 700 /srv/app/.runner/lock/1; cd /srv/app/.runner/lock/1; echo 99999999999 > until
        printf '{\"since\":1,\"who\":\"bob\",\"run\":\"run-1\",\"plan\":\"p\",\"reason\":null}\\n' > holder";
    fleet.host(1).inside(&["su", "deploy", "-s", "/bin/sh", "-c", held]).expect("locked");
    let before = digest(&fleet);
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, REFUSED, "{ran:?}");
    assert!(ran.stderr.contains("web-1 is locked by bob"), "{ran:?}");
    assert_eq!(digest(&fleet), before, "nothing changed on the targets");
    fleet.host(1).inside(&["rm", "-r", "/srv/app/.runner/lock"]).expect("unlocked");
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_ne!(digest(&fleet), before);
}

#[test]
fn what_the_operator_does_not_allow_does_not_begin() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let before = digest(&fleet);
    let mut job = Job::locked(&fleet, &both(), &write(), "");
    job.policy = Some("policy = 1\n[environment.test]\nallow = { ssh = [\"read:/srv/app\"] }\n".to_owned());
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, REFUSED, "{ran:?}");
    for said in [
        "`write:/srv/app`: the operator's policy for `test` does not grant it",
        "allow = { ssh = [\"write:/srv/app\"] }",
    ] {
        assert!(ran.stderr.contains(said), "{said} is said: {ran:?}");
    }
    assert!(job.journal().is_none(), "nothing ran");
    assert_eq!(digest(&fleet), before, "nothing changed on the targets");
}

#[test]
fn what_the_operator_denies_is_refused() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let mut job = Job::locked(&fleet, &both(), &write(), "");
    // A part of what the step may have: that is only seen when it asks for it.
    job.policy =
        Some("policy = 1\n[environment.\"*\"]\ndeny = { ssh = [\"write:/srv/app/evil\"] }\n".to_owned());
    assert_refused(
        &fleet,
        &job,
        "the operator's policy for `test` denies `write:/srv/app/evil`",
        "only the operator can take `write:/srv/app/evil` out of `deny`",
    );
}

#[test]
fn what_the_lock_did_not_accept_does_not_begin() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let before = digest(&fleet);
    let refused = |job: &Job, code: i32, why: &str| {
        let ran = job.runner(&["exec"]);
        assert_eq!(ran.code, code, "{why}: {ran:?}");
        assert!(ran.stderr.contains("runner lock"), "{why}: it says the command: {ran:?}");
        assert!(job.journal().is_none(), "{why}: nothing ran");
    };
    refused(&Job::new(&fleet, &both(), &write(), ""), REFUSED, "no lock");

    let job = Job::locked(&fleet, &both(), &write(), "");
    let lock = job.plan().join("plan.lock");
    let text = std::fs::read_to_string(&lock).expect("a lock");
    assert!(text.contains("write:/srv/app"), "{text}");
    std::fs::write(&lock, text.replace("write:/srv/app", "write:/srv/other")).expect("edited");
    refused(&job, INVALID, "a lock that was changed by hand");

    let job = Job::locked(&fleet, &json!({ "ssh": ["read:/srv/app"] }), &write(), "");
    let swapped = crate::support::puppet_with(&both());
    std::fs::write(job.plan().join("puppet.wasm"), swapped).expect("another module");
    refused(&job, REFUSED, "a module that was swapped after the lock");

    let mut job = Job::locked(&fleet, &both(), &write(), "");
    job.policy = Some("policy = 1\n[environment.production]\n".to_owned());
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, REFUSED, "{ran:?}");
    assert!(ran.stderr.contains("does not speak of the environment `test`"), "{ran:?}");
    assert_eq!(digest(&fleet), before, "nothing changed on the targets");
}

#[test]
fn the_same_plan_with_every_layer_in_favour_writes() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let mut job = Job::locked(&fleet, &both(), &write(), "");
    job.policy = Some(
        "policy = 1\n[environment.test]\nallow = { ssh = [\"read:/srv\", \"write:/srv\"] }\n".to_owned(),
    );
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let written = fleet.host(1).outside("/srv/app/evil");
    assert_eq!(std::fs::read_to_string(written).expect("written"), "evil");
}

/// Nothing in the text does something to a terminal.
fn assert_harmless(what: &str, text: &str) {
    let found = text.lines().find(|line| line.contains(is_unsafe));
    assert!(found.is_none(), "{what}: {found:?}");
}

#[test]
fn terminal_escapes_are_written_out_wherever_a_step_can_put_them() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let evil = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}txt\u{9b}31m\r";
    fleet.host(1).put(&format!("{evil}-name"), "x").expect("a file");
    let calls = json!([
        { "call": "log", "message": format!("{evil}-line") },
        { "call": "log.error", "message": format!("{evil}-error") },
        { "call": "log.progress", "done": 1, "total": 2, "what": format!("{evil}-unit") },
        { "call": "commands.run", "argv": ["printf", "%b", "\\033[2J\\033]0;owned\\007out\\n"] },
        { "call": "targets.read-dir", "path": "/srv/app" },
        { "call": "targets.read", "path": format!("/srv/app/{evil}-missing") },
        { "call": "targets.read", "path": "/srv/app/\u{202e}missing" },
        { "call": "fail", "message": format!("{evil}-message"), "detail": format!("{evil}-detail\nsecond") },
    ]);
    let capabilities = json!({ "ssh": ["read:/srv/app", "exec-read:printf %b *"] });
    for json in [false, true] {
        let job = Job::locked(&fleet, &capabilities, &calls, "");
        let events = job.plan().join("events.jsonl");
        let events_option = events.to_string_lossy().into_owned();
        let mut arguments = vec!["exec", "-v", "--events", &events_option];
        arguments.extend(json.then_some("--json"));
        let ran = job.runner(&arguments);
        assert_eq!(ran.code, FAILED, "{ran:?}");
        let events = std::fs::read_to_string(events).expect("events");
        for (what, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr), ("events", &events)] {
            assert_harmless(what, text);
        }
        for part in ["-line", "-error", "-message", "-detail", "out"] {
            assert!(events.contains(part), "{part} is in the events");
            let shown = ran.stdout.contains(part) || ran.stderr.contains(part);
            assert!(shown || json, "{part} is shown: {ran:?}");
        }
        if json {
            let document: Value = serde_json::from_str(&ran.stdout).expect("one JSON document");
            assert!(document.to_string().contains("-message"), "{document}");
        }
    }
}

#[test]
fn what_a_record_says_was_granted_is_asked_again() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let before = digest(&fleet);
    let forged = [
        (
            json!({ "call": "targets.write", "on": "web-2", "path": "/srv/app/evil", "text": "evil" }),
            ("targets.named", json!("web-2")),
            "the target `web-2`",
        ),
        (
            json!({ "call": "targets.write-secret", "path": "/srv/app/evil", "secret": "token" }),
            ("secrets.get", json!({ "parts": [{ "named": "token" }] })),
            "token",
        ),
        (
            json!({ "call": "commands.run", "argv": ["cat"], "effect": "opaque", "stdin-secret": "token" }),
            ("secrets.get", json!({ "parts": [{ "named": "token" }] })),
            "token",
        ),
    ];
    for (call, (name, granted), says) in forged {
        let capabilities = json!({ "ssh": ["write:/srv/app", "exec-opaque:cat"], "secrets": ["*"] });
        let mut job = Job::new(&fleet, &capabilities, &json!([call]), "");
        job.add("[[rollout]]\nid = \"given\"\nuses = \"puppet\"\nsecrets = [\"token\"]\nwith = { do = [] }");
        job.add("[secrets]\ntoken = { env = \"THE_TOKEN\" }");
        job.env.push(("THE_TOKEN".to_owned(), "correct-horse".to_owned()));
        let inventory = job.plan().join("fleet.toml");
        let text = std::fs::read_to_string(&inventory).expect("an inventory");
        let (first, second) = text.split_once("[target.web-2]").expect("a second host");
        let second = second.replacen("\"web\"", "\"db\"", 1);
        std::fs::write(&inventory, format!("{first}[target.web-2]{second}")).expect("an inventory");
        job.lock();
        let ran = job.runner(&["exec"]);
        assert_eq!(ran.code, 0, "the step lists its errors: {ran:?}");
        assert_eq!(job.denials().len(), 1, "{:?}", job.denials());
        job.forge(true, |entry| match entry {
            Entry::Call { call, answer, .. } if call == name => {
                *answer = Answer::Ok(Payload::Inline(granted.clone()));
                true
            }
            _ => false,
        });
        let ran = job.runner(&["resume", "--plan"]);
        assert_eq!(ran.code, 0, "the step lists its errors: {ran:?}");
        let denials = job.denials();
        assert!(denials.len() == 1 && denials[0].0.contains(says), "{denials:?}");
    }
    assert_eq!(digest(&fleet), before, "nothing changed on the targets");
}

/// The paths that a server was asked for, and the user of this machine who connected.
type Seen = Arc<Mutex<Vec<(String, u32)>>>;

/// A server that keeps what it was asked for.
fn server() -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let owner = owner_of(stream.peer_addr().expect("connected").port(), port);
            let mut head = [0; 8192];
            let count = stream.read(&mut head).unwrap_or(0);
            let path = String::from_utf8_lossy(&head[..count]).split(' ').nth(1).unwrap_or("").to_owned();
            let answer = match path.as_str() {
                "/away" => format!(
                    "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/evil\r\ncontent-length: 0\r\n\r\n"
                ),
                _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_owned(),
            };
            kept.lock().expect("no panic").push((path, owner));
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, seen)
}

/// The user whose socket has this port of this machine and is connected to that one: a port may serve several
/// connections, and those that are gone belong to nobody.
fn owner_of(port: u16, to: u16) -> u32 {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("sockets");
    let (port, to) = (format!(":{port:04X}"), format!(":{to:04X}"));
    let mut lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words[1].ends_with(&port) && words[2].ends_with(&to));
    let line = line.expect("it is connected");
    line[7].parse().expect("a user id")
}

#[test]
fn requests_go_through_the_target_only_when_granted_and_no_redirect_is_followed() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (port, seen) = server();
    let origin = format!("http://127.0.0.1:{port}");
    let get = |path: &str, via: bool| {
        let mut call = json!({ "call": "http.send", "method": "GET", "url": format!("{origin}{path}") });
        if via {
            call["via"] = json!(true);
        }
        call
    };
    // Each is granted one way, and tries the other too.
    let calls = json!([
        get("/here", false),
        get("/there", true),
        get("/away", false),
        get("/away", true),
        get("/evil", false)
    ]);
    let grant = |suffix: &str| {
        json!({ "http": [format!("GET {origin}/here{suffix}"), format!("GET {origin}/there{suffix}"),
                         format!("GET {origin}/away{suffix}")] })
    };
    for (suffix, paths) in [("", ["/here", "/away"]), (" from target", ["/there", "/away"])] {
        let job = Job::locked(&fleet, &grant(suffix), &calls, "");
        let ran = job.runner(&["exec"]);
        assert_eq!(ran.code, 0, "the step lists its errors: {ran:?}");
        let seen: Vec<_> = std::mem::take(&mut *seen.lock().expect("no panic"));
        assert_eq!(seen.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), paths, "{seen:?}");
        let denials = job.denials();
        assert_eq!(denials.len(), 3, "{denials:?}");
        if fleet.isolated() {
            let deploy = fleet.host(1).root();
            let deploy = std::os::unix::fs::MetadataExt::uid(
                &std::fs::metadata(fleet.host(1).outside(deploy)).expect("it is there"),
            );
            let wanted = if suffix.is_empty() { rustix::process::geteuid().as_raw() } else { deploy };
            assert!(seen.iter().all(|(_, owner)| *owner == wanted), "who connected: {seen:?}, not {wanted}");
        }
    }
}

#[test]
fn what_undoes_is_sent_and_written_only_where_that_is_granted() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (port, seen) = server();
    let origin = format!("http://127.0.0.1:{port}");
    let undo = json!({ "method": "DELETE", "url": format!("{origin}/one/undone"), "effect": "change" });
    let calls = json!([
        { "call": "workspace.write", "path": "made.txt", "text": "new" },
        { "call": "http.send", "method": "POST", "url": format!("{origin}/one"), "effect": "change", "undo": undo },
        { "call": "fail", "message": "not this time" }
    ]);
    let capabilities = json!({
        "http": [format!("change POST {origin}/one"), format!("change DELETE {origin}/one")],
        "files": ["write:made.txt"],
    });
    let job = Job::locked(&fleet, &capabilities, &calls, "");
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, FAILED, "{ran:?}");
    let theirs = job.plan().join("theirs.txt");
    std::fs::write(&theirs, "new").expect("a file");
    job.forge(false, |entry| {
        let text = serde_json::to_string(entry).expect("JSON");
        let forged = text.replace("/one/undone", "/evil").replace("made.txt", "theirs.txt");
        *entry = serde_json::from_str(&forged).expect("an entry");
        forged != text
    });
    let undone = job.runner(&["resume", "--undo", "--plan"]);
    assert_eq!(undone.code, UNDONE_IN_PART, "{undone:?}");
    let refused = undone.stdout.lines().filter(|line| line.contains("it may not be done by the runner"));
    assert_eq!(refused.count(), 2, "{undone:?}");
    let seen: Vec<_> = seen.lock().expect("no panic").iter().map(|(path, _)| path.clone()).collect();
    assert_eq!((seen, theirs.exists()), (vec!["/one".to_owned()], true), "{undone:?}");
}

#[test]
fn requests_and_files_beside_the_plan_are_undone_where_that_is_granted() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (port, seen) = server();
    let origin = format!("http://127.0.0.1:{port}");
    let post = |to: &str| {
        let undo = json!({ "method": "DELETE", "url": format!("{origin}{to}/undone"), "effect": "change" });
        json!({ "call": "http.send", "method": "POST", "url": format!("{origin}{to}"), "effect": "change", "undo": undo })
    };
    let save = |name: &str| json!({ "call": "workspace.write", "path": name, "text": "new" });
    let calls = json!([
        save("made.txt"),
        save("kept.txt"),
        save("theirs.txt"),
        post("/one"),
        post("/two"),
        { "call": "fail", "message": "not this time" }
    ]);
    let capabilities = json!({
        "http": [format!("change POST {origin}/"), format!("change DELETE {origin}/one"),
                 format!("change DELETE {origin}/two")],
        "files": ["write:made.txt", "write:kept.txt", "write:theirs.txt"],
    });
    let job = Job::new(&fleet, &capabilities, &calls, "");
    let file = |name: &str| job.plan().join(name);
    for name in ["kept.txt", "theirs.txt"] {
        std::fs::write(file(name), "old").expect("a file");
    }
    job.lock();
    let ran = job.runner(&["exec"]);
    assert_eq!(ran.code, FAILED, "{ran:?}");
    let asked = || {
        let seen = std::mem::take(&mut *seen.lock().expect("no panic"));
        seen.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(asked(), ["/one", "/two"]);
    std::fs::write(file("theirs.txt"), "by hand").expect("a file");

    let undone = job.runner(&["resume", "--undo", "--plan"]);
    assert_eq!(undone.code, UNDONE_IN_PART, "{undone:?}");
    let left = undone.stdout.lines().find(|line| line.contains("write theirs.txt"));
    assert!(left.is_some_and(|line| line.contains("(conflict): left alone")), "{undone:?}");
    assert_eq!(asked(), ["/two/undone", "/one/undone"], "backwards, and each once");
    assert!(!file("made.txt").exists());
    let read = |name: &str| std::fs::read_to_string(file(name)).expect("a file");
    assert_eq!((read("kept.txt").as_str(), read("theirs.txt").as_str()), ("old", "by hand"));

    // What is done is done: only the rest is undone again.
    std::fs::write(file("theirs.txt"), "new").expect("a file");
    let undone = job.runner(&["resume", "--undo", "--plan"]);
    assert_eq!((undone.code, read("theirs.txt").as_str()), (0, "old"), "{undone:?}");
    assert_eq!(asked(), [""; 0]);
}

#[test]
fn a_request_is_what_its_grant_says_however_it_is_written() {
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (port, seen) = server();
    let calls: Vec<Value> = [
        ("GET", "http://127.0.0.1:{port}/evil", "read"),
        ("GET", "http://127.0.0.1:{port}/here/../evil", "read"),
        ("GET", "http://127.0.0.1:{port}/here/%2e%2e/evil", "read"),
        ("GET", "http://127.0.0.1:{port}/here/..%2fevil", "read"),
        ("GET", "http://127.0.0.1:{port}/here/..;/evil", "read"),
        ("GET", "http://127.0.0.1:{port}\\evil", "read"),
        ("GET", "http://127.0.0.1:{port}/hereafter", "read"),
        ("GET", "http://user@127.0.0.1:{port}/here", "read"),
        ("GET", "http://shop.example.org@127.0.0.1:{port}/evil", "read"),
        ("GET", "http://0x7f.1:{port}/evil", "read"),
        ("GET", "http://2130706433:{port}/evil", "read"),
        ("GET", "http://localhost:{port}/here", "read"),
        ("GET", "http://[::1]:{port}/here", "read"),
        ("GET", "file:///etc/passwd", "read"),
        ("GET", "unix:/run/docker.sock", "read"),
        ("POST", "http://127.0.0.1:{port}/here", "read"),
        ("POST", "http://127.0.0.1:{port}/here", "opaque"),
        ("GET", "http://127.0.0.1:{port}/here", "opaque"),
        ("GET\r\nX: y", "http://127.0.0.1:{port}/here", "read"),
        ("POST", "http://127.0.0.1:{port}/told", "opaque"),
    ]
    .into_iter()
    .map(|(method, url, effect)| {
        let url = url.replace("{port}", &port.to_string());
        json!({ "call": "http.send", "method": method, "url": url, "effect": effect })
    })
    .collect();
    let count = calls.len();
    let capabilities = json!({ "http": [
        format!("GET http://127.0.0.1:{port}/here"), format!("signal POST http://127.0.0.1:{port}/told"),
    ] });
    for via in [false, true] {
        let mut calls = calls.clone();
        if via {
            calls.iter_mut().for_each(|call| call["via"] = json!(true));
        }
        let job = Job::locked(&fleet, &capabilities, &calls.into(), "");
        let ran = job.runner(&["exec"]);
        assert_eq!(ran.code, 0, "the step lists its errors: {ran:?}");
        let entries = job.journal().expect("a journal");
        let kinds: Vec<_> = entries
            .iter()
            .filter(|entry| entry["kind"] == "call")
            .map(|entry| entry["answer"]["failed"]["kind"].as_str().unwrap_or("ok"))
            .collect();
        assert_eq!(kinds.len(), count, "each is in the journal: {entries:?}");
        assert!(kinds.iter().all(|kind| ["denied", "invalid"].contains(kind)), "{kinds:?}: {entries:?}");
        assert!(kinds.iter().filter(|kind| **kind == "denied").count() > count / 2, "{kinds:?}");
        assert!(entries.iter().all(|entry| entry["kind"] != "intent"), "{entries:?}");
    }
    let seen = seen.lock().expect("no panic");
    assert!(seen.is_empty(), "nobody was asked: {seen:?}");
}

#[test]
fn a_step_that_misbehaves_ends_alone_and_changes_nothing() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let before = digest(&fleet);
    let limits = "limits = { memory = \"32MiB\", fuel = 50000000, log = \"64KiB\", time = \"20s\" }";
    for (call, says) in [
        (json!({ "call": "misbehave.eat" }), "memory"),
        (json!({ "call": "misbehave.spin" }), "fuel"),
        (json!({ "call": "misbehave.recurse" }), "recursion"),
        (json!({ "call": "misbehave.panic", "message": "\u{1b}[2Jgone" }), "aborted"),
        (json!({ "call": "log", "message": { "xs": 1000 }, "times": 1000 }), "log"),
        (json!({ "call": "misbehave.hold-commands", "times": 1000 }), "commands and requests"),
        (json!({ "call": "misbehave.hold-targets", "times": 1000000 }), "handles"),
    ] {
        let job = Job::locked(&fleet, &both(), &json!([call]), limits);
        let ran = job.runner(&["exec"]);
        assert_eq!(ran.code, FAILED, "{call}: {ran:?}");
        assert_harmless("stdout", &ran.stdout);
        assert_harmless("stderr", &ran.stderr);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("step `attack`") || said.contains("attack"), "it names the step: {said}");
        eprintln!("{call}: {}", said.lines().find(|line| line.contains(says)).unwrap_or("?").trim());
        assert!(said.contains(says), "{call}: it says {says}: {said}");
        assert!(said.len() < 512 * 1024, "{call}: {} bytes were said", said.len());
    }
    assert_eq!(digest(&fleet), before, "nothing changed on the targets");
}

/// All below `/srv`, what the runner keeps there too, with the times of every change of it.
fn every_byte(fleet: &Fleet) -> Vec<String> {
    let script = "cd /srv && find . -printf '%p %y %i %m %U %G %s %l %T@ %C@\\n' | sort";
    let listed =
        fleet.hosts().iter().map(|host| host.inside(&["sh", "-c", script]).expect("it can be listed"));
    listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).collect()
}

#[test]
fn a_dry_run_changes_no_byte_whatever_a_module_is_granted() {
    let fleet = fleet_or_skip!(Fleet::start(2));
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", server.local_addr().expect("an address"));
    let capabilities = json!({
        "ssh": [
            "read:/srv", "write:/srv", "service:nginx restart", "exec-opaque:**", "exec-signal:**", "exec-change:**",
            "exec-read:**", "target:web-2",
        ],
        "http": [format!("opaque POST {url}"), format!("signal PUT {url}")],
        "files": ["write:app", "read:app"],
    });
    let touch = |effect: &str| json!({ "call": "commands.run", "argv": ["touch", format!("/srv/app/{effect}")], "effect": effect, "undo": { "argv": ["true"], "effect": effect } });
    // Each of them works when it is granted and the run is a real one; the last ones would see what was not done.
    let calls = json!([
        { "call": "targets.write", "path": "/srv/app/evil", "text": "evil" },
        { "call": "targets.read", "path": "/srv/app/evil" },
        { "call": "targets.mkdir", "path": "/srv/app/deep/er" },
        { "call": "targets.symlink", "path": "/srv/app/link", "points-to": "/etc" },
        { "call": "targets.write", "path": "/srv/app/link/evil", "text": "evil" },
        { "call": "targets.rename", "path": "/srv/app/victim", "to": "/srv/app/moved" },
        { "call": "targets.set-attributes", "path": "/srv/app/moved", "mode": 511 },
        { "call": "targets.remove", "path": "/srv/app/moved" },
        { "call": "targets.remove-tree", "path": "/srv/app/folder" },
        { "call": "targets.write", "path": "/srv/app/evil", "text": "evil", "on": "web-2" },
        { "call": "workspace.write", "path": "app/evil", "text": "evil" },
        touch("opaque"), touch("signal"), touch("change"),
        { "call": "targets.service", "unit": "nginx", "action": "restart" },
        { "call": "http.send", "method": "POST", "url": url, "effect": "opaque" },
        { "call": "http.send", "method": "PUT", "url": url, "effect": "signal" },
        touch("read"),
    ]);
    let job = Job::new(&fleet, &capabilities, &calls, "");
    for host in fleet.hosts() {
        host.put("victim", "whole").expect("written");
        host.put("folder/file", "whole").expect("written");
    }
    job.lock();
    let before = every_byte(&fleet);
    let ran = job.runner(&["exec", "--dry-run", "--json"]);
    assert_eq!(every_byte(&fleet), before, "{ran:?}");
    assert!(!job.plan().join("app/evil").exists() && job.journal().is_none(), "{ran:?}");
    server.set_nonblocking(true).expect("a socket");
    assert!(server.accept().is_err(), "nothing was sent");
    let list: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let told = list["targets"].to_string();
    for part in [
        "/srv/app/evil",
        "\"verb\":\"rename\"",
        "\"verb\":\"remove-tree\"",
        "touch /srv/app/opaque",
        "\"unit\":\"nginx\"",
        "\"method\":\"POST\"",
        "\"unknown\"",
    ] {
        assert!(told.contains(part), "it does not tell of {part}: {told}");
    }
}
