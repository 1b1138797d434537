//! Registries that are broken, or want to do harm.

#[expect(unreachable_pub, reason = "shared by several tests")]
mod support;

use runner_model::Digest;
use runner_registry::{
    Attachment, Cache, Client, Credentials, Error, Metadata, Overwrite, Reference, Repository, Settings, Tag,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Answer, Asked, COMPONENT, Server, answer, client, docker_file, endless, settings};

/// A manifest whose one layer is said to be this.
fn manifest(layer: &str, size: u64) -> String {
    let config = Digest::of("{}");
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"x","digest":"{config}","size":2}},"layers":[{{"mediaType":"application/wasm","digest":"{layer}","size":{size}}}]}}"#
    )
}

/// A good registry with one module, but for what `instead` answers.
fn module(instead: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> (Server, Digest) {
    let text = manifest(&Digest::of(COMPONENT).to_string(), COMPONENT.len() as u64);
    let digest = Digest::of(&text);
    let server = Server::start(move |asked| {
        instead(asked).unwrap_or_else(|| {
            if asked.path.contains("/manifests/") {
                answer(200, "", &text)
            } else if asked.path.contains("/blobs/sha256:") {
                answer(200, "", COMPONENT)
            } else {
                answer(404, "", "")
            }
        })
    });
    (server, digest)
}

fn text_of(error: &Error) -> String {
    let text = format!("{error}\n{}", error.mend());
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    text
}

fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

#[tokio::test]
async fn what_is_good_is_pulled() {
    let (server, digest) = module(|_| None);
    let pulled = client().pull(&server.repository(), &digest).await.expect("a module");
    assert_eq!((&pulled.component[..], pulled.digest), (COMPONENT, Digest::of(COMPONENT)));
}

#[tokio::test]
async fn another_host_never_learns_who_we_are() {
    let other = Server::start(|_| answer(200, "", COMPONENT));
    let there = format!("location: http://{}/bucket/x\r\n", other.authority());
    let (server, digest) = module(move |asked| match &asked.authorization {
        None => Some(answer(401, "www-authenticate: Basic realm=\"x\"\r\n", "")),
        Some(_) if asked.path.contains("/blobs/") => Some(answer(307, &there, "")),
        Some(_) => None,
    });
    let (_folder, file) = docker_file(&server.authority(), r#"{"auth":"YWxpY2U6c2VjcmV0"}"#);
    let client = Client::new(Settings { credentials: Credentials::from_files([file]), ..settings() });
    let pulled = client.expect("a client").pull(&server.repository(), &digest).await.expect("a module");
    assert_eq!(&pulled.component[..], COMPONENT);
    let told: Vec<_> = server.asked().into_iter().filter_map(|asked| asked.authorization).collect();
    assert!(told.len() >= 2 && told.iter().all(|told| told == "Basic YWxpY2U6c2VjcmV0"), "{told:?}");
    let asked = other.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].path.as_str(), &asked[0].authorization), ("/bucket/x", &None));
}

#[tokio::test]
async fn a_redirect_leads_only_where_it_may() {
    for (place, why) in [
        ("http://169.254.169.254/latest/meta-data", "which is not TLS"),
        ("https://169.254.169.254/latest/meta-data", "metadata services"),
        ("https://[fd00:ec2::254]/", "metadata services"),
        ("http://192.0.2.1/", "which is not TLS"),
        ("http://localhost.example.org/", "which is not TLS"),
        ("file:///etc/passwd", "which is not HTTP"),
        ("https://a:b@192.0.2.1/", "a name or password"),
        ("http://[", "which is no URL"),
    ] {
        let location = format!("location: {place}\r\n");
        let (server, digest) =
            module(move |asked| asked.path.contains("/blobs/").then(|| answer(302, &location, "")));
        let error = client().pull(&server.repository(), &digest).await.expect_err(place);
        assert!(matches!(error, Error::Elsewhere { .. }), "{place}: {error}");
        assert!(text_of(&error).contains(why), "{place}: {error}");
    }
    let (server, digest) = module(|asked| {
        asked.path.contains("/blobs/").then(|| answer(302, &format!("location: {}x\r\n", asked.path), ""))
    });
    let error = client().pull(&server.repository(), &digest).await.expect_err("a loop");
    assert!(text_of(&error).contains("it leads from one to the next"), "{error}");
    let (server, digest) = module(|asked| asked.path.contains("/blobs/").then(|| answer(302, "", "")));
    let error = client().pull(&server.repository(), &digest).await.expect_err("nowhere");
    assert!(text_of(&error).contains("it does not say where it leads"), "{error}");
}

