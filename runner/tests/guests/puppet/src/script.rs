//! Carries out the script, call by call.

use super::bindings::runner::step as host;
use super::misbehave;
use host::artifacts::{self, Artifact};
use host::commands::Command;
use host::http::Request;
use host::secrets::Secret;
use host::sockets;
use host::targets::{self, ServiceAction, Target};
use host::types::{Attributes, Effect, Entry, Error, ErrorKind, Link};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The artifacts that the script has given names.
type Kept = BTreeMap<String, Artifact>;
type Answer = Result<Value, Error>;

pub(crate) fn run(params: &str) -> Result<String, Error> {
    let params: Value = serde_json::from_str(params).map_err(|error| other(&error.to_string()))?;
    let mut kept = Kept::new();
    let mut answers = Vec::new();
    for step in params["do"].as_array().into_iter().flatten() {
        match step["call"].as_str().unwrap_or_default() {
            "return" => return Ok(text(step, "text").to_owned()),
            "return-much" => {
                return Ok("x".repeat(usize::try_from(number(step, "bytes")).unwrap_or(usize::MAX)));
            }
            "fail" => {
                return Err(Error {
                    kind: ErrorKind::Other,
                    message: text(step, "message").to_owned(),
                    detail: text(step, "detail").to_owned(),
                });
            }
            _ => {}
        }
        // `?`: hand the first error on instead of listing it, as a module of good manners does.
        match call(step, &mut kept) {
            Err(error) if step["hand-on"] == true => return Err(error),
            Ok(value) => answers.push(json!({ "ok": value })),
            Err(Error { kind, message, detail }) => {
                let kind = format!("{kind:?}");
                let kind = kind.trim_start_matches("ErrorKind::");
                answers.push(json!({ "err": { "kind": kind, "message": message, "detail": detail } }));
            }
        }
    }
    Ok(json!({ "answers": answers }).to_string())
}

fn other(message: &str) -> Error {
    Error { kind: ErrorKind::Other, message: message.to_owned(), detail: String::new() }
}

fn text<'a>(step: &'a Value, key: &str) -> &'a str {
    step[key].as_str().unwrap_or_default()
}

fn owned(step: &Value, key: &str) -> String {
    // `xs: N` stands for a long text.
    match step[key].as_object().and_then(|long| long["xs"].as_u64()) {
        Some(count) => "x".repeat(usize::try_from(count).unwrap_or(usize::MAX)),
        None => text(step, key).to_owned(),
    }
}

fn number(step: &Value, key: &str) -> u64 {
    step[key].as_u64().unwrap_or_default()
}

fn small(step: &Value, key: &str) -> u32 {
    u32::try_from(number(step, key)).unwrap_or(u32::MAX)
}

fn list(step: &Value, key: &str) -> Vec<String> {
    step[key].as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn attributes(step: &Value) -> Attributes {
    let name = |key: &str| step[key].as_str().map(str::to_owned);
    Attributes {
        mode: step["mode"].as_u64().map(|mode| mode as u32),
        owner: name("owner"),
        group: name("group"),
    }
}

fn target(step: &Value) -> Result<Target, Error> {
    match step["on"].as_str() {
        Some(name) => targets::named(name),
        None => Ok(targets::current()),
    }
}

fn effect(step: &Value) -> Effect {
    match text(step, "effect") {
        "change" => Effect::Change,
        "signal" => Effect::Signal,
        "leave" => Effect::Leave,
        "join" => Effect::Join,
        "opaque" => Effect::Opaque,
        _ => Effect::Read,
    }
}

fn entry(entry: Entry) -> Value {
    json!({
        "name": entry.name,
        "kind": format!("{:?}", entry.kind).to_lowercase().replace("entrykind::", ""),
        "size": entry.size,
        "mode": entry.mode,
        "owner": entry.owner,
        "group": entry.group,
    })
}

fn kept<'a>(step: &Value, kept: &'a Kept) -> Result<&'a Artifact, Error> {
    kept.get(text(step, "artifact")).ok_or_else(|| other("the script names no artifact"))
}

