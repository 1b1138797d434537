//! What every candidate must do, and how it must look in the journal.

use super::place::{Place, Server};
use super::{Candidate, all_the_same};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Runs a candidate, and answers what the journal says of it.
type Check = fn(&Candidate) -> Vec<Value>;

/// Everything, for all of them. A failure names the candidate.
pub(crate) fn passes(candidates: &[Candidate]) {
    let check: [(&str, Check); 9] = [
        ("it makes the service use what it wrote", writes),
        ("nothing to do is nothing done", again),
        ("what is not granted is refused", denied),
        ("a check that fails stops it before the restart", refused_by_its_check),
        ("an application that stays ill is an error", never_healthy),
        ("so is one that does not answer", unreachable),
        ("text is text", unicode),
        ("an error of the host is handed on", no_folder),
        ("a dry run lists what it would do", dry),
    ];
    for (what, run) in check {
        let did: BTreeMap<String, Vec<Value>> =
            candidates.iter().map(|candidate| (candidate.name.clone(), run(candidate))).collect();
        eprintln!("{what}: {}", did.keys().cloned().collect::<Vec<_>>().join(", "));
        all_the_same(did);
    }
}

fn settings() -> Value {
    json!({ "port": "8080", "name": "shop", "Zone": "eu" })
}

const WRITTEN: &str = "Zone = eu\nname = shop\nport = 8080\n";

/// The calls of a journal, as names.
fn calls(did: &[Value]) -> Vec<&str> {
    did.iter().filter(|entry| entry["kind"] != "outcome").filter_map(|entry| entry["call"].as_str()).collect()
}

fn outputs(did: &[Value]) -> Value {
    did.last().expect("it ended")["answer"]["ok"]["inline"].clone()
}

fn failure(did: &[Value]) -> Value {
    did.last().expect("it ended")["answer"]["failed"].clone()
}

fn writes(candidate: &Candidate) -> Vec<Value> {
    let server = Server::answers(&[503, 200]);
    let with = json!({
        "file": "{etc}/shop.conf", "settings": settings(),
        "check": ["grep", "-q", "port = 8080", "{etc}/shop.conf"],
        "unit": "shop", "health": format!("http://127.0.0.1:{}/health", server.port), "token": "health",
    });
    let place = Place::new(&candidate.bytes, &with, "");
    let ran = place.exec();
    assert_eq!(ran.code, 0, "{}: {}", candidate.name, ran.said);
    assert_eq!(place.read("etc/shop.conf").as_deref(), Some(WRITTEN), "{}", candidate.name);
    assert_eq!(place.restarts(), 1, "{}", candidate.name);
    let heads = server.heads();
    assert_eq!(heads.len(), 2, "{}: {heads:?}", candidate.name);
    assert!(
        heads.iter().all(|head| head.contains("authorization: bearer t0ken-that-nobody-sees")),
        "{heads:?}"
    );
    let did = place.did(Some(server.port));
    let expected = [
        "targets.write",
        "commands.run",
        "targets.service",
        "secrets.get",
        "http.send",
        "timer.sleep",
        "http.send",
        "targets.digest",
    ];
    assert_eq!(calls(&did), expected, "{}", candidate.name);
    let outputs = outputs(&did);
    assert_eq!((&outputs["changed"], &outputs["tries"]), (&json!(true), &json!(2)), "{}", candidate.name);
    assert!(
        did.iter().any(|entry| entry["message"] == "`{here}/etc/shop.conf` on `here`: 3 settings"),
        "{did:#?}"
    );

    // All of it again, from the record alone.
    let replayed = place.runner(&["replay"]);
    assert_eq!(replayed.code, 0, "{}: {}", candidate.name, replayed.said);
    did
}

fn again(candidate: &Candidate) -> Vec<Value> {
    let with = json!({ "file": "{etc}/shop.conf", "settings": settings(), "unit": "shop" });
    let place = Place::new(&candidate.bytes, &with, "");
    assert_eq!(place.exec().code, 0, "{}", candidate.name);
    let ran = place.exec();
    assert_eq!(ran.code, 0, "{}: {}", candidate.name, ran.said);
    assert_eq!(place.restarts(), 1, "{}: only once", candidate.name);
    let did = place.did(None);
    assert_eq!(outputs(&did)["changed"], json!(false), "{}", candidate.name);
    assert!(did.iter().all(|entry| entry["kind"] != "intent"), "{}: {did:#?}", candidate.name);
    did
}

