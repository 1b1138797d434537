//! What an answer over HTTP must be like, for steps that ask an application how it is.

use runner_sdk::Response;
use std::collections::BTreeMap;

/// What an answer must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its status.
    pub status: u16,
    /// Its body; line breaks at the end do not count.
    pub body: Option<String>,
    /// Text in its body.
    pub body_contains: Option<String>,
    /// Headers with these values.
    pub headers: BTreeMap<String, String>,
}

impl Expected {
    /// This status, and nothing more.
    pub fn status(status: u16) -> Self {
        Self { status, body: None, body_contains: None, headers: BTreeMap::new() }
    }

    /// The first thing that is not as it must be; `None` when all is.
    pub fn unmet(&self, answer: &Response) -> Option<String> {
        if answer.status != self.status {
            return Some(format!("status {}, not {}", answer.status, self.status));
        }
        for (name, value) in &self.headers {
            match answer.header(name) {
                Some(found) if found == value => {}
                Some(found) => return Some(format!("header `{name}` is `{}`, not `{value}`", short(found))),
                None => return Some(format!("there is no header `{name}`")),
            }
        }
        let line_breaks = ['\r', '\n'];
        if let Some(body) = &self.body
            && answer.body.trim_end_matches(line_breaks) != body.trim_end_matches(line_breaks)
        {
            return Some(format!("the body is `{}`, not `{}`", short(&answer.body), short(body)));
        }
        match &self.body_contains {
            Some(text) if !answer.body.contains(text.as_str()) => {
                Some(format!("`{}` is not in the body", short(text)))
            }
            _ => None,
        }
    }
}

/// An answer, for people: its head, and as much of its body as fits.
pub fn show(answer: &Response) -> String {
    const LINES: usize = 20;
    let mut shown = format!("the last answer:\nHTTP {}", answer.status);
    for header in &answer.headers {
        shown.push_str(&format!("\n{}: {}", header.name, header.value));
    }
    if !answer.body.is_empty() {
        shown.push('\n');
    }
    for line in answer.body.lines().take(LINES) {
        shown.push('\n');
        shown.extend(line.chars().take(200));
    }
    shown
}

/// Fits into a line.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    let line = text.trim_end().escape_debug().to_string();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
