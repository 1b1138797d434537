//! Short ways to make trees, for the tests of this crate.

use crate::{Node, Tree, TreePath};
use proptest::prelude::*;
use runner_model::Digest;

pub(crate) fn path(text: &str) -> TreePath {
    text.parse().expect(text)
}

pub(crate) fn file(content: &str, executable: bool) -> Node {
    Node::File { digest: Digest::of(content), size: content.len() as u64, executable }
}

pub(crate) fn link(points_to: &str) -> Node {
    Node::Symlink { points_to: points_to.to_owned() }
}

pub(crate) fn tree<const N: usize>(entries: [(&str, Node); N]) -> Tree {
    Tree::from_entries(entries.map(|(at, node)| (path(at), node))).expect("a tree")
}

/// A small tree with odd names, whose files have contents `0` to `7` with as many bytes.
pub(crate) fn any_tree() -> impl Strategy<Value = Tree> {
    let segment = prop_oneof!["[a-c]", "[-a-c \\\\\n\t'\"é]{1,4}"];
    let node = prop_oneof![
        4 => (0..8usize, any::<bool>()).prop_map(|(n, executable)| file(&n.to_string().repeat(n), executable)),
        1 => Just(Node::Directory),
        1 => "[a-c./\n\t\\\\]{1,6}".prop_map(|points_to| link(&points_to)),
    ];
    let at = proptest::collection::vec(segment, 1..4).prop_map(|segments| segments.join("/"));
    proptest::collection::vec((at, node), 0..24).prop_map(|entries| {
        let mut kept: Vec<(TreePath, Node)> = Vec::new();
        for (at, node) in entries {
            let Ok(at) = at.parse() else { continue };
            kept.push((at, node));
            if Tree::from_entries(kept.clone()).is_err() {
                kept.pop();
            }
        }
        Tree::from_entries(kept).expect("only what fits was kept")
    })
}