#[tokio::test]
async fn a_token_service_gets_the_credentials_and_the_registry_the_token() {
    let service = Server::start(|asked| match (&*asked.method, &asked.authorization) {
        ("GET", Some(told)) if told == "Basic YWxpY2U6c2VjcmV0" => answer(200, "", r#"{"token":"good"}"#),
        ("POST", None)
            if asked.body.starts_with(b"grant_type=refresh_token&client_id=runner&refresh_token=idt&") =>
        {
            answer(200, "", r#"{"access_token":"good"}"#)
        }
        _ => answer(401, "", r#"{"errors":[{"code":"DENIED","message":"who?"}]}"#),
    });
    let challenge = format!(
        "www-authenticate: Bearer realm=\"http://{}/token\",service=\"s\",scope=\"repository:other:push\"\r\n",
        service.authority()
    );
    let (server, digest) = module(move |asked| match asked.authorization.as_deref() {
        Some("Bearer good") => None,
        _ => Some(answer(401, &challenge, "")),
    });
    for entry in [r#"{"auth":"YWxpY2U6c2VjcmV0"}"#, r#"{"identitytoken":"idt"}"#] {
        let (_folder, file) = docker_file(&server.authority(), entry);
        let client = Client::new(Settings { credentials: Credentials::from_files([file]), ..settings() });
        client.expect("a client").pull(&server.repository(), &digest).await.expect(entry);
    }
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked.authorization.as_deref().is_none_or(|told| told == "Bearer good"))
    );
    assert!(service.was_asked("/token?scope=repository%3Aops%2Fx%3Apull&service=s"), "{:?}", service.asked());
    // Once for a repository, and not for each request.
    assert_eq!(service.asked().len(), 2);

    let error = client().pull(&server.repository(), &digest).await.expect_err("nobody");
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let text = text_of(&error);
    assert!(text.contains("without credentials: DENIED who?"), "{text}");
    assert!(text.contains(&format!("docker login {}", server.authority())), "{text}");
}

#[tokio::test]
async fn a_token_service_that_is_no_such_is_refused() {
    let big = Server::start(|_| endless(""));
    let bent = Server::start(|_| answer(302, "location: http://127.0.0.1:1/\r\n", ""));
    let page = Server::start(|_| answer(200, "", "<html>hunter2"));
    for (realm, why) in [
        (
            "http://169.254.169.254/latest".to_owned(),
            "leads a token request to `http://169.254.169.254/latest`",
        ),
        ("https://169.254.169.254/latest".to_owned(), "metadata services"),
        ("gopher://127.0.0.1/".to_owned(), "which is not HTTP"),
        (format!("http://{}/", big.authority()), "at most 262144 are taken"),
        (format!("http://{}/", bent.authority()), "credentials follow none"),
        (format!("http://{}/", page.authority()), "it is not the JSON of one"),
    ] {
        let challenge = format!("www-authenticate: Bearer realm=\"{realm}\"\r\n");
        let (server, digest) = module(move |_| Some(answer(401, &challenge, "")));
        let (_folder, file) = docker_file(&server.authority(), r#"{"auth":"YWxpY2U6c2VjcmV0"}"#);
        let client = Client::new(Settings { credentials: Credentials::from_files([file]), ..settings() });
        let error = client.expect("a client").pull(&server.repository(), &digest).await.expect_err(&realm);
        let text = text_of(&error);
        assert!(text.contains(why) && !text.contains("hunter2"), "{realm}: {text}");
    }
}

#[tokio::test]
async fn no_answer_is_larger_than_its_limit() {
    let digest = Digest::of("x");
    for (reply, why) in [
        (endless(""), "more bytes, and at most 4194304 are taken"),
        (
            Answer {
                bytes: b"HTTP/1.1 200 X\r\ncontent-length: 5000000000\r\n\r\n".to_vec(),
                ..Answer::default()
            },
            "5000000000 bytes, and at most 4194304 are taken",
        ),
    ] {
        let server = Server::start(move |_| reply.clone());
        let repository = server.repository();
        let error = client().pull(&repository, &digest).await.expect_err("huge");
        assert!(text_of(&error).contains(why), "{error}");
        let error = client().tags(&repository).await.expect_err("huge");
        assert!(text_of(&error).contains(why), "{error}");
        let error = client().referrers(&repository, &digest).await.expect_err("huge");
        assert!(text_of(&error).contains(why), "{error}");
    }
    // A refusal is cut short too.
    let server = Server::start(|_| {
        let mut refusal = endless("");
        refusal.bytes[9..12].copy_from_slice(b"500");
        refusal
    });
    let error = client().pull(&server.repository(), &digest).await.expect_err("huge");
    assert!(matches!(error, Error::Refused { status: 500, .. }), "{error}");
}

#[tokio::test]
async fn a_component_is_what_its_manifest_says_or_nothing() {
    let wanted = Digest::of(COMPONENT);
    let longer = [COMPONENT, b"x"].concat();
    for (reply, why) in [
        (endless(""), "has more than its 8 bytes".to_owned()),
        (answer(200, "", &longer), format!("`{wanted}` has 9 bytes, and not 8")),
        (answer(200, "", &COMPONENT[..7]), format!("`{wanted}` has 7 bytes, and not 8")),
        (answer(200, "", b"\0asm\x0d\0\x01\x01"), format!("wanted `{wanted}`, got `sha256:")),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (server, digest) = module(move |asked| asked.path.contains("/blobs/").then(|| reply.clone()));
        let cache = Some(Cache::open(folder.path()).expect("a cache"));
        let client = Client::new(Settings { cache, ..settings() }).expect("a client");
        let error = client.pull(&server.repository(), &digest).await.expect_err("another component");
        assert!(matches!(error, Error::LayerDiffers { .. }), "{error}");
        assert!(text_of(&error).contains(&why), "{error}");
        // Nothing of it is kept.
        let cache = Cache::open(folder.path()).expect("a cache");
        let offline = Settings { cache: Some(cache), offline: true, ..settings() };
        let error = Client::new(offline).expect("a client").pull(&server.repository(), &digest).await;
        assert!(matches!(error, Err(Error::Offline { .. })), "{error:?}");
    }
    let (server, _) = module(|_| None);
    let error = client().pull(&server.repository(), &Digest::of("x")).await.expect_err("another manifest");
    assert!(matches!(error, Error::ManifestDiffers { .. }), "{error}");
}

#[tokio::test]
async fn what_a_manifest_names_is_judged_before_it_is_fetched() {
    for (layer, size, why) in [
        (Digest::of("x").to_string(), 10_000_000_000, "10000000000 bytes, and at most 268435456 are taken"),
        (
            format!("sha512:{}", "0".repeat(128)),
            8,
            "it names content by `sha512`, and only `sha256` is verified here",
        ),
        ("sha256:../../../../etc/passwd".to_owned(), 8, "a digest in it is not one"),
    ] {
        let text = manifest(&layer, size);
        let digest = Digest::of(&text);
        let server = Server::start(move |_| answer(200, "", &text));
        let error = client().pull(&server.repository(), &digest).await.expect_err(&layer);
        assert!(text_of(&error).contains(why), "{error}");
        assert!(!server.was_asked("/blobs/"), "{:?}", server.asked());
    }
}

#[tokio::test]
async fn a_list_of_tags_ends() {
    let next = |to: &str| format!("link: <{to}>; rel=\"next\"\r\n");
    let counter = AtomicUsize::new(0);
    let endless = Server::start(move |_| {
        let count = counter.fetch_add(1, Ordering::Relaxed);
        answer(200, &next("/v2/ops/x/tags/list?more"), format!(r#"{{"tags":["t{count}"]}}"#))
    });
    let error = client().tags(&endless.repository()).await.expect_err("endless");
    assert!(text_of(&error).contains("it has more than 1000 pages"), "{error}");

    let again = Server::start(move |_| answer(200, &next("/v2/ops/x/tags/list?again"), r#"{"tags":["a"]}"#));
    let error = client().tags(&again.repository()).await.expect_err("again and again");
    assert!(text_of(&error).contains("it goes on and says nothing new"), "{error}");

    let away = Server::start(move |_| answer(200, &next("http://192.0.2.1/"), r#"{"tags":["a"]}"#));
    let error = client().tags(&away.repository()).await.expect_err("elsewhere");
    assert!(text_of(&error).contains("it is at another host"), "{error}");

    let pages = Server::start(move |asked| {
        if asked.path.contains("last=b") {
            answer(200, "", r#"{"tags":["c"]}"#)
        } else {
            answer(200, &next("list?last=b"), r#"{"tags":["b","a"]}"#)
        }
    });
    let tags = client().tags(&pages.repository()).await.expect("tags");
    assert_eq!(tags, ["a", "b", "c"].map(tag));

    for bad in [r#"{"tags":["\u001b[2J"]}"#, r#"{"tags":[1]}"#, "<html>", r#"{"tags":["../x"]}"#] {
        let server = Server::start(move |_| answer(200, "content-type: text/html\r\n", bad));
        let error = client().tags(&server.repository()).await.expect_err(bad);
        assert!(matches!(error, Error::BadAnswer { .. }), "{error}");
        text_of(&error);
    }
    let none = Server::start(|_| answer(200, "", r#"{"name":"ops/x","tags":null}"#));
    assert!(client().tags(&none.repository()).await.expect("no tags").is_empty());
}

#[tokio::test]
async fn a_registry_that_is_busy_is_asked_again_for_what_is_read_alone() {
    // How often it says so before it answers.
    let busy = |times: usize, status: u16| {
        let counter = AtomicUsize::new(0);
        Server::start(move |asked| {
            let lists = asked.path.contains("/tags/");
            match (lists || asked.method == "POST") && counter.fetch_add(1, Ordering::Relaxed) < times {
                true => answer(status, "retry-after: 0\r\n", ""),
                false if lists => answer(200, "", r#"{"tags":["1"]}"#),
                false => answer(404, "", ""),
            }
        })
    };
    for status in [429, 502, 503, 504] {
        let server = busy(3, status);
        assert_eq!(client().tags(&server.repository()).await.expect("in the end"), [tag("1")], "{status}");
        let server = busy(4, status);
        let error = client().tags(&server.repository()).await.expect_err("busy for ever");
        assert!(matches!(error, Error::Refused { status: said, .. } if said == status), "{error}");
    }
    let server = busy(1, 503);
    let (repository, tag) = (server.repository(), tag("1"));
    let pushed = client().push(&repository, &tag, COMPONENT, &Metadata::default(), Overwrite::Yes).await;
    assert!(matches!(pushed, Err(Error::Refused { status: 503, .. })), "{pushed:?}");
    assert_eq!(server.asked().iter().filter(|asked| asked.method == "POST").count(), 1);
}

#[tokio::test]
async fn what_a_registry_says_is_shown_and_does_nothing() {
    let refusal = r#"{"errors":[{"code":"DENIED\u001b]0;x","message":"a\nb\u202e"}]}"#;
    for (status, what) in
        [(403, "does not let us"), (404, "has no"), (418, "HTTP 418"), (429, "HTTP 429"), (503, "HTTP 503")]
    {
        let server = Server::start(move |_| answer(status, "retry-after: 0\r\n", refusal));
        let error = client().pull(&server.repository(), &Digest::of("x")).await.expect_err("refused");
        let text = text_of(&error);
        assert!(text.contains(what) && text.contains("DENIED\\u{1b}]0;x a\\u{a}b\\u{202e}"), "{text}");
    }
    // A portal of a network answers everything with a page.
    let portal = Server::start(|_| answer(200, "content-type: text/html\r\n", "<html>log in"));
    let reference = Reference::new(portal.repository(), Some(tag("1")), None);
    let error = client().resolve(&reference).await.expect_err("a page");
    assert!(
        matches!(&error, Error::BadAnswer { .. }) && text_of(&error).contains("it is not JSON"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_is_waited_for_without_end() {
    let short = |idle, total| {
        let (idle_timeout, timeout) = (Duration::from_millis(idle), Duration::from_millis(total));
        Client::new(Settings { idle_timeout, timeout, ..settings() }).expect("a client")
    };
    let silent = Server::start(|_| Answer { hangs: true, ..Answer::default() });
    let error = short(200, 60_000).pull(&silent.repository(), &Digest::of("x")).await.expect_err("silence");
    assert!(matches!(&error, Error::Timeout { what, .. } if what == "no answer"), "{error}");
    let half = Server::start(|_| {
        let bytes = b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{".to_vec();
        Answer { bytes, hangs: true, endless: false }
    });
    // Long enough for the question whether it speaks TLS, which it answers at once.
    let error = short(2_000, 60_000).pull(&half.repository(), &Digest::of("x")).await.expect_err("half");
    assert!(matches!(&error, Error::Timeout { what, .. } if what == "nothing came"), "{error}");
    let error = short(60_000, 300).pull(&half.repository(), &Digest::of("x")).await.expect_err("half");
    assert!(matches!(&error, Error::Timeout { what, .. } if what == "not done"), "{error}");
    let gone = format!("{}/x", { Server::start(|_| answer(200, "", "")).authority() });
    let gone: Repository = gone.parse().expect("a repository");
    let error = client().pull(&gone, &Digest::of("x")).await.expect_err("gone");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn an_upload_goes_only_where_it_may() {
    for (headers, why) in [
        ("", "it does not say where"),
        ("location: http://[\r\n", "which is no URL"),
        ("location: http://192.0.2.1/x\r\n", "which is not TLS"),
        ("location: https://169.254.169.254/x\r\n", "metadata services"),
        ("location: data:x\r\n", "which is not HTTP"),
    ] {
        let headers = headers.to_owned();
        let server = Server::start(move |asked| match &*asked.method {
            "POST" => answer(202, &headers, ""),
            _ => answer(404, "", ""),
        });
        let push = client();
        let (repository, tag) = (server.repository(), tag("1"));
        let pushed = push.push(&repository, &tag, COMPONENT, &Metadata::default(), Overwrite::No).await;
        let error = pushed.expect_err(why);
        assert!(text_of(&error).contains(why), "{error}");
        assert!(!server.asked().iter().any(|asked| asked.method == "PUT"));
    }
}

/// A registry that knows referrers itself, and says so, page by page.
#[tokio::test]
async fn lists_of_referrers_are_read_as_the_registry_keeps_them() {
    let subject = Digest::of("subject");
    let entry = |what: &str, kind: &str| {
        let digest = Digest::of(what);
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,"artifactType":"{kind}"}}"#
        )
    };
    let index = |entries: &str| format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#);
    let (one, two) = (index(&[entry("1", "x/a"), entry("2", "x/b")].join(",")), index(&entry("3", "x/a")));
    let server = Server::start(move |asked| {
        if asked.path.contains("page=2") {
            answer(200, "", &two)
        } else if asked.path.contains("/referrers/") {
            answer(200, "link: <?page=2>; rel=\"next\"\r\n", &one)
        } else {
            answer(404, "", "")
        }
    });
    let all = client().referrers(&server.repository(), &subject).await.expect("a list");
    let digests: Vec<_> = all.iter().map(|referrer| referrer.manifest).collect();
    assert_eq!(digests, ["1", "2", "3"].map(Digest::of));
    assert_eq!((all[1].manifest, all[1].artifact_type.as_str()), (Digest::of("2"), "x/b"));

    let many = index(&vec![entry("1", "x"); 1001].join(","));
    let server = Server::start(move |_| answer(200, "", &many));
    let error = client().referrers(&server.repository(), &subject).await.expect_err("too many");
    assert!(text_of(&error).contains("it has more than 1000"), "{error}");
    let page = index(&entry("1", "x"));
    let server = Server::start(move |_| answer(200, "link: <?p>; rel=next\r\n", &page));
    let error = client().referrers(&server.repository(), &subject).await.expect_err("endless");
    assert!(text_of(&error).contains("it has more than 20 pages"), "{error}");
    let bad = index(r#"{"mediaType":"x","digest":"md5:00","size":1}"#);
    let server = Server::start(move |_| answer(200, "", &bad));
    let error = client().referrers(&server.repository(), &subject).await.expect_err("md5");
    assert!(text_of(&error).contains("by `md5`"), "{error}");
}

/// A registry that leaves out later what it has shown.
#[tokio::test]
async fn what_was_attached_once_is_not_forgotten() {
    let typed = |name: &str, kind: &str| {
        let digest = Digest::of(name);
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,"artifactType":"{kind}"}}"#
        )
    };
    let entry = |name: &str| typed(name, "x/a");
    let many = (0..1000).map(|number| entry(&number.to_string())).collect::<Vec<_>>().join(",");
    let again = typed("revocation", "x/junk");
    let lists = [entry("revocation"), entry("other"), again, String::new(), many, String::new()].map(|entries| {
        format!(r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{entries}]}}"#)
    });
    let counter = AtomicUsize::new(0);
    let server = Server::start(move |asked| match asked.path.contains("/referrers/") {
        true => answer(200, "", lists[counter.fetch_add(1, Ordering::Relaxed)].clone()),
        false => answer(404, "", ""),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Some(Cache::open(folder.path()).expect("a cache"));
    let client = Client::new(Settings { cache, ..settings() }).expect("a client");
    let asked = async || client.referrers(&server.repository(), &Digest::of("x")).await;
    let seen = async || {
        let list = asked().await.expect("a list");
        assert!(list.iter().all(|referrer| referrer.artifact_type == "x/a"), "{list:?}");
        list.into_iter().map(|referrer| referrer.manifest).collect::<Vec<_>>()
    };
    let (revocation, other) = (Digest::of("revocation"), Digest::of("other"));
    assert_eq!(seen().await, [revocation]);
    assert_eq!(seen().await, [revocation, other]);
    assert_eq!(seen().await, [revocation, other], "also when it calls it something else");
    assert_eq!(seen().await, [revocation, other], "also when it shows nothing any more");
    let full = asked().await.expect_err("no room");
    assert!(text_of(&full).contains("with what it has shown before it has 1002"), "{full}");
    assert_eq!(seen().await, [revocation, other], "also after it has shown too much");
}

/// A registry without referrers, in which somebody else writes the list after us, so many times.
fn contended(times: usize) -> (Server, Digest) {
    let text = manifest(&Digest::of(COMPONENT).to_string(), COMPONENT.len() as u64);
    let digest = Digest::of(&text);
    let list: Mutex<Option<Vec<u8>>> = Mutex::default();
    let left = AtomicUsize::new(times);
    let other = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"x","digest":"{}","size":1}}]}}"#,
        Digest::of("somebody else's")
    );
    let server = Server::start(move |asked| {
        let is_list = asked.path.contains("/manifests/sha256-");
        match (&*asked.method, is_list) {
            ("PUT", true) => {
                let lost = left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_ok();
                let written = if lost { other.clone().into_bytes() } else { asked.body.clone() };
                *list.lock().expect("a lock") = Some(written);
                answer(201, "", "")
            }
            ("GET", true) => match &*list.lock().expect("a lock") {
                Some(list) => answer(200, "", list),
                None => answer(404, "", ""),
            },
            ("PUT", false) => answer(201, "", ""),
            ("HEAD", _) => answer(200, "", ""),
            ("GET", _) if asked.path.contains("/manifests/") => answer(200, "", &text),
            _ => answer(404, "", ""),
        }
    });
    (server, digest)
}

#[tokio::test]
async fn a_list_that_somebody_else_wrote_meanwhile_is_written_again() {
    let attachment = Attachment { artifact_type: "x/y".to_owned(), files: Vec::new() };
    let (server, subject) = contended(2);
    let repository = server.repository();
    let attached = client().attach(&repository, &subject, &attachment).await.expect("attached");
    let list = client().referrers(&repository, &subject).await.expect("a list");
    let digests: Vec<_> = list.iter().map(|referrer| referrer.manifest).collect();
    assert_eq!(digests, [Digest::of("somebody else's"), attached]);

    let (server, subject) = contended(1000);
    let error = client().attach(&server.repository(), &subject, &attachment).await.expect_err("for ever");
    assert!(matches!(error, Error::Contended { .. }), "{error}");
    text_of(&error);
}
