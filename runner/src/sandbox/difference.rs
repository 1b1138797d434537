//! `--diff`: what a change makes different, for people. Read before the change, with the grant of the change itself; the
//! guest learns nothing of it.
//!
//! A content is shown only where everybody on the target may read the file before and after: a log has more readers
//! than a file that is kept from others. What was read is shown only when it has the digest that the change replaces.

use super::context::{Context, Reach};
use runner_artifact::Node;
use runner_model::{Change, Difference, Digest, Failure, Hidden, State};
use runner_transport::{Target as Verbs, Within};
use similar::{Algorithm, ChangeTag, TextDiff};
use std::sync::Arc;
use std::time::Duration;

/// The largest file of which the lines are compared.
const FILE_MAX: u64 = 256 << 10;
/// How much of a diff is kept, in lines and in bytes of each.
const LINES_MAX: usize = 200;
const LINE_MAX: usize = 400;
/// How long two texts are compared exactly; then the rest is told as replaced.
const COMPARING: Duration = Duration::from_millis(300);

impl Context {
    /// What the change will make different. Never a reason for it not to happen.
    pub(crate) async fn difference(
        &self,
        verbs: &Arc<dyn Verbs>,
        change: &Change,
        within: &Reach,
        before: &State,
        after: &State,
    ) -> Difference {
        if matches!(change, Change::WriteSecret { .. }) {
            return Difference::Secret;
        }
        if let (Change::Write { path, content, size, .. }, State::File { mode, .. }) = (change, after) {
            let found = match before {
                State::File { digest, size, mode, .. } => Some((*digest, *size, *mode)),
                _ => None,
            };
            if found.map(|(digest, ..)| digest) == Some(*content) {
                return Difference::Line { line: attributes(before, after) };
            }
            let hidden =
                |why| Difference::Hidden { why, before: found.map(|(_, size, _)| size), after: *size };
            let kept_private = |mode: u32| mode & 0o004 == 0;
            if kept_private(*mode) || found.is_some_and(|(.., mode)| kept_private(mode)) {
                return hidden(Hidden::Private);
            }
            if *size > FILE_MAX || found.is_some_and(|(_, size, _)| size > FILE_MAX) {
                return hidden(Hidden::Large);
            }
            let old = match found {
                None => String::new(),
                Some((digest, ..)) => {
                    // What a step may replace, the host may look at for it.
                    let places = within.as_within().writes;
                    let within = Within { reads: places, writes: places };
                    match self.or_cancelled(verbs.read(path, within)).await {
                        Ok(text) if Digest::of(&text) == digest => text,
                        Err(failure) if failure.kind == runner_model::FailureKind::Invalid => {
                            return hidden(Hidden::Binary);
                        }
                        Ok(_) | Err(_) => return hidden(Hidden::Unread),
                    }
                }
            };
            let (store, content, name) = (self.store.clone(), *content, path.to_string());
            let was_there = found.is_some();
            let compared = self.blocking(move || {
                let new = store.read_bytes(&content, FILE_MAX)?;
                Ok(String::from_utf8(new)
                    .ok()
                    .and_then(|new| compare(&name, was_there.then_some(&old), &new)))
            });
            return match compared.await {
                Ok(Some(difference)) => difference,
                Ok(None) => hidden(Hidden::Binary),
                Err(_) => hidden(Hidden::Unread),
            };
        }
        Difference::Line { line: self.in_a_line(change, before, after).await }
    }

    async fn in_a_line(&self, change: &Change, before: &State, after: &State) -> String {
        match change {
            Change::Unpack { tree, links, .. } if matches!(before, State::Absent) => {
                let (store, tree) = (self.store.clone(), *tree);
                let listed = self.blocking(move || {
                    let tree = store.tree(&tree)?;
                    let files = tree.entries().filter(|(_, node)| matches!(node, Node::File { .. })).count();
                    Ok((files, tree.size()))
                });
                match listed.await {
                    Ok((files, bytes)) => {
                        let size = runner_model::words::size(bytes);
                        let links = match links.len() {
                            0 => String::new(),
                            links => format!(", {}", runner_model::words::count(links, "link")),
                        };
                        format!("new folder: {}{links}, {size}", runner_model::words::count(files, "file"))
                    }
                    Err(Failure { message, .. }) => format!("new folder ({message})"),
                }
            }
            Change::Rename { to, .. } => format!("now at {to}"),
            Change::Archive { path, .. } => format!("new archive of {path}"),
            Change::Unarchive { archive, .. } => format!("put back from {archive}"),
            Change::RemoveTree { .. } => "gone, with all that was in it".to_owned(),
            Change::Remove { .. } => format!("gone; it was {}", short(before)),
            _ => match (before, after) {
                (State::Absent, after) => format!("new: {}", short(after)),
                (State::File { .. }, State::File { .. })
                | (State::Directory { .. }, State::Directory { .. }) => attributes(before, after),
                (before, after) => format!("{} became {}", short(before), short(after)),
            },
        }
    }
}

