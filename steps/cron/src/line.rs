//! The file of an entry. Cron has no escapes for line breaks and hardly any for quotes: what it would read as something
//! else is refused.

use runner_sdk::{Error, Result};
use std::collections::BTreeMap;

/// The longest line that every cron reads.
const LONGEST: usize = 998;

/// The whole file.
pub(crate) fn file(
    name: &str,
    schedule: &str,
    user: &str,
    command: &str,
    env: &BTreeMap<String, String>,
) -> Result<String> {
    let refuse = |what: String| Err(Error::invalid(what));
    if user.is_empty()
        || user.starts_with('-')
        || !user.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    {
        return refuse(format!("`{}` cannot be a user's name", user.escape_debug()));
    }
    if command.trim().is_empty() || command.chars().any(char::is_control) {
        return refuse("`command` must be one line, without control characters, and not empty".to_owned());
    }
    let mut text = format!("# {name}: written by runner, which will write it again.\n");
    for (name, value) in env {
        text.push_str(&format!("{}\n", variable(name, value)?));
    }
    let line = format!("{schedule} {user} {}", escaped(command.trim()));
    if line.len() > LONGEST {
        return refuse(format!("`command` makes a line of {} bytes, and cron reads {LONGEST}", line.len()));
    }
    text.push_str(&line);
    text.push('\n');
    Ok(text)
}

/// To cron, a `%` is a line break, and what follows the first is the command's stdin.
fn escaped(command: &str) -> String {
    command.replace('%', "\\%")
}

fn variable(name: &str, value: &str) -> Result<String> {
    let refuse = |why: &str| Err(Error::invalid(format!("the variable `{}`: {why}", name.escape_debug())));
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(word) {
        return refuse("its name is not made of letters, digits and `_`");
    }
    if value.chars().any(char::is_control) {
        return refuse("its value has a line break or another control character");
    }
    let line = match (value.contains('"'), value.contains('\'')) {
        (false, _) => format!("{name}=\"{value}\""),
        (true, false) => format!("{name}='{value}'"),
        (true, true) => return refuse("its value has both kinds of quotes, and cron has no escape for them"),
    };
    if line.len() > LONGEST {
        return refuse("it is longer than a line that cron reads");
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(command: &str, name: &str, value: &str) -> Result<String> {
        file("x", "@daily", "root", command, &BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn a_file_says_what_is_run_and_nothing_else() {
        let text = with("date +%F > '/tmp/a b'", "MAILTO", "").expect("a file");
        assert_eq!(
            text,
            "# x: written by runner, which will write it again.\nMAILTO=\"\"\n@daily root date +\\%F > '/tmp/a b'\n"
        );
        assert!(with("x", "A", "say \"hi\"").expect("a file").contains("A='say \"hi\"'\n"));
    }

    #[test]
    fn nothing_becomes_a_second_line() {
        for (command, name, value) in [
            ("x\n* * * * * root y", "A", "1"),
            ("x\ry", "A", "1"),
            (" ", "A", "1"),
            ("x", "A", "1\n* * * * * root y"),
            ("x", "A B", "1"),
            ("x", "", "1"),
            ("x", "1A", "1"),
            ("x", "A\n", "1"),
            ("x", "A", "'\""),
            (&"x".repeat(2000), "A", "1"),
            ("x", "A", &"y".repeat(2000)),
        ] {
            assert!(with(command, name, value).is_err(), "{command:?} {name:?} {value:?}");
        }
        for user in ["", "-u", "root x", "root\n", "a/b"] {
            assert!(file("x", "@daily", user, "y", &BTreeMap::new()).is_err(), "{user:?}");
        }
    }
}
