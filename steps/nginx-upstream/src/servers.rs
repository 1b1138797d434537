//! The file of an upstream: `server ADDRESS …;` lines, of which `down` is put into one or taken out, and all else stays
//! byte for byte. What is not one directive on one line is not edited: it would take nginx itself to read it.

use runner_sdk::{Error, Result};
use std::ops::Range;

/// The text of the file.
pub(crate) struct Servers {
    file: String,
    text: String,
}

impl Servers {
    pub(crate) fn new(file: &str, text: String) -> Self {
        Self { file: file.to_owned(), text }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_down(&self, server: &str) -> Result<bool> {
        Ok(has_down(&self.text[self.parameters(server)?]))
    }

    /// The text with the server marked or not.
    pub(crate) fn marked(&self, server: &str, down: bool) -> Result<String> {
        let at = self.parameters(server)?;
        let (before, parameters, after) =
            (&self.text[..at.start], &self.text[at.clone()], &self.text[at.end..]);
        Ok(match (down, has_down(parameters)) {
            (true, true) | (false, false) => self.text.clone(),
            (true, false) => format!("{before} down{parameters}{after}"),
            (false, true) => format!("{before}{}{after}", without_down(parameters)),
        })
    }

    /// Where the parameters are, between address and `;`, of the one directive that is about the server.
    fn parameters(&self, server: &str) -> Result<Range<usize>> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".:-_[]/".contains(c);
        if server.is_empty() || !server.chars().all(fits) {
            return Err(Error::invalid(format!("`{}` is no address of a server", server.escape_debug())));
        }
        let mut found = None;
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            if let Some(at) = self.directive(line, server)?
                && found.replace(start + at.start..start + at.end).is_some()
            {
                return Err(Error::conflict(format!("`{}` has `server {server}` more than once", self.file)));
            }
            start += line.len();
        }
        found.ok_or_else(|| {
            Error::not_found(format!("`{}` has no line `server {server};`", self.file)).with_detail(
                "name the address as it is written there: with = { server = \"${target.address}:8080\" }",
            )
        })
    }

    /// Where the parameters are in the line, when it is the server's.
    fn directive(&self, line: &str, server: &str) -> Result<Option<Range<usize>>> {
        let code = line.split('#').next().unwrap_or_default();
        let apart = |c: char| c.is_ascii_whitespace() || ";{}\"'".contains(c);
        if !code.split(apart).any(|word| word == server) {
            return Ok(None);
        }
        let mut words = code.split(apart).filter(|word| !word.is_empty());
        let is_servers = words.next() == Some("server") && words.next() == Some(server);
        let plain = code.matches(';').count() == 1 && !code.contains(['{', '}', '"', '\'', '\\']);
        let end = code.trim_end().strip_suffix(';').map(str::len);
        // `server` itself could be the address; the first one is the directive.
        let at = code.find("server").and_then(|at| Some(at + 6 + code.get(at + 6..)?.find(server)?));
        match (is_servers && plain, at, end) {
            (true, Some(at), Some(end)) => Ok(Some(at + server.len()..end)),
            _ => {
                let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
                let line: String = line.trim().chars().take(100).map(printable).collect();
                let message = format!("`{}`: the line `{line}` is not one `server {server} …;`", self.file);
                Err(Error::conflict(message)
                    .with_detail("the file holds one directive on each line, and nothing else"))
            }
        }
    }
}

fn has_down(parameters: &str) -> bool {
    parameters.split_ascii_whitespace().any(|word| word == "down")
}

/// The parameters without the word, and without the space in front of it.
fn without_down(parameters: &str) -> String {
    let mut kept = String::with_capacity(parameters.len());
    let mut rest = parameters;
    while !rest.is_empty() {
        let gap = rest.len() - rest.trim_ascii_start().len();
        let word = rest[gap..].find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len() - gap);
        if &rest[gap..gap + word] != "down" {
            kept.push_str(&rest[..gap + word]);
        }
        rest = &rest[gap + word..];
    }
    kept
}
