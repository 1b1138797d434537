//! What the target's `stat`, `find` and `sha256sum` print, as entries, states and trees.

use runner_artifact::{Node, Tree, TreePath, listing::parse_sha256sum};
use runner_model::{Digest, Entry, EntryKind};
use std::collections::{BTreeSet, HashMap};

/// What `stat -c "%f %s %Y %u %g %U %G"` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) kind: EntryKind,
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) modified: u64,
    pub(crate) uid: String,
    pub(crate) gid: String,
    /// Names, or the numbers where there are none.
    pub(crate) owner: String,
    pub(crate) group: String,
}

impl Stat {
    pub(crate) fn entry(&self, name: &str) -> Entry {
        Entry {
            name: name.to_owned(),
            kind: self.kind,
            size: if self.kind == EntryKind::File { self.size } else { 0 },
            mode: self.mode,
            owner: self.owner.clone(),
            group: self.group.clone(),
            modified: self.modified,
        }
    }
}

fn kind(mode: u32) -> EntryKind {
    match mode & 0o170_000 {
        0o100_000 => EntryKind::File,
        0o040_000 => EntryKind::Directory,
        0o120_000 => EntryKind::Symlink,
        _ => EntryKind::Other,
    }
}

/// Reads one line without a name.
pub(crate) fn stat_line(line: &str) -> Option<Stat> {
    let words: Vec<&str> = line.split(' ').collect();
    let [mode, size, seconds, uid, gid, owner, group] = words[..] else { return None };
    let mode = u32::from_str_radix(mode, 16).ok()?;
    // A time before 1970 is one of a broken clock.
    let seconds = seconds.parse::<i64>().ok()?.max(0).unsigned_abs();
    let named =
        |name: &str, number: &str| if name == "UNKNOWN" { number.to_owned() } else { name.to_owned() };
    Some(Stat {
        kind: kind(mode),
        mode: mode & 0o7777,
        size: size.parse().ok()?,
        modified: seconds.saturating_mul(1000),
        uid: uid.to_owned(),
        gid: gid.to_owned(),
        owner: named(owner, uid),
        group: named(group, gid),
    })
}

/// The digest that `sha256sum` printed for its stdin.
pub(crate) fn sum(printed: &[u8]) -> Option<Digest> {
    let text = std::str::from_utf8(printed).ok()?;
    format!("sha256:{}", text.split_whitespace().next()?).parse().ok()
}

/// Records that each begin with the mark and a space, at the beginning of a line. A name may hold anything else.
fn records<'a>(printed: &'a [u8], mark: &str) -> Vec<&'a [u8]> {
    let begin = format!("{mark} ").into_bytes();
    let mut starts = Vec::new();
    let mut at = 0;
    while at + begin.len() <= printed.len() {
        if printed[at..].starts_with(&begin) && (at == 0 || printed[at - 1] == b'\n') {
            starts.push(at);
        }
        at += 1;
    }
    let ends = starts.iter().skip(1).copied().chain([printed.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| {
            let record = &printed[start + begin.len()..end];
            record.strip_suffix(b"\n").unwrap_or(record)
        })
        .collect()
}

/// The record's first words, and the rest of it, which is a name.
fn words(record: &[u8], count: usize) -> Option<(&str, &[u8])> {
    let mut at = 0;
    for _ in 0..count {
        at += record.get(at..)?.iter().position(|&b| b == b' ')? + 1;
    }
    Some((std::str::from_utf8(&record[..at - 1]).ok()?, &record[at..]))
}

fn utf8(name: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(name).map_err(|_| format!("a name in it is not UTF-8: `{}`", name.escape_ascii()))
}

/// What is free, in a line of `df -P`. The device's name may have spaces; the numbers come after it, and the one before
/// the percentage is what is free.
pub(crate) fn free(line: &str) -> Option<u64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let percent = words.iter().rposition(|word| word.ends_with('%'))?;
    words.get(percent.checked_sub(1)?)?.parse().ok()
}

