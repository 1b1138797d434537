//! Ranges in the names of hosts: `web[01:50].example.org`, `db-[a:f]`, `node[0:90:10]`.

/// How many hosts one pattern may stand for. A larger one is a slip of the finger.
const MOST: usize = 10_000;

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The hosts that a pattern stands for and the port behind it.
///
/// # Errors
/// Why it is no pattern.
pub(super) fn expand(pattern: &str) -> Result<(Vec<String>, Option<u16>), String> {
    let (names, port) = split_port(pattern)?;
    let mut done = Vec::new();
    // From the left; what is left of a name is worked on before the next one, which keeps the order.
    let mut open = vec![names.to_owned()];
    while let Some(name) = open.pop() {
        if !name.contains(['[', ']']) {
            done.push(name);
        } else {
            open.extend(one(&name, MOST - done.len().min(MOST))?.into_iter().rev());
        }
        if done.len() + open.len() > MOST {
            return Err(format!("stands for more than {MOST} hosts"));
        }
    }
    Ok((done, port))
}

/// `name:22`; a colon inside of brackets or one of several is no port's.
fn split_port(pattern: &str) -> Result<(&str, Option<u16>), String> {
    let Some((name, port)) = pattern.rsplit_once(':') else { return Ok((pattern, None)) };
    let halves = |half: char| name.matches(half).count();
    if port.contains(']') || halves('[') != halves(']') || outside(name).any(|c| c == ':') {
        return Ok((pattern, None));
    }
    match port.parse() {
        Ok(port) if port > 0 && !name.is_empty() => Ok((name, Some(port))),
        _ => Err("has no port from 1 to 65535 behind its `:`".to_owned()),
    }
}

/// What is not in brackets.
fn outside(text: &str) -> impl Iterator<Item = char> {
    let mut depth = 0_usize;
    text.chars().filter(move |c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    })
}

/// The first range of a name, written out.
fn one(name: &str, most: usize) -> Result<Vec<String>, String> {
    let parts = name.split_once('[').and_then(|(head, rest)| {
        let (range, tail) = rest.split_once(']')?;
        Some((head, range, tail))
    });
    let Some((head, range, tail)) = parts else {
        return Err("has a bracket without its other half".to_owned());
    };
    let words: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match words.as_slice() {
        [begin, end] => (*begin, *end, 1),
        [begin, end, step] => match step.parse::<usize>() {
            Ok(step) if step > 0 => (*begin, *end, step),
            _ => return Err(format!("has the step `{step}`, which is no whole number from 1 on")),
        },
        _ => return Err(format!("has `[{range}]`, and a range is `[FIRST:LAST]` or `[FIRST:LAST:STEP]`")),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    let width = if begin.len() > 1 && begin.starts_with('0') { begin.len() } else { 0 };
    if width > 0 && width != end.len() {
        return Err(format!("has `[{range}]`, whose ends are not equally long"));
    }
    let write = |middle: String| format!("{head}{middle}{tail}");
    let names: Vec<String> = match (letter(begin), letter(end), number(begin), number(end)) {
        (Some(first), Some(last), ..) => {
            let letters = LETTERS.chars().take(last + 1).skip(first).step_by(step);
            letters.map(|letter| write(letter.to_string())).collect()
        }
        (.., Some(first), Some(last)) => {
            if last.saturating_sub(first) / (step as u64) >= most as u64 {
                return Err(format!("stands for more than {MOST} hosts"));
            }
            (first..=last).step_by(step).map(|number| write(format!("{number:0width$}"))).collect()
        }
        _ => {
            return Err(format!(
                "has `[{range}]`, which is neither from number to number nor from letter to letter"
            ));
        }
    };
    if names.is_empty() {
        return Err(format!("has `[{range}]`, whose last comes before its first"));
    }
    Ok(names)
}

fn letter(text: &str) -> Option<usize> {
    let mut chars = text.chars();
    let (first, rest) = (chars.next()?, chars.next());
    if rest.is_some() { None } else { LETTERS.chars().position(|letter| letter == first) }
}

fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(pattern: &str) -> Vec<String> {
        expand(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}")).0
    }

    #[test]
    fn ranges_are_written_out_as_ansible_does() {
        assert_eq!(
            names("web[08:11].example.org"),
            ["web08.example.org", "web09.example.org", "web10.example.org", "web11.example.org"]
        );
        assert_eq!(names("db-[a:c]"), ["db-a", "db-b", "db-c"]);
        assert_eq!(names("n[0:9:4]"), ["n0", "n4", "n8"]);
        assert_eq!(names("n[:2]"), ["n0", "n1", "n2"]);
        assert_eq!(names("n[8:11]"), ["n8", "n9", "n10", "n11"]);
        assert_eq!(names("[a:b][1:2]"), ["a1", "a2", "b1", "b2"]);
        assert_eq!(names("[y:B]"), ["y", "z", "A", "B"]);
    }

    #[test]
    fn a_port_stands_behind_the_name() {
        assert_eq!(expand("web[1:2]:2222"), Ok((vec!["web1".into(), "web2".into()], Some(2222))));
        assert_eq!(expand("web"), Ok((vec!["web".into()], None)));
        assert_eq!(expand("2001:db8::1"), Ok((vec!["2001:db8::1".into()], None)));
    }

    #[test]
    fn what_is_no_range_says_why() {
        for pattern in [
            "web[",
            "web]",
            "web[1]",
            "web[1:2:0]",
            "web[1:a]",
            "web[3:1]",
            "web[01:100]",
            "w[1:99999999]",
            "w[1:200][1:200]",
            "web:",
            "web:0",
            "web:x",
            "w[1:2:3:4]",
            "w[:]",
        ] {
            assert!(expand(pattern).is_err(), "{pattern}: {:?}", expand(pattern));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_written_out_or_refused(text in "([a-c\\[\\]:0-9.]|\\PC){0,24}") {
            if let Ok((names, _)) = expand(&text) {
                prop_assert!(!names.is_empty() && names.len() <= MOST);
                prop_assert!(names.iter().all(|name| !name.contains(['[', ']'])));
            }
        }
    }
}
