use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn repository(text: &str) -> Repository {
    text.parse().expect("a repository")
}

fn text(secret: &Secret) -> String {
    match secret {
        Secret::None => "none".to_owned(),
        Secret::Password(user, password) => format!("{user}:{}", password.as_str()),
        Secret::Identity(token) => format!("identity {}", token.as_str()),
        Secret::Bearer(token) => format!("bearer {}", token.as_str()),
    }
}

async fn found(config: &str, of: &str) -> Result<(String, String), Error> {
    let folder = folder();
    let file = folder.path().join("config.json");
    std::fs::write(&file, config).expect("a file");
    let credentials = Credentials::from_files([folder.path().join("missing.json"), file]);
    let (secret, source) = credentials.find(&repository(of)).await?;
    let source = source.to_string().replace(&*folder.path().to_string_lossy(), "");
    Ok((text(&secret), source))
}

#[tokio::test]
async fn entries_are_found_by_registry_and_by_the_start_of_a_path() {
    // alice:secret, bob:other
    let config = r#"{
        "HttpHeaders": { "x": "y" },
        "auths": {
            "r.example.org": { "auth": "YWxpY2U6c2VjcmV0" },
            "r.example.org/ops": { "auth": "Ym9iOm90aGVy" },
            "https://old.example.org/v1/": { "auth": "YWxpY2U6c2VjcmV0AAA=" },
            "https://index.docker.io/v1/": { "username": "carol", "password": "p:w" },
            "token.example.org": { "auth": "", "identitytoken": "abc" },
            "bearer.example.org": { "registrytoken": "def" },
            "empty.example.org": {}
        }
    }"#;
    for (of, secret, place) in [
        ("r.example.org/x", "alice:secret", "as `alice` of `auths.\"r.example.org\"` of `/config.json`"),
        ("r.example.org/ops/x", "bob:other", "as `bob` of `auths.\"r.example.org/ops\"` of `/config.json`"),
        ("r.example.org/opsx/x", "alice:secret", "r.example.org"),
        ("old.example.org/x", "alice:secret", "https://old.example.org/v1/"),
        ("docker.io/me/x", "carol:p:w", "as `carol`"),
        ("token.example.org/x", "identity abc", "with the token of"),
        ("bearer.example.org/x", "bearer def", "with the token of"),
        (
            "empty.example.org/x",
            "none",
            "without credentials (there are none for it in `/missing.json`, `/config.json`)",
        ),
        ("r.example.org:5000/x", "none", "without credentials"),
        ("xr.example.org/x", "none", "without credentials"),
    ] {
        let (got, source) = found(config, of).await.expect(of);
        assert_eq!(got, secret, "{of}");
        assert!(source.contains(place), "{of}: {source}");
    }
}

#[tokio::test]
async fn what_is_broken_says_where_and_shows_no_secret() {
    for (config, why) in [
        ("{\n \"auths\": { \"r.example.org\": \"hunter2\" } }", "`/config.json`, line 2, column"),
        (r#"{"auths":{"r.example.org":{"auth":"hunter2!"}}}"#, "`auth` is not Base64"),
        (
            r#"{"auths":{"r.example.org":{"auth":"aHVudGVyMg=="}}}"#,
            "`auth` is not a user, `:` and a password",
        ),
        (r#"{"credHelpers":{"r.example.org":"../evil"}}"#, "a helper's name has letters"),
        (
            r#"{"credsStore":"there-is-none-like-this"}"#,
            "`docker-credential-there-is-none-like-this`: it does not start",
        ),
    ] {
        let error = found(config, "r.example.org/x").await.map(|_| ()).expect_err(why);
        let message = error.to_string().replace("/tmp", "");
        assert!(message.starts_with("read the credentials for `r.example.org`: "), "{message}");
        assert!(message.contains(why.trim_start_matches("`/")), "{message}");
        assert!(!message.contains("hunter2") && !error.mend().is_empty(), "{message}");
    }
}

/// A helper as Docker's are: a program that is asked with `get`, and told the registry.
fn helper(folder: &Path, script: &str) -> Credentials {
    let program = folder.join("docker-credential-test");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a file");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let file = folder.join("config.json");
    let config =
        r#"{"credHelpers":{"r.example.org":"test"},"credsStore":"test","auths":{"r.example.org":{}}}"#;
    std::fs::write(&file, config).expect("a file");
    let path = std::env::var("PATH").unwrap_or_default();
    Credentials::from_files([file]).helpers_in(format!("{}:{path}", folder.display()))
}

#[tokio::test]
async fn helpers_are_asked_and_may_have_nothing() {
    let folder = folder();
    let script = r#"read -r url; [ "$1" = get ] && printf '{"ServerURL":"%s","Username":"dave","Secret":"for %s"}' "$url" "$url""#;
    let credentials = helper(folder.path(), script);
    let (secret, source) = credentials.find(&repository("r.example.org/x")).await.expect("credentials");
    assert_eq!(text(&secret), "dave:for r.example.org");
    assert_eq!(source.to_string(), "as `dave` of `docker-credential-test`");
    let (secret, _) = credentials.find(&repository("docker.io/x")).await.expect("credentials");
    assert_eq!(text(&secret), "dave:for https://index.docker.io/v1/");

    let credentials = helper(folder.path(), r#"printf '{"Username":"<token>","Secret":"abc"}'"#);
    let (secret, _) = credentials.find(&repository("r.example.org/x")).await.expect("credentials");
    assert_eq!(text(&secret), "identity abc");

    let credentials = helper(folder.path(), "echo credentials not found in native keychain; exit 1");
    let (secret, _) = credentials.find(&repository("r.example.org/x")).await.expect("no credentials");
    assert_eq!(text(&secret), "none");
}

#[tokio::test]
async fn helpers_that_fail_are_named() {
    for (script, why) in [
        (
            r"printf 'the vault \033[2J is locked'; exit 3",
            "it fails (exit status: 3): the vault \\u{1b}[2J is locked",
        ),
        ("echo hunter2", "its answer is not the JSON of a helper"),
        ("yes hunter2", "it prints more than 256 KiB"),
    ] {
        let folder = folder();
        let error = helper(folder.path(), script).find(&repository("r.example.org/x")).await.map(|_| ());
        let error = error.expect_err(script);
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("hunter2") && error.mend().contains("config.json"), "{error}");
    }
}
