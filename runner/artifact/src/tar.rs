//! Files of the store as one tar stream: the same bytes for the same entries, always.

use crate::{Error, Node, Store, TreePath};
use runner_model::Digest;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};
use tar::{Builder, EntryType, Header};

/// The time of every entry: 1980-01-01 UTC, the first that every archive format can hold, and one that GNU tar does
/// not warn about.
const TIME: u64 = 315_532_800;

/// Writes the entries in their order, straight from the store, and the end of the archive; returns `out`.
///
/// GNU format: long names and links are `././@LongLink` entries, sizes past 8 GiB are in base 256; GNU tar, bsdtar and
/// BusyBox read it. Owners are 0:0 without names, modes are [`Node::mode`], all times are 1980-01-01: **unpack with
/// `-m`**, or two versions of equal length get the same `ETag` and `Last-Modified` from a web server. Names keep their
/// leading dashes: unpack with `-C FOLDER` and never name members.
///
/// # Errors
/// A file is missing or corrupted in the store (then the stream is cut before its last byte), or `out` fails.
pub fn write_tar<'t, W: Write>(
    store: &Store,
    entries: impl IntoIterator<Item = (&'t TreePath, &'t Node)>,
    out: W,
) -> Result<W, Error> {
    let mut archive = Builder::new(out);
    for (path, node) in entries {
        let mut header = Header::new_gnu();
        header.set_mtime(TIME);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(node.mode());
        let failed = |error: io::Error| match error.downcast::<Error>() {
            Ok(corrupt) => corrupt,
            Err(error) => Error::io("send", path.as_str())(error),
        };
        match node {
            Node::Directory => {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                archive
                    .append_data(&mut header, format!("{}/", path.as_str()), io::empty())
                    .map_err(failed)?;
            }
            Node::Symlink { points_to } => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                set_link(&mut archive, &mut header, points_to).map_err(failed)?;
                archive.append_data(&mut header, path, io::empty()).map_err(failed)?;
            }
            Node::File { digest, size, .. } => {
                let content = store.open_verified(digest)?;
                if content.size() != *size {
                    return Err(Error::Corrupt {
                        digest: *digest,
                        path: store.root().to_owned(),
                        why: format!("it has {} bytes, and its tree says {size}", content.size()),
                    });
                }
                header.set_entry_type(EntryType::Regular);
                header.set_size(*size);
                archive.append_data(&mut header, path, content).map_err(failed)?;
            }
        }
    }
    archive.into_inner().map_err(Error::io("end the archive", ""))
}

/// Sets what a link points to, byte for byte: [`Builder::append_link`] would make `//a` into `/a`, and the tree that
/// arrives would have another digest.
fn set_link<W: Write>(archive: &mut Builder<W>, header: &mut Header, points_to: &str) -> io::Result<()> {
    if points_to.len() > header.as_old().linkname.len() {
        let mut long = Header::new_gnu();
        long.set_entry_type(EntryType::GNULongLink);
        long.set_size(points_to.len() as u64 + 1);
        archive.append_data(&mut long, "././@LongLink", points_to.as_bytes().chain(&[0][..]))?;
        // Readers without the extension get the beginning; the others never look at it.
        return header.set_link_name_literal(&points_to.as_bytes()[..header.as_old().linkname.len()]);
    }
    header.set_link_name_literal(points_to)
}

/// The most that an archive may hold which [`files_of_tar`] takes in, in bytes.
const LARGEST: u64 = 4 << 30;

/// Takes the regular files of an archive into the store, whatever they are called; answers what became of each name. No
/// name leads anywhere: nothing is written but the store.
///
/// # Errors
/// It is no archive, has more than 4 GiB in it, or the store cannot be written.
pub fn files_of_tar(store: &Store, input: impl io::Read) -> Result<BTreeMap<String, (Digest, u64)>, Error> {
    let failed = |error| Error::io("read", "the archive")(error);
    let mut archive = tar::Archive::new(input.take(LARGEST));
    let mut files = BTreeMap::new();
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        files.insert(name, store.put_reader(entry)?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tree;
    use crate::testing::{any_tree, file, link, path, tree};
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::{Command, Stdio};

    fn store_of_contents() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("store")).expect("a store");
        for n in 0..8 {
            store.put_bytes(n.to_string().repeat(n).as_bytes()).expect("put");
        }
        (folder, store)
    }

    /// What the system's tar makes of a stream.
    fn unpack(stream: &[u8], into: &std::path::Path) -> Tree {
        let mut child = Command::new("tar")
            .args(["-x", "-m", "-f", "-", "-C"])
            .arg(into)
            .stdin(Stdio::piped())
            .spawn()
            .expect("tar is there");
        child.stdin.take().expect("piped").write_all(stream).expect("tar reads");
        assert!(child.wait().expect("tar ends").success());
        let mut entries = Vec::new();
        let mut folders = vec![into.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().expect("a folder") {
                let at = entry.expect("an entry").path();
                let meta = at.symlink_metadata().expect("stat");
                let name = at.strip_prefix(into).expect("inside").to_str().expect("UTF-8").to_owned();
                let node = if meta.is_dir() {
                    folders.push(at);
                    Node::Directory
                } else if meta.is_symlink() {
                    link(std::fs::read_link(&at).expect("a link").to_str().expect("UTF-8"))
                } else {
                    let content = std::fs::read_to_string(&at).expect("a file");
                    file(&content, meta.permissions().mode() & 0o100 != 0)
                };
                entries.push((name.try_into().expect("a path"), node));
            }
        }
        Tree::from_entries(entries).expect("a tree")
    }

    #[test]
    fn long_names_and_links_arrive() {
        let (folder, store) = store_of_contents();
        let long = vec!["segment of a long path"; 40].join("/");
        let name = "n".repeat(255);
        let tree = tree([
            (&*long, file("22", true)),
            (&*format!("{long}-link"), link(&long)),
            (&*name, file("1", false)),
            ("-rf", file("", false)),
            ("link of 100", link(&"/".repeat(100))),
            ("link of 101", link(&"/".repeat(101))),
            ("empty", Node::Directory),
        ]);
        let stream = write_tar(&store, tree.entries(), Vec::new()).expect("written");
        assert_eq!(stream, write_tar(&store, tree.entries(), Vec::new()).expect("written"));
        let into = folder.path().join("into");
        std::fs::create_dir(&into).expect("made");
        assert_eq!(unpack(&stream, &into), tree);
    }

    #[test]
    fn a_corrupted_blob_cuts_the_stream() {
        let (_folder, store) = store_of_contents();
        let digest = runner_model::Digest::of("22");
        let blob = store.root().join("blobs").join(&digest.hex()[..2]).join(digest.hex());
        std::fs::remove_file(&blob).expect("there");
        std::fs::write(&blob, "23").expect("written");
        let (at, node) = (path("a"), file("22", false));
        let error = write_tar(&store, [(&at, &node)], Vec::new()).expect_err("corrupted");
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_systems_tar_unpacks_every_tree(tree in any_tree()) {
            let (folder, store) = store_of_contents();
            let into = folder.path().join("into");
            std::fs::create_dir(&into).expect("made");
            let stream = write_tar(&store, tree.entries(), Vec::new()).expect("written");
            prop_assert_eq!(unpack(&stream, &into), tree);
        }
    }
}
