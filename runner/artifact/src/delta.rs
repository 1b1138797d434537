//! What of a wanted tree a target lacks, and where on the target the rest can be copied from.

use crate::{Node, Tree, TreePath};
use runner_model::Digest;
use std::collections::HashMap;

/// The way from the trees that are on a target to the one that is wanted there, in the order in which it is gone:
/// make [`directories`](Self::directories), unpack [`sent`](Self::sent), do [`copies`](Self::copies), make
/// [`links`](Self::links). The result is verified as a whole by the digest of the wanted tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta<'t> {
    /// Folders, parents first.
    pub directories: Vec<&'t TreePath>,
    /// Files whose content is nowhere on the target; each content once.
    pub sent: Vec<(&'t TreePath, &'t Node)>,
    /// Files whose content is there already, or is sent under another path.
    pub copies: Vec<Copy<'t>>,
    /// Symbolic links, with what they point to.
    pub links: Vec<(&'t TreePath, &'t str)>,
    /// Bytes of what is sent.
    pub bytes: u64,
}

/// A file that is copied on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy<'t> {
    /// Where from.
    pub from: Source<'t>,
    /// Where to, in the wanted tree.
    pub to: &'t TreePath,
    /// Of the content.
    pub digest: Digest,
    /// Of the content, in bytes.
    pub size: u64,
    /// Whether the copy gets mode 0755, else 0644.
    pub executable: bool,
    /// The source has another mode, so the copy cannot be a hard link, and its mode must be set.
    pub mode_differs: bool,
}

/// Where on the target the content of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'t> {
    /// In the tree of that index.
    Present {
        /// In the list that the delta was made with.
        tree: usize,
        /// In that tree.
        path: &'t TreePath,
    },
    /// In the wanted tree itself, where it was just sent.
    Sent {
        /// In the wanted tree.
        path: &'t TreePath,
    },
}

impl<'t> Delta<'t> {
    /// The delta from the trees that are present, the best to copy from first (the live release, then older ones),
    /// to the wanted one. A file is taken from its own path where that has its content, else from any path with its
    /// content (it was renamed), and is else sent.
    pub fn new(wanted: &'t Tree, present: &[&'t Tree]) -> Self {
        let mut by_digest: HashMap<Digest, (Source<'t>, bool)> = HashMap::new();
        for (index, tree) in present.iter().enumerate() {
            for (path, node) in tree.entries() {
                if let Node::File { digest, executable, .. } = node {
                    by_digest.entry(*digest).or_insert((Source::Present { tree: index, path }, *executable));
                }
            }
        }
        let mut delta = Self { directories: vec![], sent: vec![], copies: vec![], links: vec![], bytes: 0 };
        for (path, node) in wanted.entries() {
            match node {
                Node::Directory => delta.directories.push(path),
                Node::Symlink { points_to } => delta.links.push((path, points_to)),
                Node::File { digest, size, executable } => {
                    let same_path = || own_path(present, path, digest);
                    match same_path().or_else(|| by_digest.get(digest).copied()) {
                        Some((from, was_executable)) => delta.copies.push(Copy {
                            from,
                            to: path,
                            digest: *digest,
                            size: *size,
                            executable: *executable,
                            mode_differs: was_executable != *executable,
                        }),
                        None => {
                            by_digest.insert(*digest, (Source::Sent { path }, *executable));
                            delta.bytes = delta.bytes.saturating_add(*size);
                            delta.sent.push((path, node));
                        }
                    }
                }
            }
        }
        delta
    }

    /// Whether all content is on the target already.
    pub fn sends_nothing(&self) -> bool {
        self.sent.is_empty()
    }
}

/// The first tree that has the content at the same path, and whether it is executable there.
fn own_path<'t>(present: &[&'t Tree], path: &'t TreePath, digest: &Digest) -> Option<(Source<'t>, bool)> {
    present.iter().enumerate().find_map(|(tree, there)| match there.get(path.as_str()) {
        Some(Node::File { digest: found, executable, .. }) if found == digest => {
            Some((Source::Present { tree, path }, *executable))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_tree, file, link, path, tree};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn only_new_content_is_sent_and_only_once() {
        let live = tree([
            ("same", file("same", false)),
            ("old name", file("moved", false)),
            ("x", file("x", false)),
        ]);
        let older = tree([("same", file("same", false)), ("deep/gone", file("gone", false))]);
        let wanted = tree([
            ("same", file("same", false)),
            ("new name", file("moved", false)),
            ("back", file("gone", false)),
            ("x", file("x", true)),
            ("n1", file("new", false)),
            ("n2", file("new", true)),
            ("empty", Node::Directory),
            ("l", link("n1")),
        ]);
        let delta = Delta::new(&wanted, &[&live, &older]);
        assert_eq!(delta.sent, [(&path("n1"), &file("new", false))]);
        assert_eq!(delta.bytes, 3);
        assert_eq!(delta.directories, [&path("empty")]);
        assert_eq!(delta.links, [(&path("l"), "n1")]);
        let copies: Vec<_> = delta.copies.iter().map(|c| (c.from, c.to.as_str(), c.mode_differs)).collect();
        let (gone, n1, old, same, x) =
            (path("deep/gone"), path("n1"), path("old name"), path("same"), path("x"));
        assert_eq!(
            copies,
            [
                (Source::Present { tree: 1, path: &gone }, "back", false),
                (Source::Sent { path: &n1 }, "n2", true),
                (Source::Present { tree: 0, path: &old }, "new name", false),
                (Source::Present { tree: 0, path: &same }, "same", false),
                (Source::Present { tree: 0, path: &x }, "x", true),
            ]
        );
    }

    proptest! {
        #[test]
        fn a_delta_that_is_gone_leads_to_the_wanted_tree(
            wanted in any_tree(),
            present in proptest::collection::vec(any_tree(), 0..3),
        ) {
            let present: Vec<&Tree> = present.iter().collect();
            let delta = Delta::new(&wanted, &present);
            let mut made: BTreeMap<TreePath, Node> = BTreeMap::new();
            made.extend(delta.directories.iter().map(|path| ((*path).clone(), Node::Directory)));
            made.extend(delta.sent.iter().map(|(path, node)| ((*path).clone(), (*node).clone())));
            for copy in &delta.copies {
                let source = match copy.from {
                    Source::Present { tree, path } => present[tree].get(path.as_str()).cloned(),
                    Source::Sent { path } => made.get(path).cloned(),
                };
                let Some(Node::File { digest, size, executable }) = source else {
                    return Err(TestCaseError::fail("a copy from where no file is"));
                };
                prop_assert_eq!(copy.mode_differs, executable != copy.executable);
                prop_assert_eq!((copy.digest, copy.size), (digest, size));
                made.insert(copy.to.clone(), Node::File { digest, size, executable: copy.executable });
            }
            made.extend(delta.links.iter().map(|(path, to)| ((*path).clone(), link(to))));
            prop_assert_eq!(Tree::from_entries(made), Ok(wanted.clone()));
            let mut contents: Vec<_> = delta.sent.iter().map(|(_, node)| format!("{node:?}")).collect();
            let sent = contents.len();
            contents.sort();
            contents.dedup();
            prop_assert_eq!(contents.len(), sent);
        }
    }
}
