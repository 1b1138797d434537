//! What an answer must be like.

use runner_sdk::Response;
use std::collections::BTreeMap;

pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) body: Option<String>,
    pub(crate) body_contains: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Expected {
    /// The first thing that is not as it must be; `None` when all is.
    pub(crate) fn unmet(&self, answer: &Response) -> Option<String> {
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

/// Fits into a line.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    let line = text.trim_end().escape_debug().to_string();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
