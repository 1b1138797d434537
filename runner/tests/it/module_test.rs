//! `runner module test`: a step in the real sandbox, with a machine that the test makes up. What a step must do shows, what
//! it forgets shows, and a hostile one gets nothing of the machine that it is tested on.

use crate::support::puppet_with;
use runner::module::compile::Compiler;
use runner::module::describe::Descriptions;
use runner::module::load::Loader;
use runner::module::source::Source;
use runner::sandbox::engine;
use runner::trial::sweep::Row;
use runner::trial::{Bench, Verdict, Wrong};
use runner_model::trial::Trial;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

static ENGINE: LazyLock<wasmtime::Engine> = LazyLock::new(|| engine::engine().expect("an engine"));
static BENCHES: LazyLock<Mutex<BTreeMap<String, Arc<Bench>>>> = LazyLock::new(Mutex::default);

fn bench(bytes: &[u8]) -> Bench {
    let loader = Loader::new(Compiler::without_cache(&ENGINE), Descriptions::without_cache());
    let module =
        loader.load_bytes(bytes, runner_model::Digest::of(bytes)).unwrap_or_else(|error| panic!("{error}"));
    Bench::new(&ENGINE, module).unwrap_or_else(|failure| panic!("{failure}"))
}

/// A standard module, compiled once.
fn standard(name: &str) -> Arc<Bench> {
    let mut benches = BENCHES.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Arc::new(bench(&Source::builtin(name).expect("it is there").bytes));
    Arc::clone(benches.entry(name.to_owned()).or_insert_with(new))
}

fn trial(text: &str) -> Trial {
    Trial::parse("tests/it.toml", text.as_bytes()).unwrap_or_else(|problems| panic!("{}", problems.plain()))
}

async fn run(bench: &Bench, text: &str) -> Verdict {
    bench.run(&trial(text)).await.unwrap_or_else(|problems| panic!("{}", problems.plain()))
}

async fn passes(bench: &Bench, text: &str) -> Verdict {
    let verdict = run(bench, text).await;
    assert_eq!(verdict.wrong, [], "{:?}", verdict.calls);
    verdict
}

async fn fails(bench: &Bench, text: &str) -> Vec<Wrong> {
    let verdict = run(bench, text).await;
    assert!(!verdict.wrong.is_empty(), "{:?}", verdict.calls);
    verdict.wrong
}

const CONFIG: &str = r#"
with = { files = [{ path = "/etc/app.conf", content = "port = 8080\n", mode = "0640" }] }

[target]
files = { "/etc/app.conf" = "port = 80\n" }

[expect]
outputs = { changed = true, paths = ["/etc/app.conf"] }
calls = ["targets.write /etc/app.conf"]
files = { "/etc/app.conf" = { text = "port = 8080\n", mode = 0o640, owner = "deploy" } }
log = ["wrote `/etc/app.conf`"]
again = "unchanged"
"#;

#[tokio::test]
async fn a_step_that_does_what_it_should_passes() {
    passes(&standard("files"), CONFIG).await;
}

#[tokio::test]
async fn what_is_not_as_expected_is_told_with_both_sides_and_its_place() {
    let text =
        CONFIG.replace("text = \"port = 8080\\n\", mode = 0o640", "text = \"port = 9090\\n\", mode = 0o600");
    let text = text
        .replace("calls = [\"targets.write /etc/app.conf\"]", "calls = [\"targets.remove /etc/app.conf\"]");
    let wrong = fails(&standard("files"), &text).await;
    let told: Vec<_> = wrong.iter().map(|wrong| (wrong.expected.as_str(), wrong.found.as_str())).collect();
    assert_eq!(
        told,
        [
            ("targets.remove /etc/app.conf", "targets.write /etc/app.conf"),
            ("port = 9090\n", "port = 8080\n"),
            ("mode 0600", "mode 0640"),
        ]
    );
    assert!(wrong.iter().all(|wrong| wrong.span.is_some()));
}