/// Keeps an artifact under the name in `as`; answers its digest.
fn keep(step: &Value, kept: &mut Kept, artifact: Artifact) -> Value {
    let digest = artifact.digest();
    kept.insert(text(step, "as").to_owned(), artifact);
    json!(digest)
}

fn call(step: &Value, artifacts: &mut Kept) -> Answer {
    let name = text(step, "call");
    match name.split_once('.') {
        Some(("targets" | "sockets", _)) => on_target(name, step, artifacts),
        Some(("workspace", _)) => in_workspace(name, step),
        Some(("artifacts", _)) => with_artifacts(name, step, artifacts),
        Some(("releases", _)) => releases(name, step),
        Some(("misbehave", how)) => misbehaviour(how, step),
        _ => match name {
            "commands.run" => {
                let output = command(step, artifacts)?.run(&target(step)?)?;
                Ok(json!({
                    "status": output.status, "stdout": output.stdout, "stderr": output.stderr,
                    "truncated": output.truncated, "skipped": output.skipped,
                }))
            }
            "http.send" => {
                let response = request(step)?.send()?;
                let headers: Vec<_> =
                    response.headers.into_iter().map(|h| json!([h.name, h.value])).collect();
                Ok(json!({
                    "status": response.status, "headers": headers, "body": response.body,
                    "truncated": response.truncated,
                }))
            }
            "http.download" => {
                let artifact = request(step)?.download()?;
                Ok(keep(step, artifacts, artifact))
            }
            "secrets.get" => {
                secret(&json!({ "name": text(step, "name"), "base64": true })).map(|_| Value::Null)
            }
            "timer.now" => Ok(json!(host::timer::now())),
            "timer.sleep" => host::timer::sleep(small(step, "milliseconds")).map(|()| Value::Null),
            "log" => {
                for _ in 0..number(step, "times").max(1) {
                    host::log::info(&owned(step, "message"));
                }
                Ok(Value::Null)
            }
            "log.error" => {
                host::log::error(text(step, "message"));
                Ok(Value::Null)
            }
            "log.progress" => {
                host::log::progress(small(step, "done"), small(step, "total"), text(step, "what"));
                Ok(Value::Null)
            }
            "run-info" => Ok(json!({
                "run": host::run_info::run_id(),
                "step": host::run_info::step_id(),
                "environment": host::run_info::environment(),
                "release": host::run_info::release_id(),
                "previous": host::run_info::previous_release(),
                "subject": host::run_info::subject(),
                "variable": host::run_info::variable("port"),
                "operation-key": host::run_info::operation_key(),
            })),
            _ => Err(other(&format!("the script has an unknown call `{name}`"))),
        },
    }
}

fn misbehaviour(how: &str, step: &Value) -> Answer {
    match how {
        "spin" => misbehave::spin(),
        "recurse" => Ok(json!(misbehave::recurse(0))),
        "eat" => misbehave::eat(),
        "panic" => panic!("{}", text(step, "message")),
        "hold-targets" => {
            let held: Vec<_> = (0..number(step, "times")).map(|_| targets::current()).collect();
            Ok(json!(held.len()))
        }
        "hold-commands" => {
            let argv = vec!["x".repeat(1 << 20)];
            let held: Vec<_> =
                (0..number(step, "times")).map(|_| Command::new(&argv, Effect::Read)).collect();
            Ok(json!(held.len()))
        }
        "call-often" => {
            for _ in 0..number(step, "times") {
                host::timer::now();
            }
            Ok(Value::Null)
        }
        _ => Err(other("the script has an unknown misbehaviour")),
    }
}

