//! With Debian's registry: what is pushed is pulled, what was tampered with is refused, and what is cached needs no network.

#[expect(dead_code, unreachable_pub, reason = "shared by several tests; each uses a part")]
mod support;

use bytes::Bytes;
use runner_fleet::{Registry, fleet_or_skip};
use runner_model::Digest;
use runner_registry::{
    Attachment, Cache, Client, Credentials, Error, File, Metadata, Overwrite, Reference, Repository,
    Settings, Tag,
};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use support::{COMPONENT, client, docker_file, settings};

fn repository(registry: &Registry, path: &str) -> Repository {
    format!("{}/{path}", registry.authority()).parse().expect("a repository")
}

fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

fn metadata() -> Metadata {
    Metadata {
        title: "restart".to_owned(),
        version: Some("1.2.0".to_owned()),
        summary: Some("Restarts a service".to_owned()),
        exports: vec!["runner:step/step@0.1.0".to_owned()],
        ..Metadata::default()
    }
}

async fn push(
    client: &Client,
    repository: &Repository,
    name: &str,
    component: &[u8],
) -> Result<Digest, Error> {
    let component = Bytes::copy_from_slice(component);
    client
        .push(repository, &tag(name), component, &metadata(), Overwrite::No)
        .await
        .map(|pushed| pushed.manifest)
}

fn tagged(repository: &Repository, name: &str, digest: Option<Digest>) -> Reference {
    Reference::new(repository.clone(), Some(tag(name)), digest)
}

