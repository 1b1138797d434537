//! The canonical manifest of a folder. Its digest names the folder's content, wherever and by whomever it was made.
//!
//! # The format, version 1
//!
//! UTF-8 lines, each ended by one newline. The first is `runner-tree 1`; the others, one for each entry and sorted
//! bytewise by path, are
//!
//! ```text
//! d PATH                      a folder, mode 0755
//! f SHA256 SIZE PATH          a file, mode 0644
//! x SHA256 SIZE PATH          an executable file, mode 0755
//! l PATH<tab>POINTS-TO        a symbolic link
//! ```
//!
//! `SHA256` is 64 lower-case hexadecimal digits, `SIZE` is in bytes, in decimal and without leading zeros. In paths
//! and links, `\`, tab, newline and carriage return are written `\\`, `\t`, `\n`, `\r`; all else stands for itself.
//! Every folder has its line, the tree itself has none. There are no times, owners or other modes: a file counts as
//! executable when its owner may execute it, so that no umask shows. So one tree has one text, and the SHA-256 of the
//! text is the digest of the tree.

use crate::TreePath;
use crate::path::PATH_MAX;
use runner_model::Digest;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

const HEADER: &str = "runner-tree 1";
/// How many links are followed before a chain of them counts as a loop; as many as Linux follows.
const MAX_HOPS: u32 = 40;

/// What is at a path of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// A regular file.
    File {
        /// Of its content.
        digest: Digest,
        /// In bytes.
        size: u64,
        /// Mode 0755, else 0644.
        executable: bool,
    },
    /// A folder, mode 0755.
    Directory,
    /// A symbolic link.
    Symlink {
        /// What is written in it.
        points_to: String,
    },
}

impl Node {
    /// The permission bits that it has when it is laid out.
    pub fn mode(&self) -> u32 {
        match self {
            Self::File { executable: false, .. } => 0o644,
            Self::File { executable: true, .. } | Self::Directory => 0o755,
            Self::Symlink { .. } => 0o777,
        }
    }
}

/// The files, folders and links below a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// Sorted by path, without duplicates; every parent is a folder of its own.
    entries: Vec<(TreePath, Node)>,
}

/// Text or a list of entries that is not a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the manifest of a tree: {place}: {why}")]
pub struct BadTree {
    place: String,
    why: String,
}

/// A symbolic link that leads out of its tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the symbolic link `{path}` points to `{}`, which is outside of the tree: only links inside of it can travel",
    .points_to.escape_debug()
)]
pub struct EscapingLink {
    /// Where it is.
    pub path: TreePath,
    /// What is written in it.
    pub points_to: String,
}

impl Tree {
    /// The tree of these entries, in whatever order they come. Parents that are missing are added.
    ///
    /// # Errors
    /// A path comes twice, the parent of one is not a folder, or a link cannot be one.
    pub fn from_entries(entries: impl IntoIterator<Item = (TreePath, Node)>) -> Result<Self, BadTree> {
        let bad = |path: &TreePath, why: &str| BadTree { place: format!("`{path}`"), why: why.to_owned() };
        let mut all = BTreeMap::new();
        for (path, node) in entries {
            if let Node::Symlink { points_to } = &node {
                check_link(points_to).map_err(|why| bad(&path, why))?;
            }
            if all.contains_key(&path) {
                return Err(bad(&path, "it is there twice"));
            }
            all.insert(path, node);
        }
        let parents: HashSet<TreePath> = all.keys().filter_map(TreePath::parent).collect();
        for mut path in parents {
            loop {
                match all.get(&path) {
                    Some(Node::Directory) => break,
                    Some(_) => return Err(bad(&path, "something is in it, and it is not a folder")),
                    None => {
                        all.insert(path.clone(), Node::Directory);
                    }
                }
                match path.parent() {
                    Some(parent) => path = parent,
                    None => break,
                }
            }
        }
        Ok(Self { entries: all.into_iter().collect() })
    }