/// What `v_dir` printed, sorted by name.
pub(crate) fn folder(printed: &[u8], mark: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for record in records(printed, mark) {
        let odd = || format!("stat printed `{}`", record.escape_ascii());
        let (line, name) = words(record, 7).ok_or_else(odd)?;
        if name == b"/" {
            continue;
        }
        let name = utf8(name.strip_prefix(b"./").ok_or_else(odd)?)?;
        entries.push(stat_line(line).ok_or_else(odd)?.entry(name));
    }
    entries.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    Ok(entries)
}

/// All below a folder, and whether others than the trusted users may change things in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) tree: Tree,
    /// Folders: path, mode, user and group id.
    pub(crate) folders: Vec<(String, u32, String, String)>,
    /// Files and folders whose mode is not the one that a tree has at that place.
    pub(crate) odd_modes: Vec<String>,
    /// Files, folders and links by owner and group id.
    pub(crate) owners: Vec<(String, String, String)>,
    /// Files and folders by their permission bits.
    pub(crate) modes: Vec<(String, u32)>,
}

impl Listed {
    /// Whether nothing differs but times.
    pub(crate) fn is_equal_to(&self, other: &Self) -> bool {
        let owners = |listed: &Self| listed.owners.iter().cloned().collect::<BTreeSet<_>>();
        let modes = |listed: &Self| listed.modes.iter().cloned().collect::<BTreeSet<_>>();
        self.tree == other.tree && modes(self) == modes(other) && owners(self) == owners(other)
    }
}

/// One entry of a listing.
struct Listing<'a> {
    kind: EntryKind,
    /// Permission bits.
    mode: u32,
    size: u64,
    uid: &'a str,
    gid: &'a str,
    name: &'a [u8],
    /// Of a link.
    points_to: Option<&'a [u8]>,
}

impl<'a> Listing<'a> {
    /// Reads `%y %m %s %U %G %p\0%l\0`, as find prints it.
    fn of_find(record: &'a [u8]) -> Option<Self> {
        let (line, rest) = words(record, 5)?;
        let mut ends = rest.split(|&b| b == 0);
        let (name, points_to) = (ends.next()?, ends.next()?);
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, mode, size, uid, gid] = words[..] else { return None };
        let kind = match kind {
            "f" => EntryKind::File,
            "d" => EntryKind::Directory,
            "l" => EntryKind::Symlink,
            _ => EntryKind::Other,
        };
        let mode = u32::from_str_radix(mode, 8).ok()?;
        let points_to = (kind == EntryKind::Symlink).then_some(points_to);
        Some(Self { kind, mode, size: size.parse().ok()?, uid, gid, name, points_to })
    }

    /// Reads `%f %s %u %g %n`, as stat prints it.
    fn of_stat(record: &'a [u8]) -> Option<Self> {
        let (line, name) = words(record, 4)?;
        let words: Vec<&str> = line.split(' ').collect();
        let [mode, size, uid, gid] = words[..] else { return None };
        let mode = u32::from_str_radix(mode, 16).ok()?;
        let size = size.parse().ok()?;
        Some(Self { kind: kind(mode), mode: mode & 0o7777, size, uid, gid, name, points_to: None })
    }
}