#[tokio::test]
async fn what_the_test_does_not_say_ends_it_with_the_lines_to_add() {
    let text = "with = { unit = \"nginx\", when = \"always\" }\n[expect]\noutputs = { signalled = true, reason = \"always\" }\n";
    let wrong = fails(&standard("restart"), text).await;
    assert_eq!(wrong[0].what, "the test does not say how the unit `nginx` is");
    assert_eq!(wrong[0].mend, "[target]\nservices = { \"nginx\" = \"active\" }\n");
    let text = "with = { url = \"http://127.0.0.1/\" }\n[expect]\noutputs = { tries = 1, status = 200 }\n";
    let wrong = fails(&standard("smoke-test"), text).await;
    assert_eq!(wrong[0].what, "the test does not say what `GET http://127.0.0.1/` is answered with");
    assert!(
        wrong[0].mend.starts_with("[[request]]\nmethod = \"GET\"\nurl = \"http://127.0.0.1/\"\n"),
        "{}",
        wrong[0].mend
    );
}

#[tokio::test]
async fn answers_come_in_order_and_sleeps_take_no_time() {
    let text = r#"
with = { url = "http://127.0.0.1/", deadline = "1h", interval = "10m" }
[[request]]
url = "http://127.0.0.1/"
status = 503
[[request]]
url = "http://127.0.0.1/"
status = 503
[[request]]
url = "http://127.0.0.1/"
[expect]
outputs = { tries = 3, status = 200 }
"#;
    passes(&standard("smoke-test"), text).await;
    // It never becomes well: an hour of trying is over at once.
    let never = text.split("[[request]]\nurl = \"http://127.0.0.1/\"\n[expect]").next().expect("a part");
    let never = format!("{never}[expect]\nerror = {{ message = \"503\" }}\n");
    passes(&standard("smoke-test"), &never).await;
}

#[tokio::test]
async fn an_answer_that_nobody_asks_for_is_wrong() {
    let text = CONFIG.replace("[expect]", "[[command]]\nargv = [\"nginx\", \"-t\"]\n[expect]");
    let wrong = fails(&standard("files"), &text).await;
    assert_eq!(wrong[0].what, "the step never ran `nginx -t`");
}

#[tokio::test]
async fn a_grant_that_is_missing_is_a_denial_here_already() {
    let text = CONFIG.replace("[target]", "allow = { ssh = [\"write:/etc/other.conf\"] }\n[target]");
    let text = text.split("[expect]").next().expect("a part").to_owned();
    passes(
        &standard("files"),
        &format!("{text}[expect]\nerror = {{ kind = \"denied\", message = \"allow\" }}\n"),
    )
    .await;
    // And the step's own capabilities are all that it has.
    let puppet = bench(&puppet_with(&json!({ "ssh": ["read:/etc"] })));
    let calls =
        "with = { do = [{ call = \"targets.write\", path = \"/etc/a\", text = \"x\", hand-on = true }] }\n";
    let text = format!(
        "{calls}[target]\nfolders = [\"/etc\"]\n[expect]\nerror = {{ kind = \"denied\" }}\nabsent = [\"/etc/a\"]\n"
    );
    passes(&puppet, &text).await;
}

#[tokio::test]
async fn wrong_parameters_are_a_problem_of_the_test_with_its_place() {
    let wrong = trial("with = { files = [{ path = 7, content = \"\" }] }\n[expect]\n");
    let problems = standard("files").run(&wrong).await.expect_err("no path");
    assert!(problems.plain().contains("tests/it.toml:1:"), "{}", problems.plain());
}

#[tokio::test]
async fn a_fault_comes_where_it_is_said_and_nowhere_else() {
    let fault =
        "[[fault]]\ncall = \"targets.write\"\nkind = \"conflict\"\nmessage = \"no space\"\n[expect]\n";
    let text = CONFIG.split("[expect]").next().expect("a part");
    let expect = "error = { kind = \"conflict\", message = \"no space\" }\ncalls = []\nfiles = { \"/etc/app.conf\" = \"port = 80\\n\" }\n";
    passes(&standard("files"), &format!("{text}{fault}{expect}")).await;
    let later = fault.replace("kind", "nth = 2\nkind");
    let wrong = fails(
        &standard("files"),
        &format!("{text}{later}outputs = {{ changed = true, paths = [\"/etc/app.conf\"] }}\n"),
    )
    .await;
    assert_eq!(wrong[0].what, "the fault at call 2 of `targets.write` did not happen");
}

async fn sweep(bench: &Bench, text: &str) -> Vec<Row> {
    let swept = bench.sweep(&trial(text)).await.unwrap_or_else(|problems| panic!("{}", problems.plain()));
    swept.expect("it ends well")
}