fn on_target(name: &str, step: &Value, artifacts: &mut Kept) -> Answer {
    let on = target(step)?;
    let path = owned(step, "path");
    Ok(match name {
        "targets.named" => json!(on.name()),
        "targets.fact" => json!(on.fact(text(step, "name"))?),
        "targets.stat" => on.stat(&path)?.map(entry).into(),
        "targets.read-dir" => on.read_dir(&path)?.into_iter().map(entry).collect(),
        "targets.read-link" => json!(on.read_link(&path)?),
        "targets.read" => json!(on.read(&path)?),
        "targets.digest" => json!(on.digest(&path)?),
        "targets.disk-free" => json!(on.disk_free(&path)? > 0),
        "targets.fetch" => keep(step, artifacts, on.fetch(&path)?),
        "targets.service-is-active" => json!(on.service_is_active(text(step, "unit"))?),
        "targets.write" => json!(on.write(&path, &owned(step, "text"), &attributes(step))?),
        "targets.write-secret" => {
            json!(on.write_secret(&path, &secret(&step["secret"])?, &attributes(step))?)
        }
        "targets.put" => json!(on.put(&path, kept(step, artifacts)?, &attributes(step))?),
        "targets.mkdir" => json!(on.mkdir(&path, &attributes(step))?),
        "targets.symlink" => json!(on.symlink(&path, text(step, "points-to"))?),
        "targets.rename" => {
            on.rename(&path, text(step, "to"))?;
            Value::Null
        }
        "targets.remove" => json!(on.remove(&path)?),
        "targets.remove-tree" => json!(on.remove_tree(&path)?),
        "targets.set-attributes" => json!(on.set_attributes(&path, &attributes(step))?),
        "targets.unpack" => {
            let links = step["links"].as_array().into_iter().flatten();
            let links: Vec<_> = links
                .map(|link| Link {
                    path: text(link, "path").to_owned(),
                    points_to: text(link, "points-to").to_owned(),
                })
                .collect();
            json!(on.unpack(
                &path,
                kept(step, artifacts)?,
                &links,
                step["reuse"].as_str(),
                &attributes(step)
            )?)
        }
        "targets.unarchive" => json!(on.unarchive(text(step, "archive"), &path, &attributes(step))?),
        "targets.archive" => json!(on.archive(&path, text(step, "into"))?),
        "sockets.exchange" => json!(sockets::exchange(&on, &path, text(step, "text"), effect(step))?),
        "targets.service" => {
            let action = match text(step, "action") {
                "start" => ServiceAction::Start,
                "stop" => ServiceAction::Stop,
                "reload" => ServiceAction::Reload,
                "reload-or-restart" => ServiceAction::ReloadOrRestart,
                _ => ServiceAction::Restart,
            };
            on.service(text(step, "unit"), action)?;
            Value::Null
        }
        _ => return Err(other(&format!("the script has an unknown call `{name}`"))),
    })
}

fn in_workspace(name: &str, step: &Value) -> Answer {
    let path = text(step, "path");
    Ok(match name {
        "workspace.stat" => host::workspace::stat(path)?.map(entry).into(),
        "workspace.read-dir" => host::workspace::read_dir(path)?.into_iter().map(entry).collect(),
        "workspace.read" => json!(host::workspace::read(path)?),
        "workspace.digest" => json!(host::workspace::digest(path)?),
        "workspace.write" => json!(host::workspace::write(path, text(step, "text"))?),
        _ => return Err(other(&format!("the script has an unknown call `{name}`"))),
    })
}

fn with_artifacts(name: &str, step: &Value, all: &mut Kept) -> Answer {
    let made = match name {
        "artifacts.pack" => artifacts::pack(text(step, "path"), &list(step, "exclude"))?,
        "artifacts.open" => artifacts::open(text(step, "digest"))?,
        "artifacts.from-bytes" => artifacts::from_bytes(owned(step, "content").as_bytes())?,
        "artifacts.bytes" => {
            let bytes = kept(step, all)?.bytes()?;
            return Ok(json!(String::from_utf8_lossy(&bytes)));
        }
        "artifacts.size" => return Ok(json!(kept(step, all)?.size())),
        "artifacts.save" => return Ok(json!(kept(step, all)?.save(text(step, "path"))?)),
        _ => return Err(other(&format!("the script has an unknown call `{name}`"))),
    };
    Ok(keep(step, all, made))
}