/// What `tree` of the prelude printed.
pub(crate) fn tree(printed: &[u8], mark: &str) -> Result<Listed, String> {
    let find = |what: &[u8], within: &[u8]| within.windows(what.len()).rposition(|window| window == what);
    // After the empty record come the links that find did not print.
    let empty = format!("{mark} \n").into_bytes();
    let cut = find(&empty, printed).ok_or("the listing is not complete")?;
    let again = format!("{mark} again\n").into_bytes();
    let mut links = printed[cut + empty.len()..].split(|&b| b == 0);
    let by_stat = find(&again, &printed[..cut]).map(|at| at + again.len());
    let printed = &printed[by_stat.unwrap_or(0)..cut];
    let mut sums = HashMap::new();
    let mut stats = Vec::new();
    for record in records(printed, mark) {
        let odd = || format!("the listing has `{}`", record.escape_ascii());
        let (record, printed_sums) =
            if by_stat.is_some() { before_sums(record) } else { after_links(record).ok_or_else(odd)? };
        for (digest, name) in parse_sha256sum(printed_sums).map_err(|error| error.to_string())? {
            sums.insert(name, digest);
        }
        let stat = if by_stat.is_some() { Listing::of_stat(record) } else { Listing::of_find(record) };
        stats.push(stat.ok_or_else(odd)?);
    }
    let mut listed = Listed {
        tree: Tree::default(),
        folders: vec![],
        odd_modes: vec![],
        owners: Vec::with_capacity(stats.len()),
        modes: Vec::with_capacity(stats.len()),
    };
    let mut entries = Vec::with_capacity(stats.len());
    for Listing { kind, mode, size, uid, gid, name, points_to } in stats {
        let (uid, gid) = (uid.to_owned(), gid.to_owned());
        if name == b"." {
            listed.folders.push((String::new(), mode, uid.clone(), gid.clone()));
            listed.owners.push((".".to_owned(), uid, gid));
            listed.modes.push((".".to_owned(), mode));
            continue;
        }
        let below =
            name.strip_prefix(b"./").ok_or_else(|| format!("the listing has `{}`", name.escape_ascii()))?;
        let name = utf8(below)?;
        let node = match kind {
            EntryKind::File => {
                let digest = sums
                    .remove(name)
                    .ok_or_else(|| format!("`{}` changed while it was read", name.escape_debug()))?;
                Node::File { digest, size, executable: mode & 0o100 != 0 }
            }
            EntryKind::Directory => {
                listed.folders.push((name.to_owned(), mode, uid.clone(), gid.clone()));
                Node::Directory
            }
            EntryKind::Symlink => {
                let points_to =
                    points_to.or_else(|| links.next()).ok_or("the listing of its links is not complete")?;
                Node::Symlink { points_to: utf8(points_to)?.to_owned() }
            }
            EntryKind::Other => {
                return Err(format!("`{}` is neither a file, a folder nor a link", name.escape_debug()));
            }
        };
        if !matches!(node, Node::Symlink { .. }) {
            listed.modes.push((name.to_owned(), mode));
            if mode != node.mode() {
                listed.odd_modes.push(name.to_owned());
            }
        }
        listed.owners.push((name.to_owned(), uid, gid));
        let path: TreePath = name.to_owned().try_into().map_err(|error| format!("{error}"))?;
        entries.push((path, node));
    }
    listed.tree = Tree::from_entries(entries).map_err(|error| error.to_string())?;
    Ok(listed)
}

/// A record of find, up to the end of what its link points to, and the lines of `sha256sum` that follow: the two run
/// in turns in a large tree.
fn after_links(record: &[u8]) -> Option<(&[u8], &[u8])> {
    let name = record.iter().position(|&b| b == 0)? + 1;
    let link = name + record[name..].iter().position(|&b| b == 0)? + 1;
    let (record, rest) = record.split_at(link);
    Some((record, rest.strip_prefix(b"\n").unwrap_or(rest)))
}

/// A record of stat and the lines of `sha256sum` that follow. The name itself may have line ends, but what looks like a
/// line of sha256sum down to the end of the record is one.
fn before_sums(record: &[u8]) -> (&[u8], &[u8]) {
    match first_sum(record) {
        Some(at) => (record[..at].strip_suffix(b"\n").unwrap_or(&record[..at]), &record[at..]),
        None => (record, &[]),
    }
}