#[tokio::test]
async fn a_sweep_finds_nothing_wrong_with_the_standard_modules() {
    let restart = "with = { unit = \"nginx\", when = \"always\" }\n[target]\nservices = { nginx = \"active\" }\n\
                   [expect]\ncalls = [\"targets.service nginx restart\"]\n";
    for (name, text) in [("files", CONFIG), ("restart", restart)] {
        passes(&standard(name), text).await;
        let rows = sweep(&standard(name), text).await;
        let wrong: Vec<_> = rows.iter().filter(|row| !row.wrong.is_empty()).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
        for fault in ["unreachable", "answer lost", "cancelled"] {
            assert!(rows.iter().any(|row| row.fault == fault), "{name}: no {fault}");
        }
    }
}

#[tokio::test]
async fn a_sweep_finds_a_step_that_swallows_errors() {
    let puppet = bench(&puppet_with(&json!({ "ssh": ["write:/etc"] })));
    let text = "with = { do = [{ call = \"targets.write\", path = \"/etc/a\", text = \"x\" }] }\n[target]\nfolders = [\"/etc\"]\n[expect]\n";
    passes(&puppet, text).await;
    let rows = sweep(&puppet, text).await;
    let gone = rows.iter().find(|row| row.fault == "unreachable").expect("a fault");
    assert!(gone.wrong.starts_with("it ended well although the call failed"), "{}", gone.wrong);
    let panics = "with = { do = [{ call = \"targets.write\", path = \"/etc/a\", text = \"x\", hand-on = true }] }\n[target]\nfolders = [\"/etc\"]\n[expect]\n";
    assert!(sweep(&puppet, panics).await.iter().all(|row| row.wrong.is_empty()));
}

#[tokio::test]
async fn a_secret_is_put_in_by_the_host_and_masked_everywhere_else() {
    let puppet =
        bench(&puppet_with(&json!({ "ssh": ["write:/etc", "exec-read:cat"], "secrets": ["token"] })));
    let text = r#"
with = { do = [
  { call = "targets.write-secret", secret = "token", path = "/etc/token", hand-on = true },
  { call = "targets.read", path = "/etc/token", hand-on = true },
] }
secrets = { token = "correct horse" }
[target]
folders = ["/etc"]
[expect]
files = { "/etc/token" = { text = "correct horse", mode = 0o600 } }
"#;
    let verdict = run(&puppet, text).await;
    let told = format!("{verdict:?}");
    assert!(!told.contains("correct horse"), "{told}");
}

#[tokio::test]
async fn a_hostile_module_gets_nothing_of_this_machine() {
    let everything = json!({
        "ssh": ["read:/", "write:/"], "files": ["read:.", "write:."], "http": ["GET http://127.0.0.1", "GET http://example.org"],
    });
    let puppet = bench(&puppet_with(&everything));
    let place = tempfile::tempdir().expect("a folder");
    let mine = place.path().join("mine");
    std::fs::write(&mine, "mine").expect("written");
    for call in [
        json!({ "call": "targets.read", "path": "/etc/passwd" }),
        json!({ "call": "targets.read", "path": mine.to_str() }),
        json!({ "call": "workspace.read", "path": "Cargo.toml" }),
    ] {
        let with = toml(&json!({ "do": [with_hand_on(call)] }));
        passes(&puppet, &format!("with = {with}\n[expect]\nerror = {{ kind = \"not-found\" }}\n")).await;
    }
    // Nobody is asked, and nothing is sent.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().expect("bound").port());
    let with =
        toml(&json!({ "do": [{ "call": "http.send", "method": "GET", "url": url, "hand-on": true }] }));
    let puppet = bench(&puppet_with(&json!({ "http": [format!("GET {url}")] })));
    let wrong = fails(&puppet, &format!("with = {with}\n[expect]\n")).await;
    assert!(wrong[0].what.contains("is answered with"), "{wrong:?}");
    assert_eq!(
        listener.accept().map(|_| ()).map_err(|error| error.kind()),
        Err(std::io::ErrorKind::WouldBlock)
    );
}

#[tokio::test]
async fn limits_hold() {
    let puppet = bench(&puppet_with(&json!({})));
    let misbehave = |how: &str, limits: &str| {
        let with = toml(&json!({ "do": [{ "call": format!("misbehave.{how}"), "times": 1_000_000 }] }));
        format!("with = {with}\nlimits = {{ {limits} }}\n[expect]\n")
    };
    let wrong = fails(&puppet, &misbehave("spin", "fuel = 50000000")).await;
    assert!(wrong[0].found.contains("an endless loop?"), "{wrong:?}");
    let wrong = fails(&puppet, &misbehave("eat", "memory = \"32MiB\"")).await;
    assert!(wrong[0].found.contains("its limit is 32 MiB"), "{wrong:?}");
}