    /// The entries, sorted bytewise by path: a folder comes before what is in it.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&TreePath, &Node)> {
        self.entries.iter().map(|(path, node)| (path, node))
    }

    /// What is at the path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        let found = self.entries.binary_search_by(|(p, _)| p.as_str().cmp(path)).ok()?;
        self.entries.get(found).map(|(_, node)| node)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all its files.
    pub fn size(&self) -> u64 {
        self.entries
            .iter()
            .map(|(_, node)| if let Node::File { size, .. } = node { *size } else { 0 })
            .fold(0, u64::saturating_add)
    }

    /// Its digest: the SHA-256 of [`Tree::to_text`].
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_text())
    }

    /// Its canonical text.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(32 + self.entries.len() * 112);
        text.push_str(HEADER);
        text.push('\n');
        for (path, node) in &self.entries {
            match node {
                Node::Directory => text.push_str("d "),
                Node::File { digest, size, executable } => {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{} {} {size} ", if *executable { 'x' } else { 'f' }, digest.hex());
                }
                Node::Symlink { .. } => text.push_str("l "),
            }
            escape_into(&mut text, path.as_str());
            if let Node::Symlink { points_to } = node {
                text.push('\t');
                escape_into(&mut text, points_to);
            }
            text.push('\n');
        }
        text
    }

    /// Reads a canonical text. Whatever is accepted is written back by [`Tree::to_text`] byte for byte.
    ///
    /// # Errors
    /// It is not a manifest, of another version, or not canonical.
    pub fn parse(text: &[u8]) -> Result<Self, BadTree> {
        let refuse = |line: usize, why: String| BadTree { place: format!("line {line}"), why };
        let text = std::str::from_utf8(text).map_err(|_| refuse(1, "it is not UTF-8".to_owned()))?;
        let body = text.strip_suffix('\n').ok_or_else(|| refuse(1, "the last line has no end".to_owned()))?;
        let mut lines = body.split('\n');
        match lines.next() {
            Some(HEADER) => {}
            Some(other) if other.starts_with("runner-tree ") => {
                let why =
                    format!("version `{}` is not known: use a newer runner", other[12..].escape_debug());
                return Err(refuse(1, why));
            }
            _ => return Err(refuse(1, format!("it does not begin with `{HEADER}`"))),
        }
        let mut entries: Vec<(TreePath, Node)> = Vec::new();
        let mut folders: HashSet<String> = HashSet::new();
        for (index, line) in lines.enumerate() {
            let refuse = |why: String| refuse(index + 2, why);
            let (path, node) = parse_line(line).map_err(refuse)?;
            if entries.last().is_some_and(|(before, _)| *before >= path) {
                return Err(refuse(format!("`{path}` is there twice or out of order")));
            }
            if path.parent_str().is_some_and(|parent| !folders.contains(parent)) {
                return Err(refuse(format!("the folder of `{path}` has no line before it")));
            }
            if node == Node::Directory {
                folders.insert(path.as_str().to_owned());
            }
            entries.push((path, node));
        }
        Ok(Self { entries })
    }

    /// Checks that every symbolic link leads to somewhere inside of the tree, through whatever other links. It need
    /// not exist.
    ///
    /// # Errors
    /// The first link that does not.
    pub fn check_links(&self) -> Result<(), EscapingLink> {
        for (path, node) in &self.entries {
            if let Node::Symlink { points_to } = node
                && self.escapes(path, points_to)
            {
                return Err(EscapingLink { path: path.clone(), points_to: points_to.clone() });
            }
        }
        Ok(())
    }

    /// Follows a link as the kernel would. A loop goes nowhere, so it does not escape.
    fn escapes(&self, path: &TreePath, points_to: &str) -> bool {
        let mut at: Vec<&str> =
            path.parent_str().map(|parent| parent.split('/').collect()).unwrap_or_default();
        if points_to.starts_with('/') {
            return true;
        }
        let mut todo: Vec<&str> = points_to.rsplit('/').collect();
        let mut hops = MAX_HOPS;
        while let Some(segment) = todo.pop() {
            match segment {
                "" | "." => {}
                ".." => {
                    if at.pop().is_none() {
                        return true;
                    }
                }
                name => {
                    at.push(name);
                    if let Some(Node::Symlink { points_to }) = self.get(&at.join("/")) {
                        if points_to.starts_with('/') {
                            return true;
                        }
                        if hops == 0 {
                            return false;
                        }
                        hops -= 1;
                        at.pop();
                        todo.extend(points_to.rsplit('/'));
                    }
                }
            }
        }
        false
    }
}

