use super::*;
use crate::testing::{any_tree, file, link, tree};
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

struct Source {
    folder: tempfile::TempDir,
    store: Store,
}

impl Source {
    fn new<const N: usize>(files: [(&str, &str); N]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("store")).expect("a store");
        let source = Self { folder, store };
        fs::create_dir(source.at("")).expect("made");
        for (path, content) in files {
            source.write(path, content);
        }
        source
    }

    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join("source").join(path)
    }

    fn write(&self, path: impl AsRef<Path>, content: &str) {
        let at = self.at(path);
        fs::create_dir_all(at.parent().expect("a parent")).expect("made");
        fs::write(at, content).expect("written");
    }

    fn pack_with(&self, options: &Options<'_>) -> Result<Tree, Error> {
        pack(File::open(self.at("")).expect("a folder"), options, Some(&self.store))
    }

    fn pack(&self, exclude: &[&str]) -> Result<Tree, Error> {
        let exclude: Vec<String> = exclude.iter().map(|pattern| (*pattern).to_owned()).collect();
        self.pack_with(&Options { exclude: &exclude, gitignore: true, ..Options::default() })
    }

    fn paths(&self, exclude: &[&str]) -> Vec<String> {
        let tree = self.pack(exclude).expect("packed");
        tree.entries().map(|(path, _)| path.as_str().to_owned()).collect()
    }
}

#[test]
fn a_folder_becomes_its_tree_and_its_files_are_stored() {
    let large = "x".repeat(3 * 1024 * 1024);
    let source = Source::new([
        ("a b/it's", "1"),
        ("-rf", ""),
        ("new\nline", "2"),
        (".hidden/.x", "3"),
        ("large", &large),
    ]);
    fs::create_dir(source.at("empty")).expect("made");
    fs::set_permissions(source.at("-rf"), fs::Permissions::from_mode(0o700)).expect("chmod");
    std::os::unix::fs::symlink("a b/it's", source.at("link")).expect("linked");
    let expected = tree([
        ("a b/it's", file("1", false)),
        ("-rf", file("", true)),
        ("new\nline", file("2", false)),
        (".hidden/.x", file("3", false)),
        ("large", file(&large, false)),
        ("empty", Node::Directory),
        ("link", link("a b/it's")),
    ]);
    assert_eq!(source.pack(&[]).expect("packed"), expected);
    assert!(source.store.missing(&expected).is_empty());
    assert_eq!(source.pack(&[]).expect("packed again"), expected);
}

#[test]
fn the_tree_is_the_same_in_another_place_with_other_times_and_modes() {
    let files = [("b", "1"), ("a/c", "2"), ("a/b", "3"), ("z", "4")];
    let one = Source::new(files);
    let mut reversed = files;
    reversed.reverse();
    let other = Source::new(reversed);
    for (path, _) in files {
        fs::set_permissions(other.at(path), fs::Permissions::from_mode(0o600)).expect("chmod");
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
        File::options()
            .append(true)
            .open(other.at(path))
            .and_then(|f| f.set_modified(long_ago))
            .expect("aged");
    }
    fs::set_permissions(other.at("a"), fs::Permissions::from_mode(0o700)).expect("chmod");
    let digest = one.pack(&[]).expect("packed").digest();
    assert_eq!(digest, other.pack(&[]).expect("packed").digest());
    // Written down, for it must never change: releases are named by it.
    assert_eq!(digest.to_string(), "sha256:04b1d66f902540c1d3c5c4b73e18a5286eeceed33ba511f5fdcba5389d0f696a");
}

#[test]
fn patterns_are_those_of_gitignore_and_exclude_has_the_last_word() {
    let source = Source::new([
        (".git/HEAD", ""),
        (".gitignore", "\u{feff}*.log\r\n/dist/\nnode_modules\n"),
        ("app/.gitignore", "!keep.log\n/only-here\n"),
        ("app/keep.log", ""),
        ("app/other.log", ""),
        ("app/only-here", ""),
        ("app/sub/only-here", ""),
        ("dist/app.js", ""),
        ("app/dist/x", ""),
        ("node_modules/m/x", ""),
    ]);
    let base = [
        ".gitignore",
        "app",
        "app/.gitignore",
        "app/dist",
        "app/dist/x",
        "app/keep.log",
        "app/sub",
        "app/sub/only-here",
    ];
    assert_eq!(source.paths(&[".git"]), base);
    assert!(source.paths(&[]).contains(&".git/HEAD".to_owned()));
    assert!(source.paths(&["!dist/"]).contains(&"dist/app.js".to_owned()));
    assert_eq!(
        source.paths(&[".git", "app/*", "!app/sub"]),
        [".gitignore", "app", "app/sub", "app/sub/only-here"]
    );
    let all = source.pack_with(&Options::default()).expect("packed");
    assert!(all.get("app/other.log").is_some());
    let omitted = source.pack_with(&Options { omit: Some(".git"), ..Options::default() }).expect("packed");
    assert!(omitted.get(".git").is_none() && omitted.get(".gitignore").is_some());
}

#[test]
fn only_the_gitignore_files_of_the_source_count() {
    let source = Source::new([("a.log", ""), (".git/info/exclude", "*.log\n")]);
    fs::write(source.folder.path().join(".gitignore"), "*.log\n").expect("written");
    assert!(source.paths(&[]).contains(&"a.log".to_owned()));
}