fn denied(candidate: &Candidate) -> Vec<Value> {
    let with = json!({ "file": "{etc}/shop.conf", "settings": settings() });
    let place = Place::new(&candidate.bytes, &with, "allow = { ssh = [\"read:{etc}/shop.conf\"] }");
    let ran = place.exec();
    assert_eq!(ran.code, 4, "{}: {}", candidate.name, ran.said);
    assert_eq!(place.read("etc/shop.conf"), None, "{}", candidate.name);
    let did = place.did(None);
    assert_eq!(failure(&did)["kind"], "denied", "{}: {did:#?}", candidate.name);
    assert!(failure(&did)["detail"].as_str().is_some_and(|mend| mend.contains("write:")), "{did:#?}");
    did
}

fn refused_by_its_check(candidate: &Candidate) -> Vec<Value> {
    let with = json!({
        "file": "{etc}/shop.conf", "settings": settings(), "unit": "shop", "check": ["ls", "{etc}/nothing"],
    });
    let place = Place::new(&candidate.bytes, &with, "");
    let ran = place.exec();
    assert_eq!(ran.code, 4, "{}: {}", candidate.name, ran.said);
    assert_eq!(place.read("asked"), None, "{}: nothing is restarted", candidate.name);
    let did = place.did(None);
    assert_eq!(failure(&did)["kind"], "command-failed", "{}: {did:#?}", candidate.name);
    did
}

fn never_healthy(candidate: &Candidate) -> Vec<Value> {
    let server = Server::answers(&[503]);
    let with = json!({
        "file": "{etc}/shop.conf", "settings": {}, "tries": 2,
        "health": format!("http://127.0.0.1:{}/health", server.port),
    });
    let place = Place::new(&candidate.bytes, &with, "");
    let ran = place.exec();
    assert_eq!(ran.code, 4, "{}: {}", candidate.name, ran.said);
    let did = place.did(Some(server.port));
    let failed = failure(&did);
    assert_eq!(failed["kind"], "timeout", "{}: {did:#?}", candidate.name);
    assert_eq!(failed["message"], "`http://127.0.0.1:{port}/health` did not answer 200 (after 2 tries)");
    assert_eq!(failed["detail"], "status 503", "{}", candidate.name);
    assert_eq!(server.heads().len(), 2, "{}", candidate.name);
    did
}

fn unreachable(candidate: &Candidate) -> Vec<Value> {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let with = json!({
        "file": "{etc}/shop.conf", "settings": {}, "tries": 1, "health": format!("http://127.0.0.1:{port}/health"),
    });
    let place = Place::new(&candidate.bytes, &with, "");
    let ran = place.exec();
    assert_eq!(ran.code, 4, "{}: {}", candidate.name, ran.said);
    let did = place.did(Some(port));
    let failed = failure(&did);
    assert_eq!(failed["kind"], "timeout", "{}: {did:#?}", candidate.name);
    assert!(failed["detail"].as_str().is_some_and(|last| last.contains("refused")), "{did:#?}");
    did
}

fn unicode(candidate: &Candidate) -> Vec<Value> {
    let settings = json!({ "grüße": "☃ \"quoted\" \\ tab\there", "ärger": "", "z": "a = b", "日本": "é" });
    let with = json!({ "file": "{etc}/größe ✓.conf", "settings": settings });
    let place = Place::new(&candidate.bytes, &with, "");
    let ran = place.exec();
    assert_eq!(ran.code, 0, "{}: {}", candidate.name, ran.said);
    let written = "grüße = ☃ \"quoted\" \\ tab\there\nz = a = b\närger = \n日本 = é\n";
    assert_eq!(place.read("etc/größe ✓.conf").as_deref(), Some(written), "{}", candidate.name);
    place.did(None)
}

fn no_folder(candidate: &Candidate) -> Vec<Value> {
    let with = json!({ "file": "{etc}/deeper/shop.conf", "settings": settings() });
    let place = Place::new(&candidate.bytes, &with, "");
    let ran = place.exec();
    assert_eq!(ran.code, 4, "{}: {}", candidate.name, ran.said);
    let did = place.did(None);
    assert_eq!(failure(&did)["kind"], "not-found", "{}: {did:#?}", candidate.name);
    did
}

fn dry(candidate: &Candidate) -> Vec<Value> {
    let with = json!({ "file": "{etc}/shop.conf", "settings": settings(), "unit": "shop" });
    let place = Place::new(&candidate.bytes, &with, "");
    assert_eq!(place.runner(&["lock"]).code, 0, "{}", candidate.name);
    let ran = place.runner(&["exec", "--dry-run", "--json"]);
    assert_eq!(ran.code, 0, "{}: {}", candidate.name, ran.said);
    assert_eq!((place.read("etc/shop.conf"), place.read("asked")), (None, None), "{}", candidate.name);
    assert!(
        ran.said.contains("shop.conf") && ran.said.contains("restart"),
        "{}: {}",
        candidate.name,
        ran.said
    );
    Vec::new()
}