fn check_link(points_to: &str) -> Result<(), &'static str> {
    if points_to.is_empty() {
        Err("a link to nothing")
    } else if points_to.contains('\0') {
        Err("a link with a NUL in it")
    } else if points_to.len() >= PATH_MAX {
        Err("a link of more than 4095 bytes")
    } else {
        Ok(())
    }
}

fn parse_line(line: &str) -> Result<(TreePath, Node), String> {
    let path = |text: &str| unescape(text)?.parse::<TreePath>().map_err(|bad| bad.to_string());
    let (kind, rest) = line.split_once(' ').ok_or("it has no kind")?;
    match kind {
        "d" => Ok((path(rest)?, Node::Directory)),
        "l" => {
            let (at, points_to) = rest.split_once('\t').ok_or("a link without what it points to")?;
            let points_to = unescape(points_to)?;
            check_link(&points_to)?;
            Ok((path(at)?, Node::Symlink { points_to }))
        }
        "f" | "x" => {
            let (hex, rest) = rest.split_once(' ').ok_or("a file without a digest")?;
            let (size, at) = rest.split_once(' ').ok_or("a file without a size")?;
            let digest = format!("sha256:{hex}")
                .parse()
                .map_err(|_| "a digest is 64 lower-case hexadecimal digits")?;
            let number = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
            let size = number.ok_or("a size is a decimal number without leading zeros")?;
            Ok((path(at)?, Node::File { digest, size, executable: kind == "x" }))
        }
        other => Err(format!("`{}` is not a kind of entry", other.escape_debug())),
    }
}

