//! Values of the INI form. Ansible reads each as a literal of Python, and as text where it is none: `80` is a number,
//! `True` a boolean, `[1, 2]` a list, `0644` and `yes` are text.

use serde_json::{Map, Number, Value};

/// How deep lists may stand in lists.
const DEEPEST: usize = 32;

/// The value of a text.
pub(super) fn value(text: &str) -> Value {
    let mut reader = Reader { rest: text.trim_start_matches([' ', '\t']), depth: 0 };
    match reader.literal() {
        Some(value) if reader.is_done() => value,
        _ => Value::String(text.to_owned()),
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether nothing but a comment follows.
    fn is_done(&mut self) -> bool {
        self.skip();
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self) -> Option<Value> {
        self.skip();
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let value = match self.rest.chars().next()? {
            '[' => self.list('[', ']').map(|(values, _)| Value::Array(values)),
            '(' => match self.list('(', ')')? {
                // Parentheses around one value without a comma are only parentheses.
                (mut values, false) if values.len() == 1 => values.pop(),
                (values, _) => Some(Value::Array(values)),
            },
            '{' => self.braces(),
            '\'' | '"' => self.strings(),
            _ => self.word(),
        };
        self.depth -= 1;
        value
    }

    /// Values with commas between them, and whether there was one.
    fn list(&mut self, open: char, close: char) -> Option<(Vec<Value>, bool)> {
        self.rest = self.rest.strip_prefix(open)?;
        let close = close.to_string();
        let (mut values, mut comma) = (Vec::new(), false);
        while !self.take(&close) {
            values.push(self.literal()?);
            if self.take(",") {
                comma = true;
            } else if self.take(&close) {
                break;
            } else {
                return None;
            }
        }
        Some((values, comma))
    }

    /// A dictionary, or a set.
    fn braces(&mut self) -> Option<Value> {
        self.rest = self.rest.strip_prefix('{')?;
        let (mut entries, mut members) = (Map::new(), Vec::new());
        while !self.take("}") {
            let first = self.literal()?;
            if self.take(":") {
                let key = match first {
                    Value::String(text) => text,
                    Value::Null | Value::Bool(_) | Value::Number(_) => first.to_string(),
                    Value::Array(_) | Value::Object(_) => return None,
                };
                entries.insert(key, self.literal()?);
            } else {
                members.push(first);
            }
            if !self.take(",") {
                if self.take("}") {
                    break;
                }
                return None;
            }
        }
        match (entries.is_empty(), members.is_empty()) {
            (_, true) => Some(Value::Object(entries)),
            (true, false) => Some(Value::Array(members)),
            (false, false) => None,
        }
    }

    /// One string, or several that stand side by side.
    fn strings(&mut self) -> Option<Value> {
        let mut text = String::new();
        loop {
            let quote = self.rest.chars().next()?;
            // Three quotes begin another kind of string, which nobody writes into an inventory.
            if self.rest.starts_with(&quote.to_string().repeat(3)) {
                return None;
            }
            self.rest = &self.rest[1..];
            loop {
                let c = self.rest.chars().next()?;
                self.rest = &self.rest[c.len_utf8()..];
                match c {
                    _ if c == quote => break,
                    '\\' => text.push_str(&self.escape()?),
                    _ => text.push(c),
                }
            }
            self.skip();
            if !self.rest.starts_with(['\'', '"']) {
                return Some(Value::String(text));
            }
        }
    }

    fn escape(&mut self) -> Option<String> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(match c {
            'n' => "\n".into(),
            't' => "\t".into(),
            'r' => "\r".into(),
            '\\' | '\'' | '"' => c.into(),
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            // Rare enough that the text as it is says more than half of the rules would.
            'a' | 'b' | 'f' | 'v' | 'N' | '0'..='7' => return None,
            other => format!("\\{other}"),
        })
    }

    fn code(&mut self, digits: usize) -> Option<String> {
        let hex = self.rest.get(..digits).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.rest = &self.rest[digits..];
        u32::from_str_radix(hex, 16).ok().and_then(char::from_u32).map(String::from)
    }

    fn word(&mut self) -> Option<Value> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "_.+-".contains(c)))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "None" => Some(Value::Null),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => number(word),
        }
    }
}

/// A number as Python writes it.
fn number(word: &str) -> Option<Value> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    // An underscore may stand between two digits only.
    let bytes = digits.as_bytes();
    let between = |at: usize| {
        at > 0
            && bytes[at - 1].is_ascii_alphanumeric()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric)
    };
    if !bytes.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.')
        || (0..bytes.len()).any(|at| bytes[at] == b'_' && !between(at))
    {
        return None;
    }
    let plain = digits.replace('_', "").to_ascii_lowercase();
    let radix = |text: &str, radix| i64::from_str_radix(text, radix).ok();
    let integer = if let Some(hex) = plain.strip_prefix("0x") {
        radix(hex, 16)
    } else if let Some(octal) = plain.strip_prefix("0o") {
        radix(octal, 8)
    } else if let Some(binary) = plain.strip_prefix("0b") {
        radix(binary, 2)
    } else if plain.bytes().all(|byte| byte.is_ascii_digit()) {
        // `0644` is no number of Python: it stays text, and with it the zero.
        if plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|byte| byte != b'0') {
            return None;
        }
        plain.parse().ok()
    } else {
        if !plain.bytes().all(|byte| byte.is_ascii_digit() || b".e+-".contains(&byte)) {
            return None;
        }
        let float = plain.parse::<f64>().ok()?;
        return Number::from_f64(if negative { -float } else { float }).map(Value::Number);
    };
    integer.map(|integer| Value::from(if negative { -integer } else { integer }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn values_are_what_python_takes_them_for() {
        for (text, expected) in [
            ("80", json!(80)),
            ("-3", json!(-3)),
            ("1_000", json!(1000)),
            ("0x1f", json!(31)),
            ("2.5", json!(2.5)),
            ("1e3", json!(1000.0)),
            ("True", json!(true)),
            ("None", json!(null)),
            ("5 # five", json!(5)),
            ("\"a b\"", json!("a b")),
            ("'a' 'b'", json!("ab")),
            ("'a\\n\\x41'", json!("a\nA")),
            ("[1, 'x', [True]]", json!([1, "x", [true]])),
            ("(1, 2)", json!([1, 2])),
            ("(1)", json!(1)),
            ("{'a': 1, \"b\": [2]}", json!({"a": 1, "b": [2]})),
            ("{1, 2}", json!([1, 2])),
            ("{}", json!({})),
            // Text.
            ("", json!("")),
            ("yes", json!("yes")),
            ("true", json!("true")),
            ("0644", json!("0644")),
            ("1.2.3", json!("1.2.3")),
            ("abc # no comment", json!("abc # no comment")),
            ("[a, b]", json!("[a, b]")),
            ("'open", json!("'open")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("1__0", json!("1__0")),
            ("99999999999999999999", json!("99999999999999999999")),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_value(text in "([\\[\\](){},:'\"\\\\0-9a-fTrueN_.# -]|\\PC){0,40}") {
            value(&text);
        }

        #[test]
        fn a_deep_value_ends(depth in 0_usize..5000) {
            value(&"[".repeat(depth));
        }

        #[test]
        fn numbers_stay_numbers(number: i64) {
            prop_assert_eq!(value(&number.to_string()), if number == i64::MIN { json!(number.to_string()) } else { json!(number) });
        }
    }
}