/// Where the lines of `sha256sum` begin that end the record.
fn first_sum(record: &[u8]) -> Option<usize> {
    let is_sum = |line: &[u8]| {
        let line = line.strip_prefix(b"\\").unwrap_or(line);
        line.len() > 66
            && line[..64].iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
            && line[64..].starts_with(b"  ./")
    };
    let mut start = None;
    let mut end = record.len();
    while let Some(at) = record[..end].iter().rposition(|&b| b == b'\n') {
        if !is_sum(&record[at + 1..end]) {
            break;
        }
        start = Some(at + 1);
        end = at;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read() {
        let stat = stat_line("81a4 12 1700000000 0 1000 root UNKNOWN").expect("a line");
        assert_eq!((stat.kind, stat.mode, stat.modified), (EntryKind::File, 0o644, 1_700_000_000_000));
        assert_eq!((stat.owner.as_str(), stat.group.as_str()), ("root", "1000"));
        assert_eq!(stat_line("81a4 12"), None);
    }

    #[test]
    fn names_may_hold_line_ends_and_what_looks_like_a_record() {
        let printed = b"M 81a4 1 0 0 0 a b ./x\nM2 81a4\nM 41ed 0 0 0 0 a b ./d\nM 41ed 0 0 0 0 a b /\n";
        let names: Vec<_> = folder(printed, "M").expect("read").into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["d", "x\nM2 81a4"]);
        let refused = folder(b"M 81a4 1 0 0 0 a b ./\xff\n", "M").expect_err("not UTF-8");
        assert!(refused.contains("\\xff"), "{refused}");
    }

    #[test]
    fn a_tree_is_read_with_its_links() {
        let sum = Digest::of("1").hex();
        let by_stat = format!(
            "\nM again\nM 41ed 0 0 0 .\nM 81ed 1 0 0 ./run\nM a1ff 1 0 0 ./l\n{sum}  ./run\nM 81a4 1 0 0 ./f\n\
             M 41c0 0 5 0 ./d\n{sum}  ./f\nM \n../x\0"
        );
        let by_find = format!(
            "M d 755 0 0 0 .\0\0\nM f 755 1 0 0 ./run\0\0\nM l 777 1 0 0 ./l\0../x\0\n{sum}  ./run\n\
             M f 644 1 0 0 ./f\0\0\nM d 700 0 5 0 ./d\0\0\n{sum}  ./f\nM \n"
        );
        let given_up = format!("M d 755 0 0 0 .\0\0\n{by_stat}");
        for printed in [&by_stat, &by_find, &given_up] {
            let listed = tree(printed.as_bytes(), "M").unwrap_or_else(|error| panic!("{error}: {printed}"));
            assert_eq!(listed.tree.entries().len(), 4, "{printed}");
            assert_eq!(listed.tree.get("l"), Some(&Node::Symlink { points_to: "../x".to_owned() }));
            assert_eq!(listed.odd_modes, ["d"]);
            assert!(tree(printed.replace("M \n", "").as_bytes(), "M").is_err());
            // Found by the fuzzer: a record that is not marked as one is no part of a name either.
            assert!(tree(printed.replacen("\nM ", "\nM`", 3).as_bytes(), "M").is_err());
            assert!(tree(printed.replace(&format!("{sum}  ./f\n"), "").as_bytes(), "M").is_err());
        }
    }

    #[test]
    fn what_a_target_prints_in_no_order_is_refused_or_read() {
        // Found by the fuzzer.
        for printed in ["M \nM again\n", "M again\nM \n", "M again\nM \nM again\n"] {
            assert!(tree(printed.as_bytes(), "M").is_ok_and(|listed| listed.tree.is_empty()), "{printed:?}");
        }
    }

    #[test]
    fn where_a_link_points_to_is_no_sum() {
        let (sum, other) = (Digest::of("1"), Digest::of("2"));
        let points_to = format!("x\n{}  ./f", other.hex());
        let printed =
            format!("M f 644 1 0 0 ./f\0\0\nM l 777 1 0 0 ./l\0{points_to}\0\n{}  ./f\nM \n", sum.hex());
        let listed = tree(printed.as_bytes(), "M").expect("read");
        assert_eq!(listed.tree.get("f"), Some(&Node::File { digest: sum, size: 1, executable: false }));
        assert_eq!(listed.tree.get("l"), Some(&Node::Symlink { points_to }));
    }
}
