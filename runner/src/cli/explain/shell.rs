//! Commands as a person types them: words quoted for this shell, and for the one at the other end of ssh. What is known
//! only in a run is a variable of this shell.

use runner_model::inventory::{ConnectionKind, SshSettings};
use runner_model::template::{Piece, Reference, Template};
use runner_model::{Acting, Target};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A target as commands reach it, and the variables that they use.
pub(super) struct Shell<'a> {
    pub(super) target: &'a Target,
    pub(super) ssh: &'a SshSettings,
    pub(super) acting: Acting,
    pub(super) used: &'a RefCell<BTreeMap<String, Reference>>,
}

/// A word without references.
pub(super) fn plain(text: &str) -> Template {
    Template::literal(text)
}

/// The words of a command that has none either.
pub(super) fn plains(words: &[&str]) -> Vec<Template> {
    words.iter().map(|word| plain(word)).collect()
}

/// One word out of several.
pub(super) fn join(parts: &[&Template]) -> Template {
    let mut joined = Template::default();
    for piece in parts.iter().flat_map(|part| part.pieces()) {
        joined.push(piece.clone());
    }
    joined
}

impl Shell<'_> {
    /// A word for this shell.
    pub(super) fn word(&self, word: &Template) -> String {
        match word.as_text() {
            Some(text) => shell_words::quote(text).into_owned(),
            None => format!("\"{}\"", self.filled(word, true)),
        }
    }

    /// A command for this shell.
    pub(super) fn here(&self, command: &[Template]) -> String {
        command.iter().map(|word| self.word(word)).collect::<Vec<_>>().join(" ")
    }

    /// Commands on the target, each when the one before went well, as the user that the step acts as.
    pub(super) fn there(&self, commands: &[Vec<Template>]) -> String {
        let mut script = Template::default();
        for (number, command) in commands.iter().enumerate() {
            if number > 0 {
                script.push(Piece::Text(" && ".to_owned()));
            }
            let sudo = match &self.acting {
                Acting::Login => Vec::new(),
                Acting::As(user) => plains(&["sudo", "-n", "-u", user.as_str()]),
            };
            for (index, word) in sudo.iter().chain(command).enumerate() {
                if index > 0 {
                    script.push(Piece::Text(" ".to_owned()));
                }
                for piece in quoted(word) {
                    script.push(piece);
                }
            }
        }
        if self.target.connection == ConnectionKind::Local {
            return self.filled(&script, false);
        }
        format!("{} {}", self.ssh(), self.word(&script))
    }

    /// How the target is reached.
    fn ssh(&self) -> String {
        let mut words = vec!["ssh".to_owned()];
        let path = |path: &std::path::Path| path.display().to_string();
        if let Some(config) = &self.ssh.config {
            words.extend(["-F".to_owned(), path(&config.value)]);
        }
        if let Some(identity) = &self.ssh.identity {
            words.extend(["-i".to_owned(), path(&identity.value)]);
        }
        if let Some(known) = &self.ssh.known_hosts {
            words.extend(["-o".to_owned(), format!("UserKnownHostsFile={}", path(&known.value))]);
        }
        if let Some(jump) = &self.target.jump {
            words.extend(["-J".to_owned(), jump.clone()]);
        }
        if let Some(port) = self.target.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        let user = self.target.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        words.push(format!("{user}{}", self.target.address));
        shell_words::join(words)
    }

    /// Text with variables in the place of references; `escaped`: as it must be between double quotes.
    fn filled(&self, word: &Template, escaped: bool) -> String {
        let mut text = String::new();
        for piece in word.pieces() {
            match piece {
                Piece::Reference(reference) => {
                    let name = variable(reference);
                    text.push_str(&format!("${{{name}}}"));
                    self.used.borrow_mut().insert(name, reference.clone());
                }
                Piece::Text(plain) if !escaped => text.push_str(plain),
                Piece::Text(plain) => {
                    for c in plain.chars() {
                        if matches!(c, '\\' | '"' | '$' | '`') {
                            text.push('\\');
                        }
                        text.push(c);
                    }
                }
            }
        }
        text
    }
}

/// A word for the shell of a target: this one fills in the references.
fn quoted(word: &Template) -> Vec<Piece> {
    if word.pieces().is_empty() {
        return vec![Piece::Text("''".to_owned())];
    }
    let quote = |piece: &Piece| match piece {
        Piece::Text(text) => Piece::Text(shell_words::quote(text).into_owned()),
        Piece::Reference(reference) => Piece::Reference(reference.clone()),
    };
    word.pieces().iter().map(quote).collect()
}

/// The variable that stands for a reference.
pub(super) fn variable(reference: &Reference) -> String {
    reference.to_string().to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are_through_one_shell_and_through_two() {
        let used = RefCell::default();
        let mut target = Target::localhost();
        let ssh = SshSettings::default();
        let words = vec![
            plain("printf"),
            plain("%s\\n"),
            plain("it's $HOME `x` \"y\" \\"),
            Template::parse("a b/${release.id}").expect("a word"),
        ];
        let run = |command: &str| {
            // An ssh that does what sshd does: gives the command to a shell.
            let script = format!("ssh() {{ shift; sh -c \"$*\"; }}\nRELEASE_ID=r-1\n{command}");
            let ran = std::process::Command::new("sh").args(["-c", &script]).output().expect("sh runs");
            String::from_utf8(ran.stdout).expect("text")
        };
        let wanted = "it's $HOME `x` \"y\" \\\na b/r-1\n";
        let shell = Shell { target: &target, ssh: &ssh, acting: Acting::Login, used: &used };
        assert_eq!(run(&shell.here(&words)), wanted);
        assert_eq!(run(&shell.there(std::slice::from_ref(&words))), wanted);
        target.connection = ConnectionKind::Ssh;
        let shell = Shell { target: &target, ssh: &ssh, acting: Acting::Login, used: &used };
        assert_eq!(run(&shell.there(std::slice::from_ref(&words))), wanted);
        assert_eq!(run(&shell.there(&[plains(&["false"]), words])), "");
        assert_eq!(used.borrow().keys().collect::<Vec<_>>(), ["RELEASE_ID"]);
    }
}
