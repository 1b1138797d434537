//! The modules of clusters: out of service, and back into it.

use super::Given;
use crate::cli::explain::shell::{Shell, join, plain};
use runner_model::template::{Reference, TargetField, Template, ValueTemplate};

/// The modules that there are commands for.
#[cfg(test)]
pub(super) const KNOWN: [&str; 4] = ["haproxy", "nginx-upstream", "health-file", "cluster-commands"];

/// The lines for one of them; `None`: it is another one.
pub(super) fn lines(module: &str, given: &Given<'_>, shell: &Shell<'_>) -> Option<Vec<String>> {
    let (out, back) = match module {
        "haproxy" => {
            let server = given
                .word("server")
                .unwrap_or_else(|| Template::reference(Reference::Target(TargetField::Name)));
            let backends = match given.0.get("backend") {
                Some(ValueTemplate::Array(_)) => given.words("backend"),
                _ => given.word("backend").into_iter().collect(),
            };
            let ask = |state: &str| -> Vec<Vec<Template>> {
                let one = |backend: &Template| {
                    let line = join(&[&plain("set server "), backend, &plain("/"), &server, &plain(state)]);
                    vec![plain("echo"), line]
                };
                backends.iter().map(one).collect()
            };
            let socket = join(&[&plain("UNIX-CONNECT:"), &given.word("socket")?]);
            let pipe = |state: &str| -> Vec<String> {
                let socat = [plain("socat"), plain("-"), socket.clone()];
                ask(state)
                    .iter()
                    .map(|echo| format!("{} | {}", shell.here(echo), shell.there(&[socat.to_vec()])))
                    .collect()
            };
            (pipe(" state drain"), pipe(" state ready"))
        }
        "nginx-upstream" => {
            let (file, address) = (given.word("file")?, given.word("server")?);
            let edit = |to: &str| {
                let script = match to {
                    "down" => join(&[&plain("s|server "), &address, &plain("|& down|")]),
                    _ => join(&[&plain("s|\\(server "), &address, &plain("\\) down|\\1|")]),
                };
                let sed = vec![plain("sed"), plain("-i"), script, file.clone()];
                let test = given.words("test");
                let unit = given.word("unit").unwrap_or_else(|| plain("nginx"));
                let reload = vec![plain("systemctl"), plain("reload"), unit];
                vec![shell.there(&[sed, test, reload])]
            };
            (edit("down"), edit("up"))
        }
        "health-file" => {
            let path = given.word("path")?;
            let touch = vec![shell.there(&[vec![plain("touch"), path.clone()]])];
            let remove = vec![shell.there(&[vec![plain("rm"), plain("-f"), path]])];
            match given.text("present").as_deref() {
                Some("out") => (touch, remove),
                _ => (remove, touch),
            }
        }
        "cluster-commands" => {
            (vec![shell.there(&[given.words("leave")])], vec![shell.there(&[given.words("join")])])
        }
        _ => return None,
    };
    let mut lines = vec!["# out of service:".to_owned()];
    lines.extend(out);
    lines.push("# back into it:".to_owned());
    lines.extend(back);
    Some(lines)
}