/// Another component than the one of all tests, and a large one: it has a custom section.
fn another(size: usize) -> Vec<u8> {
    let mut bytes = COMPONENT.to_vec();
    // Section 0, its size in LEB128, the name `x`.
    bytes.push(0);
    let mut left = size + 2;
    while left >= 128 {
        bytes.push((left & 127) as u8 | 128);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes.extend_from_slice(&[1, b'x']);
    bytes.extend((0..size).map(|at| (at % 251) as u8));
    bytes
}

#[tokio::test]
async fn what_is_pushed_is_pulled_and_the_same_is_pushed_once() {
    let registry = fleet_or_skip!(Registry::start_plain());
    let (one, other) = (repository(&registry, "ops/restart"), repository(&registry, "elsewhere"));
    let component = another(3_000_000);
    let digest = push(&client(), &one, "1.2.0", &component).await.expect("pushed");
    let pulled = client().pull(&one, &digest).await.expect("pulled");
    assert_eq!((&pulled.component[..], pulled.digest), (&component[..], Digest::of(&component)));
    assert_eq!(pulled.annotations["org.opencontainers.image.version"], "1.2.0");
    assert_eq!(pulled.annotations["org.opencontainers.image.created"], "1970-01-01T00:00:00Z");
    // The same manifest, wherever and by whomever.
    assert_eq!(push(&client(), &other, "x", &component).await.expect("pushed"), digest);
    let again =
        client().push(&one, &tag("1.2.0"), component, &metadata(), Overwrite::No).await.expect("pushed");
    assert!(again.unchanged && again.manifest == digest);

    assert_eq!(client().resolve(&tagged(&one, "1.2.0", None)).await.expect("a digest"), digest);
    assert_eq!(client().resolve(&tagged(&one, "1.2.0", Some(digest))).await.expect("a digest"), digest);
    push(&client(), &one, "1.3.0", COMPONENT).await.expect("pushed");
    assert_eq!(client().tags(&one).await.expect("tags"), ["1.2.0", "1.3.0"].map(tag));

    let nothing = repository(&registry, "nothing");
    for error in [
        client().tags(&nothing).await.map(|_| ()).expect_err("no repository"),
        client().resolve(&tagged(&nothing, "1", None)).await.map(|_| ()).expect_err("no repository"),
        client().resolve(&tagged(&one, "9", None)).await.map(|_| ()).expect_err("no tag"),
        client().pull(&one, &Digest::of("x")).await.map(|_| ()).expect_err("no manifest"),
    ] {
        assert!(matches!(error, Error::Unknown { .. }), "{error}");
    }
    let bare = Reference::new(one, None, None);
    assert!(
        client().resolve(&bare).await.expect_err("which?").to_string().contains("neither a tag nor a digest")
    );
}

#[tokio::test]
async fn a_tag_is_moved_only_when_that_is_wanted() {
    let registry = fleet_or_skip!(Registry::start_plain());
    let at = repository(&registry, "ops/restart");
    let first = push(&client(), &at, "1", COMPONENT).await.expect("pushed");
    let error = push(&client(), &at, "1", &another(1)).await.expect_err("taken");
    assert!(matches!(&error, Error::TagTaken { is, .. } if *is == first), "{error}");
    assert_eq!(client().resolve(&tagged(&at, "1", None)).await.expect("a digest"), first);

    let moved = client().push(&at, &tag("1"), another(1), &metadata(), Overwrite::Yes).await.expect("pushed");
    assert!(!moved.unchanged && moved.manifest != first);
    // Who knows the old one notices, and still has it.
    let error = client().resolve(&tagged(&at, "1", Some(first))).await.expect_err("moved");
    assert!(
        matches!(&error, Error::TagMoved { was, is, .. } if (*was, *is) == (first, moved.manifest)),
        "{error}"
    );
    assert_eq!(&client().pull(&at, &first).await.expect("pulled").component[..], COMPONENT);
}

#[tokio::test]
async fn what_was_tampered_with_in_the_registry_is_refused() {
    let registry = fleet_or_skip!(Registry::start_plain());
    let at = repository(&registry, "ops/restart");
    let component = another(1000);
    let good = push(&client(), &at, "good", &component).await.expect("pushed");
    let other = push(&client(), &at, "other", COMPONENT).await.expect("pushed");

    // A swapped tag.
    std::fs::write(registry.tag("ops/restart", "good"), other.to_string()).expect("a swap");
    let error = client().resolve(&tagged(&at, "good", Some(good))).await.expect_err("swapped");
    assert_eq!(
        error.to_string(),
        format!("tag `good` of `{at}` was moved: it named `{good}`, and names `{other}` now")
    );

    // A layer with one other byte.
    let layer = registry.content(&Digest::of(&component).to_string());
    let mut bytes = std::fs::read(&layer).expect("a layer");
    *bytes.last_mut().expect("it has some") ^= 1;
    std::fs::write(&layer, &bytes).expect("tampered");
    let error = client().pull(&at, &good).await.expect_err("a tampered layer");
    assert_eq!(
        error.to_string(),
        format!(
            "`{at}` answers with another component than its manifest names: wanted `{}`, got `{}`",
            Digest::of(&component),
            Digest::of(&bytes)
        )
    );
    assert!(error.mend().starts_with("do not use it"), "{}", error.mend());
    // One that is cut off.
    std::fs::write(&layer, &bytes[..500]).expect("tampered");
    let error = client().pull(&at, &good).await.expect_err("a tampered layer");
    assert!(matches!(error, Error::LayerDiffers { .. }), "{error}");

    // A manifest that names the other layer: the registry serves it under the digest of the good one.
    let swapped = std::fs::read(registry.content(&other.to_string())).expect("a manifest");
    std::fs::write(registry.content(&good.to_string()), swapped).expect("tampered");
    let error = client().pull(&at, &good).await.expect_err("a tampered manifest");
    assert_eq!(
        error.to_string(),
        format!("`{at}` answers with another manifest than was asked for: wanted `{good}`, got `{other}`")
    );
}

#[tokio::test]
async fn users_are_known_by_what_docker_keeps() {
    let registry = fleet_or_skip!(Registry::builder().tls().user("alice", "pass:word").start());
    let at = repository(&registry, "ops/restart");
    let with = |credentials: Credentials| {
        Client::new(Settings { credentials, authorities: vec![registry.authority_file()], ..settings() })
            .expect("a client")
    };
    let error = push(&with(Credentials::none()), &at, "1", COMPONENT).await.expect_err("nobody");
    let refused = format!(
        "`{}` does not let us pull from `ops/restart` without credentials: UNAUTHORIZED",
        registry.authority()
    );
    assert!(error.to_string().starts_with(&refused), "{error}");
    assert!(error.mend().contains(&format!("docker login {}", registry.authority())), "{}", error.mend());

    let (_folder, file) = docker_file(&registry.authority(), r#"{"username":"alice","password":"wrong"}"#);
    let error = push(&with(Credentials::from_files([file])), &at, "1", COMPONENT).await.expect_err("wrong");
    assert!(
        error.to_string().contains("as `alice` of `auths.") && !error.to_string().contains("wrong"),
        "{error}"
    );

    let file = registry.docker_config().expect("logged in").join("config.json");
    let digest = push(&with(Credentials::from_files([file])), &at, "1", COMPONENT).await.expect("alice");

    // A helper: a program on the path that knows the password.
    let folder = tempfile::tempdir().expect("a folder");
    let helper = folder.path().join("docker-credential-vault");
    std::fs::write(&helper, "#!/bin/sh\n[ \"$(cat)\" = \"$REGISTRY\" ] || [ -z \"$REGISTRY\" ] && echo '{\"Username\":\"alice\",\"Secret\":\"pass:word\"}'\n")
        .expect("a file");
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let file = folder.path().join("config.json");
    std::fs::write(&file, format!("{{\"credHelpers\":{{\"{}\":\"vault\"}}}}", registry.authority()))
        .expect("a file");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let client = with(Credentials::from_files([file]).helpers_in(path));
    assert_eq!(&client.pull(&at, &digest).await.expect("alice").component[..], COMPONENT);
}

/// The name of the test below, which runs once more in a process with another environment.
const INNER: &str = "an_authority_is_known_or_named";

#[tokio::test]
async fn an_authority_is_known_or_named() {
    if let Ok(authority) = std::env::var("RUNNER_REGISTRY_TEST") {
        let at: Repository = format!("{authority}/ops/restart").parse().expect("a repository");
        let client = Client::new(Settings::default()).expect("a client");
        push(&client, &at, "1", COMPONENT)
            .await
            .expect("the authority of SSL_CERT_FILE, the user of DOCKER_CONFIG");
        return;
    }
    let registry = fleet_or_skip!(Registry::builder().tls().user("alice", "secret").start());
    let at = repository(&registry, "ops/restart");
    let error = client().tags(&at).await.expect_err("an unknown authority");
    assert_eq!(
        error.to_string(),
        format!(
            "connect to `{}`: its certificate is not trusted: it is signed by an authority that is not known here",
            registry.authority()
        )
    );
    assert!(error.mend().contains("SSL_CERT_FILE"), "{}", error.mend());
    let missing = Settings { authorities: vec!["/nonexistent/ca.pem".into()], ..settings() };
    let error = Client::new(missing).map(|_| ()).expect_err("no file");
    assert!(error.to_string().starts_with("read the authorities of `/nonexistent/ca.pem`: "), "{error}");

    let again = Command::new(std::env::current_exe().expect("this program"))
        .args([INNER, "--exact", "--nocapture"])
        .env("RUNNER_REGISTRY_TEST", registry.authority())
        .env("SSL_CERT_FILE", registry.authority_file())
        .env("DOCKER_CONFIG", registry.docker_config().expect("logged in"))
        .env_remove("REGISTRY_AUTH_FILE")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(
        again.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&again.stderr)
    );
}

fn cached(folder: &Path, offline: bool) -> Client {
    let cache = Some(Cache::open(folder).expect("a cache"));
    Client::new(Settings { cache, offline, ..settings() }).expect("a client")
}

fn signature(text: &str) -> Attachment {
    Attachment {
        artifact_type: "application/vnd.runner.signature.v1".to_owned(),
        files: vec![File {
            media_type: "application/vnd.runner.sshsig".to_owned(),
            name: "signature.sshsig".to_owned(),
            content: Bytes::copy_from_slice(text.as_bytes()),
        }],
    }
}

#[tokio::test]
async fn what_is_cached_needs_no_registry() {
    let mut registry = fleet_or_skip!(Registry::start_plain());
    let folder = tempfile::tempdir().expect("a folder");
    let at = repository(&registry, "ops/restart");
    let digest = push(&client(), &at, "1", COMPONENT).await.expect("pushed");
    let signed = client().attach(&at, &digest, &signature("alice")).await.expect("attached");
    let online = cached(folder.path(), false);
    let pulled = online.pull(&at, &digest).await.expect("pulled");
    let referrers = online.referrers(&at, &digest).await.expect("a list");
    let attached = online.pull_referrer(&at, &digest, &signed).await.expect("a signature");
    registry.stop();

    for client in [&online, &cached(folder.path(), true)] {
        assert_eq!(client.pull(&at, &digest).await.expect("cached"), pulled);
        assert_eq!(client.pull_referrer(&at, &digest, &signed).await.expect("cached"), attached);
        assert_eq!(client.referrers_seen(&at, &digest).await.expect("cached"), Some(referrers.clone()));
    }
    let offline = cached(folder.path(), true);
    assert_eq!(offline.referrers(&at, &digest).await.expect("cached"), referrers);
    assert!(matches!(online.referrers(&at, &digest).await, Err(Error::Unreachable { .. })));
    for error in [
        offline.tags(&at).await.map(|_| ()).expect_err("tags are not kept"),
        offline.resolve(&tagged(&at, "1", None)).await.map(|_| ()).expect_err("tags are not kept"),
        offline.pull(&at, &Digest::of("x")).await.map(|_| ()).expect_err("never seen"),
        offline.referrers(&at, &Digest::of("x")).await.map(|_| ()).expect_err("never seen"),
        push(&offline, &at, "1", COMPONENT).await.map(|_| ()).expect_err("a push"),
    ] {
        assert!(matches!(error, Error::Offline { .. }), "{error}");
        assert_eq!(error.mend(), "run once with a network, which fills the cache");
    }

    // A damaged file is fetched again, and never used.
    let hex = pulled.digest.hex();
    let kept = folder.path().join("blobs").join(&hex[..2]).join(&hex);
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    std::fs::write(&kept, b"\0asm\x0d\0\x01\x01").expect("damage");
    assert!(matches!(offline.pull(&at, &digest).await, Err(Error::Offline { .. })));
    registry.start().expect("started again");
    let at = repository(&registry, "ops/restart");
    assert_eq!(cached(folder.path(), false).pull(&at, &digest).await.expect("fetched again"), pulled);
    assert_eq!(std::fs::read(&kept).expect("kept again"), COMPONENT);
}

#[tokio::test]
async fn what_is_attached_is_found_where_the_registry_knows_no_referrers() {
    let registry = fleet_or_skip!(Registry::start_plain());
    let at = repository(&registry, "ops/restart");
    let one = push(&client(), &at, "1", COMPONENT).await.expect("pushed");
    let two = push(&client(), &at, "2", &another(9)).await.expect("pushed");
    assert!(client().referrers(&at, &one).await.expect("none yet").is_empty());

    let alice = client().attach(&at, &one, &signature("alice")).await.expect("attached");
    let bob = client().attach(&at, &one, &signature("bob")).await.expect("attached");
    assert_eq!(client().attach(&at, &one, &signature("alice")).await.expect("attached"), alice);
    let note = Attachment { artifact_type: "text/note".to_owned(), files: Vec::new() };
    let note = client().attach(&at, &one, &note).await.expect("attached");
    let list = client().referrers(&at, &one).await.expect("a list");
    assert_eq!(list.iter().map(|referrer| referrer.manifest).collect::<Vec<_>>(), [alice, bob, note]);
    let kind = signature("").artifact_type;
    let kinds: Vec<_> = list.iter().map(|referrer| referrer.artifact_type.as_str()).collect();
    assert_eq!(kinds, [kind.as_str(), &kind, "text/note"]);

    let attached = client().pull_referrer(&at, &one, &bob).await.expect("bob's");
    assert_eq!((attached.artifact_type, attached.files), (kind, signature("bob").files));
    assert!(client().pull_referrer(&at, &one, &note).await.expect("a note").files.is_empty());
    // It is said of this module, and of no other.
    let error = client().pull_referrer(&at, &two, &bob).await.expect_err("of another");
    assert!(
        error.to_string().ends_with(&format!("is not attached to `{two}`: it is attached to `{one}`")),
        "{error}"
    );
    let error = client().pull_referrer(&at, &two, &one).await.expect_err("a module");
    assert!(error.to_string().ends_with("it is attached to nothing"), "{error}");
    // What is attached is no module, and the list of it is no version of one.
    assert!(matches!(client().pull(&at, &bob).await, Err(Error::NotAModule { .. })));
    assert_eq!(client().tags(&at).await.expect("tags"), ["1", "2"].map(tag));

    // A statement with one other byte.
    let file = registry.content(&Digest::of("bob").to_string());
    std::fs::write(file, "eve").expect("tampered");
    let error = client().pull_referrer(&at, &one, &bob).await.expect_err("tampered");
    assert!(matches!(&error, Error::LayerDiffers { what: "file", .. }), "{error}");
}

#[tokio::test]
async fn several_attach_one_after_the_other_and_nothing_is_lost() {
    let registry = fleet_or_skip!(Registry::start_plain());
    let at = repository(&registry, "ops/restart");
    let subject = push(&client(), &at, "1", COMPONENT).await.expect("pushed");
    let mut expected = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        expected.push(client().attach(&at, &subject, &signature(name)).await.expect("attached"));
    }
    let list = client().referrers(&at, &subject).await.expect("a list");
    assert_eq!(list.iter().map(|referrer| referrer.manifest).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn limits_are_said_before_anything_is_sent() {
    // Nobody is there.
    let at: Repository = "127.0.0.1:1/x".parse().expect("a repository");
    let large = signature(&"x".repeat(2 * 1024 * 1024));
    let error = client().attach(&at, &Digest::of("x"), &large).await.expect_err("too large");
    assert!(
        error.to_string().contains("`signature.sshsig` has 2097152 bytes, and at most 1048576 are taken"),
        "{error}"
    );
    let many = Attachment { files: vec![large.files[0].clone(); 5], ..large };
    let error = client().attach(&at, &Digest::of("x"), &many).await.expect_err("too many");
    assert!(error.to_string().contains("5 files at once: at most 4 are taken"), "{error}");
    let noisy = Metadata { summary: Some("x".repeat(5 * 1024 * 1024)), ..metadata() };
    let error = client().push(&at, &tag("1"), COMPONENT, &noisy, Overwrite::No).await.expect_err("too large");
    assert!(error.to_string().starts_with("the manifest has "), "{error}");
}