fn with_hand_on(mut call: Value) -> Value {
    call["hand-on"] = true.into();
    call
}

/// A value as TOML has it in a line.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// The program, in a folder.
fn program(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
    command.args(["module", "test"]).args(arguments).current_dir(folder);
    command.env("XDG_CACHE_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache")).env("HOME", folder);
    command.output().expect("it starts")
}

#[test]
fn the_program_tells_each_test_in_a_line_and_ends_with_4_when_one_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &[u8]| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    write("files.wasm", &Source::builtin("files").expect("it is there").bytes);
    write("tests/config.toml", CONFIG.as_bytes());
    let ran = program(folder.path(), &["files.wasm"]);
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(
        (ran.status.code(), &*stdout),
        (Some(0), "ok      config\n\n1 test: all passed\n"),
        "{stderr}"
    );
    write("tests/other.toml", CONFIG.replace("changed = true", "changed = false").as_bytes());
    let ran = program(folder.path(), &["files.wasm"]);
    let stdout = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(4));
    for line in [
        "ok      config\n",
        "FAILED  other\n",
        "  tests/other.toml:8:11: the outputs are others\n",
        "    -   \"changed\": false,\n",
        "    +   \"changed\": true,\n",
        "2 tests: 1 failed\n",
    ] {
        assert!(stdout.contains(line), "`{line}` is not in:\n{stdout}");
    }
    let ran = program(folder.path(), &["files.wasm", "--only", "config", "--faults", "--json"]);
    let told: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert_eq!((ran.status.code(), &told["failed"]), (Some(0), &json!(0)), "{told:#}");
    assert!(told["tests"][0]["faults"].as_array().is_some_and(|rows| rows.len() > 2), "{told:#}");
    // What is wrong with a test is told before one runs.
    write("tests/bad.toml", b"wit = {}\n[expect]\n");
    let ran = program(folder.path(), &["files.wasm"]);
    assert_eq!((ran.status.code(), ran.stdout.is_empty()), (Some(2), true));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("did you mean `with`?"));
    write("step/step.toml", b"name = \"hello\"\nlanguage = \"rust\"\n");
    let ran = program(folder.path(), &["step"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("runner module build step"));
}

#[test]
fn a_recorded_run_is_a_test_of_the_steps_that_had_the_module() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().canonicalize().expect("a folder");
    let write = |path: &str, text: &[u8]| {
        let path = here.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    let file = here.join("app.conf");
    let plan = format!(
        "plan = 1\nname = \"shop\"\n\n[modules]\nstd = \"builtin\"\n\n[environment.home]\ninventory = \"home.toml\"\n\n\
         [strategy]\nrole = \"web\"\n\n[[rollout]]\nid = \"config\"\nuses = \"std/files\"\n\
         with = {{ files = [{{ path = {file:?}, content = \"port = 8080\\n\" }}] }}\n"
    );
    write("plan.toml", plan.as_bytes());
    write("home.toml", b"inventory = 1\n\n[target.here]\nconnection = \"local\"\nroles = [\"web\"]\n");
    write("files.wasm", &Source::builtin("files").expect("it is there").bytes);
    write("restart.wasm", &Source::builtin("restart").expect("it is there").bytes);
    std::fs::create_dir(here.join("tests")).expect("made");
    for arguments in [&["lock"][..], &["exec"], &["runs", "export", "--output", "tests/shop.run"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command.args(arguments).current_dir(&here).env("HOME", &here).env_remove("RUNNER_POLICY");
        command.env("XDG_CACHE_HOME", here.join("cache")).env_remove("XDG_CONFIG_HOME");
        let ran = command.output().expect("it starts");
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    // Nothing of the run is done again: the file may be gone.
    std::fs::remove_file(&file).expect("it was written");
    let ran = program(&here, &["files.wasm"]);
    let stdout = String::from_utf8_lossy(&ran.stdout);
    assert_eq!((ran.status.code(), &*stdout), (Some(0), "ok      shop\n\n1 test: all passed\n"));
    assert!(!file.exists());
    let ran = program(&here, &["restart.wasm"]);
    assert_eq!(ran.status.code(), Some(4));
    let stdout = String::from_utf8_lossy(&ran.stdout);
    assert!(stdout.contains("the run has no step with the module `restart`\n    it has files"), "{stdout}");
}
