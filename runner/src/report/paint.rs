//! Colours and marks, for those who want them: everything reads the same without.

use runner_model::text;

/// Whether to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    pub(crate) colours: bool,
}

impl Paint {
    /// None at all.
    pub(crate) const NONE: Self = Self { colours: false };

    fn with(self, code: &str, text: &str) -> String {
        let text = text::shown(text);
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into_owned() }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn doubtful(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }
}