#[test]
fn a_bad_pattern_is_named_with_its_place() {
    let source = Source::new([("app/.gitignore", "ok\n[z-a]\n")]);
    let error = source.pack(&[]).expect_err("a bad pattern").to_string();
    assert!(error.starts_with("read the patterns of app/.gitignore line 2: `[z-a]`: "), "{error}");
    let error = source.pack(&["a", "{"]).expect_err("a bad pattern").to_string();
    assert!(error.starts_with("read the patterns of exclude line 2: `{`: "), "{error}");
    fs::write(source.at("app/.gitignore"), b"ok\n\xff\n").expect("written");
    let error = source.pack(&[]).expect_err("not UTF-8").to_string();
    assert!(error.contains("app/.gitignore line 2") && error.contains("not UTF-8"), "{error}");
}

#[test]
fn a_link_out_of_the_source_is_refused() {
    for points_to in ["/etc/passwd", "../secret", "a/../../secret"] {
        let source = Source::new([("a/x", "")]);
        std::os::unix::fs::symlink(points_to, source.at("out")).expect("linked");
        let error = source.pack(&[]).expect_err(points_to).to_string();
        assert!(error.contains("`out` points to") && error.contains("outside of the tree"), "{error}");
        assert!(source.pack(&["out"]).is_ok());
        assert!(source.pack_with(&Options { any_links: true, ..Options::default() }).is_ok());
    }
}

#[test]
fn a_link_to_a_folder_outside_is_not_followed() {
    let source = Source::new([("a", "")]);
    std::os::unix::fs::symlink("../store", source.at("out")).expect("linked");
    let tree = source.pack_with(&Options { any_links: true, ..Options::default() }).expect("packed");
    assert_eq!(tree.get("out"), Some(&link("../store")));
    assert_eq!(tree.entries().len(), 2);
}

#[test]
fn what_cannot_travel_is_refused_and_named() {
    let source = Source::new([("a", "")]);
    let odd = OsStr::from_bytes(b"caf\xe9\n");
    fs::write(source.at(odd), "").expect("written");
    let error = source.pack(&[]).expect_err("not UTF-8").to_string();
    assert_eq!(error, "`caf\\xe9\\n` is not UTF-8, and only UTF-8 names can travel: rename or exclude it");
    assert!(source.pack(&["caf*"]).is_ok());
    fs::remove_file(source.at(odd)).expect("there");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        source.at("pipe"),
        FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("made");
    let error = source.pack(&[]).expect_err("a pipe").to_string();
    assert!(error.starts_with("`pipe` is a named pipe"), "{error}");
    fs::remove_file(source.at("pipe")).expect("there");
    let _socket = std::os::unix::net::UnixListener::bind(source.at("socket")).expect("bound");
    let error = source.pack(&[]).expect_err("a socket").to_string();
    assert!(error.starts_with("`socket` is a socket"), "{error}");
}

#[test]
fn a_file_that_is_written_to_meanwhile_is_refused() {
    let source = Source::new([("log", &*"x".repeat(1 << 20))]);
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = File::options().append(true).open(source.at("log")).expect("open");
            while !done.load(Ordering::Relaxed) && log.metadata().expect("stat").len() < 64 << 20 {
                io::Write::write_all(&mut log, &[b'x'; 4096]).expect("appended");
            }
        });
        let seen = (0..200).find_map(|_| source.pack(&[]).err());
        done.store(true, Ordering::Relaxed);
        seen
    });
    let error = seen.expect("a change is seen").to_string();
    assert_eq!(error, "`log` changed while it was read");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let source = Source::new([("secret", "")]);
    fs::set_permissions(source.at("secret"), fs::Permissions::from_mode(0o000)).expect("chmod");
    match source.pack(&[]) {
        Ok(_) => assert!(rustix::process::geteuid().is_root(), "only root reads everything"),
        Err(error) => assert!(error.to_string().starts_with("open `secret`"), "{error}"),
    }
}

#[test]
fn many_files_in_deep_folders_are_all_there() {
    let source = Source::new([]);
    for n in 0..500 {
        source.write(format!("{}/{}/{n}", n % 7, n % 31), &n.to_string());
    }
    let deep = vec!["d"; 200].join("/");
    source.write(&deep, "deep");
    let tree = source.pack(&[]).expect("packed");
    assert_eq!(tree.entries().filter(|(_, node)| matches!(node, Node::File { .. })).count(), 501);
    assert_eq!(tree.get(&deep), Some(&file("deep", false)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_is_laid_out_is_packed_as_it_was(tree in any_tree()) {
        let source = Source::new([]);
        for (path, node) in tree.entries() {
            let at = source.at(path);
            match node {
                Node::Directory => fs::create_dir(at).expect("made"),
                Node::Symlink { points_to } => std::os::unix::fs::symlink(points_to, at).expect("linked"),
                Node::File { size, executable, .. } => {
                    fs::write(&at, size.to_string().repeat(usize::try_from(*size).expect("small"))).expect("written");
                    let mode = if *executable { 0o711 } else { 0o604 };
                    fs::set_permissions(&at, fs::Permissions::from_mode(mode)).expect("chmod");
                }
            }
        }
        let packed = source.pack_with(&Options { any_links: true, ..Options::default() }).expect("packed");
        prop_assert_eq!(packed, tree);
    }
}
