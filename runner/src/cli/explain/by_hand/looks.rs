//! What a person types to see that something is as it must be.

use super::super::shell::{Shell, join, plain, plains};
use super::Given;

pub(super) fn smoke_test(given: &Given<'_>, shell: &Shell<'_>) -> Option<Vec<String>> {
    let mut curl = plains(&["curl", "-sS", "-i"]);
    let timeout = given.text("timeout");
    let seconds = timeout.as_deref().and_then(|text| text.strip_suffix('s'));
    if let Some(seconds) = seconds.filter(|text| text.chars().all(|c| c.is_ascii_digit())) {
        curl.extend(plains(&["--max-time", seconds]));
    }
    if let Some(address) = given.word("connect-to") {
        let port = if address.as_text().is_some_and(|text| text.contains(':')) { "" } else { ":" };
        curl.push(plain("--connect-to"));
        curl.push(join(&[&plain("::"), &address, &plain(port)]));
    }
    for (name, value) in given.pairs("send-headers") {
        curl.push(plain("-H"));
        curl.push(join(&[&plain(&format!("{name}: ")), &value]));
    }
    curl.push(given.word("url")?);
    let line = if given.text("from").is_some() { shell.there(&[curl]) } else { shell.here(&curl) };
    let mut wanted = format!("# must answer {}", given.text("status").unwrap_or_else(|| "200".to_owned()));
    for (name, what) in [("body", "with the body"), ("body-contains", "with, in the body,")] {
        if let Some(text) = given.word(name) {
            wanted.push_str(&format!(" {what} {}", shell.word(&text)));
        }
    }
    Some(vec![line, wanted])
}

/// A look of `std/wait-for` and `std/watch`, and what it must show.
pub(super) fn wait_for(module: &str, given: &Given<'_>, shell: &Shell<'_>) -> Option<Vec<String>> {
    let mut lines = match (given.word("file"), given.word("port"), given.word("service")) {
        (Some(path), ..) => {
            let absent = given.text("state").as_deref() == Some("absent");
            let mut lines = vec![shell.there(&[vec![plain("ls"), plain("-ld"), path.clone()]])];
            if let Some(text) = given.word("contains") {
                lines = vec![shell.there(&[vec![plain("grep"), plain("-F"), text, path]])];
            }
            lines.push(if absent { "# must not be there" } else { "# must be there" }.to_owned());
            lines
        }
        (None, Some(port), _) => {
            let mut ss = plains(&["ss", "-Hltn", "sport", "="]);
            ss.push(join(&[&plain(":"), &port]));
            vec![shell.there(&[ss]), "# must show a line".to_owned()]
        }
        (None, None, Some(unit)) => vec![shell.there(&[vec![plain("systemctl"), plain("is-active"), unit]])],
        _ => smoke_test(given, shell)?,
    };
    lines.push(match module {
        "watch" => {
            format!("# again and again, for {}", given.text("for").unwrap_or_else(|| "some time".to_owned()))
        }
        _ => "# again and again, until it is so".to_owned(),
    });
    Some(lines)
}

pub(super) fn load_test(given: &Given<'_>, shell: &Shell<'_>) -> Option<Vec<String>> {
    let mut ab = plains(&["ab", "-l", "-n"]);
    ab.push(given.word("requests")?);
    ab.push(plain("-c"));
    ab.push(given.word("concurrency")?);
    ab.push(given.word("url")?);
    Some(vec![shell.there(&[ab])])
}
