//! Between manifests and the POSIX tools of a target: what `sha256sum` prints and checks.
//!
//! GNU `sha256sum` writes a line for each file: 64 hexadecimal digits, a space, a space or `*`, the name. When the
//! name holds a backslash, newline or carriage return, the line begins with a backslash, and these are written `\\`,
//! `\n`, `\r` in the name.

use crate::{Node, Tree};
use runner_model::Digest;

/// A line that `sha256sum` does not print.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read what sha256sum printed: line {line}: {why}")]
pub struct BadListing {
    line: usize,
    why: String,
}

/// The files of a tree as input for `sha256sum -c`, run in the tree's folder. Every name begins with `./`, so none is
/// an option or `-`, which `sha256sum` takes for stdin.
pub fn check_list(tree: &Tree) -> String {
    let mut list = String::new();
    for (path, node) in tree.entries() {
        if let Node::File { digest, .. } = node {
            let escaped = path.as_str().contains(['\\', '\n', '\r']);
            if escaped {
                list.push('\\');
            }
            list.push_str(&digest.hex());
            list.push_str("  ./");
            for c in path.as_str().chars() {
                match c {
                    '\\' if escaped => list.push_str("\\\\"),
                    '\n' => list.push_str("\\n"),
                    '\r' => list.push_str("\\r"),
                    c => list.push(c),
                }
            }
            list.push('\n');
        }
    }
    list
}

/// Reads what `sha256sum` printed: digests and names, as they were given to it but for a `./` in front.
///
/// # Errors
/// A line is not one of `sha256sum`, or a name is not UTF-8 (it is named, escaped).
pub fn parse_sha256sum(printed: &[u8]) -> Result<Vec<(Digest, String)>, BadListing> {
    let body = printed.strip_suffix(b"\n").unwrap_or(printed);
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let line =
        |(index, line): (usize, &[u8])| parse_line(line).map_err(|why| BadListing { line: index + 1, why });
    body.split(|byte| *byte == b'\n').enumerate().map(line).collect()
}

fn parse_line(line: &[u8]) -> Result<(Digest, String), String> {
    let line = std::str::from_utf8(line).map_err(|_| {
        format!("the name is not UTF-8: `{}`; only UTF-8 names can travel", line.escape_ascii())
    })?;
    let (escaped, rest) = line.strip_prefix('\\').map_or((false, line), |rest| (true, rest));
    let odd = || format!("`{}` is not a digest and a name", line.escape_debug());
    let (hex, name) = rest.split_once(' ').ok_or_else(odd)?;
    let digest = format!("sha256:{hex}").parse().map_err(|_| odd())?;
    let name = name.strip_prefix([' ', '*']).ok_or_else(odd)?;
    let name = if escaped { unescape(name).ok_or_else(odd)? } else { name.to_owned() };
    Ok((digest, name.strip_prefix("./").map(str::to_owned).unwrap_or(name)))
}

fn unescape(text: &str) -> Option<String> {
    let mut raw = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        raw.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            c => c,
        });
    }
    Some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_tree, file, tree};
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn sha256sum_checks_a_list_and_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = ["-", "-rf", "a b", "it's \"q\"", "back\\slash", "new\nline", "car\rriage", "*star"];
        for name in names {
            std::fs::write(folder.path().join(name), name).expect("written");
        }
        let tree = tree(names.map(|name| (name, file(name, false))));
        std::fs::write(folder.path().join("list"), check_list(&tree)).expect("written");
        let sha256sum = |args: &[&str]| {
            Command::new("sha256sum")
                .current_dir(folder.path())
                .args(args)
                .output()
                .expect("sha256sum is there")
        };
        let checked = sha256sum(&["--strict", "-c", "list"]);
        assert!(checked.status.success(), "{checked:?}");
        let args: Vec<String> = names.iter().map(|name| format!("./{name}")).collect();
        let printed = sha256sum(&args.iter().map(String::as_str).collect::<Vec<_>>()).stdout;
        let expected: Vec<_> = names.iter().map(|name| (Digest::of(name), (*name).to_owned())).collect();
        assert_eq!(parse_sha256sum(&printed), Ok(expected));
    }

    #[test]
    fn a_name_that_is_not_utf8_is_named() {
        let mut line = Digest::of("").hex().into_bytes();
        line.extend(b"  ./caf\xe9\n");
        let error = parse_sha256sum(&line).expect_err("not UTF-8").to_string();
        assert!(error.contains("line 1") && error.contains("./caf\\xe9"), "{error}");
        assert!(parse_sha256sum(b"sha256sum: x: Permission denied\n").is_err());
        assert_eq!(parse_sha256sum(b""), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn a_list_is_read_back(tree in any_tree()) {
            let files: Vec<_> = tree
                .entries()
                .filter_map(|(path, node)| match node {
                    Node::File { digest, .. } => Some((*digest, path.as_str().to_owned())),
                    _ => None,
                })
                .collect();
            prop_assert_eq!(parse_sha256sum(check_list(&tree).as_bytes()), Ok(files));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_sha256sum(&bytes);
        }
    }
}