fn releases(name: &str, step: &Value) -> Answer {
    let release = |release: host::releases::Release| json!({ "id": release.id, "sequence": release.sequence, "live": release.live });
    let (on, root) = (target(step)?, text(step, "root"));
    Ok(match name {
        "releases.all" => host::releases::all(&on, root)?.into_iter().map(release).collect(),
        _ => host::releases::previous(&on, root)?.map(release).into(),
    })
}

fn command(step: &Value, artifacts: &Kept) -> Result<Command, Error> {
    let command = Command::new(&list(step, "argv"), effect(step));
    for (name, value) in step["env"].as_object().into_iter().flatten() {
        command.env(name, value.as_str().unwrap_or_default());
    }
    for (name, value) in step["env-secret"].as_object().into_iter().flatten() {
        command.env_secret(name, &secret(value)?);
    }
    if let Some(text) = step["stdin"].as_str() {
        command.stdin(text);
    }
    if !step["stdin-secret"].is_null() {
        command.stdin_secret(&secret(&step["stdin-secret"])?);
    }
    if step["artifact"].is_string() {
        command.stdin_artifact(kept(step, artifacts)?);
    }
    if let Some(path) = step["stdin-file"].as_str() {
        command.stdin_file(path);
    }
    if step["decompress"] == true {
        command.decompress();
    }
    if step["compress"] == true {
        command.compress();
    }
    if step["keep"] == true {
        command.keep();
    }
    if let Some(path) = step["stdout-to"].as_str() {
        command.stdout_to(path);
    }
    if let Some(path) = step["directory"].as_str() {
        command.directory(path);
    }
    if let Some(milliseconds) = step["timeout"].as_u64() {
        command.timeout(milliseconds as u32);
    }
    for status in step["accept"].as_array().into_iter().flatten() {
        command.accept(status.as_u64().unwrap_or_default() as u32);
    }
    if step["skip-if"].is_object() {
        command.skip_if(self::command(&step["skip-if"], artifacts)?);
    }
    if step["undo"].is_object() {
        command.undo_with(self::command(&step["undo"], artifacts)?);
    }
    if step["repeatable"] == true {
        command.repeatable();
    }
    Ok(command)
}

/// `"name"`, or `{ "name": …, "append": …, "before": …, "after": …, "base64": true, "url-encode": true }`: done in this order.
fn secret(described: &Value) -> Result<Secret, Error> {
    let name = described.as_str().unwrap_or_else(|| text(described, "name"));
    let mut secret = host::secrets::get(name)?;
    if !described["append"].is_null() {
        secret = secret.append(&self::secret(&described["append"])?);
    }
    if !described["before"].is_null() || !described["after"].is_null() {
        secret = secret.wrap(text(described, "before"), text(described, "after"));
    }
    if described["base64"] == true {
        secret = secret.base64();
    }
    if described["url-encode"] == true {
        secret = secret.url_encode();
    }
    Ok(secret)
}

fn request(step: &Value) -> Result<Request, Error> {
    let request = Request::new(text(step, "method"), text(step, "url"), effect(step));
    for header in step["headers"].as_array().into_iter().flatten() {
        request.header(header[0].as_str().unwrap_or_default(), header[1].as_str().unwrap_or_default());
    }
    for (name, value) in step["header-secret"].as_object().into_iter().flatten() {
        request.header_secret(name, &secret(value)?);
    }
    if let Some(text) = step["body"].as_str() {
        request.body(text);
    }
    if !step["body-secret"].is_null() {
        request.body_secret(&secret(&step["body-secret"])?);
    }
    if step["via"].is_string() || step["via"] == true {
        let via = match step["via"].as_str() {
            Some(name) => targets::named(name)?,
            None => targets::current(),
        };
        request.via(&via);
    }
    if let Some(address) = step["connect-to"].as_str() {
        request.connect_to(address);
    }
    if let Some(milliseconds) = step["timeout"].as_u64() {
        request.timeout(milliseconds as u32);
    }
    if step["undo"].is_object() {
        request.undo_with(self::request(&step["undo"])?);
    }
    Ok(request)
}