fn escape_into(text: &mut String, raw: &str) {
    for c in raw.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut raw = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => raw.push(match chars.next() {
                Some('\\') => '\\',
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                _ => return Err("a `\\` that escapes nothing".to_owned()),
            }),
            '\t' | '\r' => return Err("a tab or carriage return that is not escaped".to_owned()),
            c => raw.push(c),
        }
    }
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{file, link, path, tree};
    use proptest::prelude::*;

    #[test]
    fn the_text_of_version_1_stays_as_it_is() {
        let tree = tree([
            ("b in/start", file("go", true)),
            ("-rf", file("", false)),
            ("odd\nna\\me\t'\"", file("x", false)),
            ("current", link("b in/start")),
            ("empty", Node::Directory),
        ]);
        let text = "runner-tree 1\n\
            f e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 -rf\n\
            d b in\n\
            x 4cd0e21a9a0795a14ec9aa5f0e7d1abff0492565770e43eafdf1e3e8afed1f33 2 b in/start\n\
            l current\tb in/start\n\
            d empty\n\
            f 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 1 odd\\nna\\\\me\\t'\"\n";
        assert_eq!(tree.to_text(), text);
        assert_eq!(Tree::parse(text.as_bytes()), Ok(tree.clone()));
        assert_eq!(tree.size(), 3);
        assert_eq!(tree.digest(), Digest::of(text));
        assert_eq!(Tree::default().to_text(), "runner-tree 1\n");
    }

    #[test]
    fn what_is_not_canonical_is_refused_with_its_line() {
        let hex = Digest::of("").hex();
        for (body, why) in [
            ("d b\nd a\n", "line 3: `a` is there twice or out of order"),
            ("d a\nd a\n", "line 3: `a` is there twice or out of order"),
            ("d a/b\n", "line 2: the folder of `a/b` has no line before it"),
            (&*format!("f {hex} 0 a\nd a/b\n"), "line 3: the folder of `a/b` has no line before it"),
            ("l a\t/etc\nd a/b\n", "line 3: the folder of `a/b` has no line before it"),
            ("d /a\n", "line 2: `/a` is not a path inside a tree: it must be relative"),
            ("d ../a\n", "line 2: `../a` is not a path inside a tree: `.` and `..` are not allowed"),
            ("d a\\x\n", "line 2: a `\\` that escapes nothing"),
            ("d a\tb\n", "line 2: a tab or carriage return that is not escaped"),
            ("\n", "line 2: it has no kind"),
            ("p a\n", "line 2: `p` is not a kind of entry"),
            (&*format!("f {hex} 00 a\n"), "line 2: a size is a decimal number without leading zeros"),
            (
                &*format!("f {} 0 a\n", hex.to_uppercase()),
                "line 2: a digest is 64 lower-case hexadecimal digits",
            ),
            ("l a\t\n", "line 2: a link to nothing"),
            ("d a", "line 1: the last line has no end"),
        ] {
            let error = Tree::parse(format!("{HEADER}\n{body}").as_bytes()).expect_err(body);
            assert_eq!(error.to_string(), format!("read the manifest of a tree: {why}"), "{body:?}");
        }
        let newer = Tree::parse(b"runner-tree 2\n").expect_err("newer").to_string();
        assert!(newer.contains("version `2` is not known"), "{newer}");
        assert!(Tree::parse(b"").is_err());
        assert!(Tree::parse(b"\xff\n").is_err());
    }

    #[test]
    fn entries_in_any_order_make_the_same_tree() {
        let entries = [("a/b/c", file("1", false)), ("a", Node::Directory), ("a-b", file("2", false))];
        let mut reversed = entries.clone();
        reversed.reverse();
        assert_eq!(tree(entries), tree(reversed));
        let clash = [(path("a"), file("1", false)), (path("a/b"), file("2", false))];
        assert!(Tree::from_entries(clash).is_err());
        let twice = [(path("a"), file("1", false)), (path("a"), file("1", false))];
        assert!(Tree::from_entries(twice).is_err());
    }

    #[test]
    fn links_are_followed_as_the_kernel_does() {
        let inside = tree([
            ("a/b/up", link("../..")),
            ("l", link("a/b/../../x")),
            ("dangling", link("nowhere/at/all")),
            ("loop", link("loop")),
        ]);
        assert_eq!(inside.check_links(), Ok(()));
        for points_to in ["/etc/passwd", "..", "../x", "d/../..", "d/up/..", "d/./../../x", "d/e/../../.."] {
            let tree = tree([("d/up", link("..")), ("d/e", Node::Directory), ("out", link(points_to))]);
            assert!(tree.check_links().is_err(), "{points_to}");
        }
        // Lexically inside, physically outside.
        let sly = tree([("a/b/up", link("../..")), ("sly", link("a/b/up/.."))]);
        assert_eq!(sly.check_links().map_err(|e| e.path.to_string()), Err("sly".to_owned()));
    }

    proptest! {
        #[test]
        fn a_tree_reads_back_what_it_writes(tree in crate::testing::any_tree()) {
            let text = tree.to_text();
            let read = Tree::parse(text.as_bytes());
            prop_assert_eq!(read, Ok(tree));
        }

        #[test]
        fn any_text_is_refused_or_canonical(text in "(runner-tree 1\n)?([dfxl] [a-c/.\\\\\t]{0,6}\n|f [0-9a-f]{64} [0-9]{1,3} [a-c/]{1,4}\n|l [a-c/]{1,4}\t[a-c/.]{1,5}\n){0,8}") {
            if let Ok(tree) = Tree::parse(text.as_bytes()) {
                prop_assert_eq!(tree.to_text(), text);
                let _ = tree.check_links();
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Tree::parse(&bytes);
            let mut text = b"runner-tree 1\n".to_vec();
            text.extend(bytes);
            let _ = Tree::parse(&text);
        }
    }
}