/// What is at a path, in a few words.
fn short(state: &State) -> String {
    match state {
        State::Absent => "nothing".to_owned(),
        State::File { size, mode, .. } => {
            format!("a file of {}, mode {mode:o}", runner_model::words::size(*size))
        }
        State::Directory { mode, owner, group, .. } => format!("a folder of {owner}:{group}, mode {mode:o}"),
        State::Symlink { points_to } => format!("a link to {points_to}"),
        State::Other => "something else".to_owned(),
    }
}

/// What became different about who may do what.
fn attributes(before: &State, after: &State) -> String {
    type Parts<'a> = (u32, &'a str, &'a str);
    fn parts(state: &State) -> Option<Parts<'_>> {
        match state {
            State::File { mode, owner, group, .. } | State::Directory { mode, owner, group, .. } => {
                Some((*mode, owner, group))
            }
            _ => None,
        }
    }
    let (Some(old), Some(new)) = (parts(before), parts(after)) else {
        return format!("{} became {}", short(before), short(after));
    };
    let mut told = Vec::new();
    if old.0 != new.0 {
        told.push(format!("mode {:o} became {:o}", old.0, new.0));
    }
    for (what, old, new) in [("owner", old.1, new.1), ("group", old.2, new.2)] {
        if old != new {
            told.push(format!("{what} {old} became {new}"));
        }
    }
    told.join(", ")
}

/// The unified diff; `None`: one of the two is not text. `old` is `None` where no file was.
fn compare(name: &str, old: Option<&String>, new: &str) -> Option<Difference> {
    let text = old.map_or("", String::as_str);
    if text.contains('\0') || new.contains('\0') {
        return None;
    }
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).timeout(COMPARING).diff_lines(text, new);
    let count = |tag| {
        u64::try_from(diff.iter_all_changes().filter(|change| change.tag() == tag).count()).unwrap_or(0)
    };
    let from = if old.is_some() { name } else { "/dev/null" };
    let unified = diff.unified_diff().context_radius(3).header(from, name).to_string();
    let lines = unified.lines().count();
    let mut kept = String::new();
    for line in unified.lines().take(LINES_MAX) {
        let mut end = line.len().min(LINE_MAX);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        kept.push_str(&line[..end]);
        kept.push_str(if end < line.len() { " …\n" } else { "\n" });
    }
    Some(Difference::Text {
        unified: kept,
        added: count(ChangeTag::Insert),
        removed: count(ChangeTag::Delete),
        left_out: u64::try_from(lines.saturating_sub(LINES_MAX)).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(old: Option<&str>, new: &str) -> (String, u64, u64, u64) {
        match compare("/etc/shop.conf", old.map(str::to_owned).as_ref(), new) {
            Some(Difference::Text { unified, added, removed, left_out }) => {
                (unified, added, removed, left_out)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_diff_has_the_lines_around_what_changed() {
        let old = "a\nb\nc\nport = 80\nd\ne\nf\ng\n";
        let (unified, added, removed, _) = text(Some(old), &old.replace("80", "8080"));
        assert_eq!((added, removed), (1, 1));
        insta::assert_snapshot!(unified, @r"
        --- /etc/shop.conf
        +++ /etc/shop.conf
        @@ -1,7 +1,7 @@
         a
         b
         c
        -port = 80
        +port = 8080
         d
         e
         f
        ");
    }

    #[test]
    fn a_new_file_comes_from_nothing_and_a_missing_line_end_is_told() {
        let (unified, ..) = text(None, "a\nb");
        insta::assert_snapshot!(unified, @r"
        --- /dev/null
        +++ /etc/shop.conf
        @@ -0,0 +1,2 @@
        +a
        +b
        \ No newline at end of file
        ");
    }

    #[test]
    fn a_large_diff_is_cut_in_both_directions_and_bytes_are_no_text() {
        let new: String = (0..500).map(|number| format!("{number} {}\n", "ü".repeat(300))).collect();
        let (unified, added, _, left_out) = text(Some("x\n"), &new);
        assert_eq!((added, unified.lines().count()), (500, LINES_MAX));
        assert_eq!(left_out, 504 - 200);
        assert!(unified.lines().all(|line| line.len() <= LINE_MAX + 4));
        assert_eq!(compare("/x", None, "a\0b"), None);
    }

    #[test]
    fn texts_made_to_be_compared_slowly_are_told_soon() {
        let lines = |salt: u64| -> String {
            (0..60_000_u64)
                .map(|line| format!("{}\n", (line * 2_654_435_761 + salt) % 97 % (salt + 7)))
                .collect()
        };
        let (_, added, removed, _) = text(Some(&lines(3)), &lines(5));
        assert!(added > 0 && removed > 0);
    }

    #[test]
    fn attributes_and_kinds_are_told_in_a_line() {
        let file = |mode, owner: &str| State::File {
            digest: Digest::of("x"),
            size: 1536,
            mode,
            owner: owner.to_owned(),
            group: "www".to_owned(),
        };
        assert_eq!(
            attributes(&file(0o644, "root"), &file(0o600, "www")),
            "mode 644 became 600, owner root became www"
        );
        let link = State::Symlink { points_to: "releases/1".to_owned() };
        assert_eq!(
            attributes(&link, &file(0o644, "root")),
            "a link to releases/1 became a file of 1.5 KiB, mode 644"
        );
    }
}
