use super::*;
use url::Url;

fn send(grants: &[&str], class: EffectClass, method: &str, url: &str) -> bool {
    let Ok(url) = parse_url(url) else { return false };
    ask(grants, class, method, &url, None, false).is_ok()
}

fn get(grant: &str, url: &str) -> bool {
    send(&[grant], EffectClass::Read, "GET", url)
}

fn ask(
    grants: &[&str],
    class: EffectClass,
    method: &str,
    url: &Url,
    at: Option<&str>,
    via_target: bool,
) -> Result<Granted, Denial> {
    layers(http(grants)).check(&Ask::Http { class, method, url, at, via_target })
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let grant = "GET https://shop.example.org/";
    for url in [
        "https://shop.example.org/",
        "https://shop.example.org",
        "https://shop.example.org:443/a?b=c",
        "HTTPS://SHOP.example.ORG/x",
        "https://shop.example.org./x",
        "https://ｓｈｏｐ.example.org/",
    ] {
        assert!(get(grant, url), "{url}");
    }
    for url in [
        "http://shop.example.org/",
        "https://shop.example.org:8443/",
        "https://shop.example.org:80/",
        "https://example.org/",
        "https://evil.shop.example.org/",
        "https://shop.example.org.evil.com/",
        "https://shop.example.org@evil.com/",
        "https://shop.example.org:443@evil.com/",
        "https://user@shop.example.org/",
        "https://@shop.example.org/",
        "https://evil.com/https://shop.example.org/",
        "https://evil.com\\@shop.example.org/",
        "https://evil.com#@shop.example.org/",
        "https://evil.com?@shop.example.org/",
        "https:/shop.example.org/",
        "https:shop.example.org/",
        "https:///shop.example.org/",
        "https:\\\\shop.example.org/",
        "//shop.example.org/",
        "https://shop.example.org\t.evil.com/",
        "https://shop.ex\nample.org/",
        " https://shop.example.org/",
        "https://shop.example.org/#x",
        "https://shор.example.org/",
        "https://shop%2eexample.org/",
        "https://shop.example.org../",
        "file:///etc/passwd",
        "ftp://shop.example.org/",
        "https://",
        "https://shop.example.org:0/",
        "https://shop.example.org:99999/",
    ] {
        assert!(!get(grant, url), "{url:?}");
    }
}

#[test]
fn the_form_of_an_address_does_not_matter() {
    for url in [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./",
    ] {
        assert!(get("GET http://127.0.0.1/", url), "{url}");
        assert!(!get("GET http://localhost/", url), "{url}");
        assert!(!get("GET http://10.0.0.1/", url), "{url}");
    }
    assert!(get("GET http://[::1]:8080/", "http://[0:0:0:0:0:0:0:1]:8080/x"));
    assert!(!get("GET http://[::1]/", "http://127.0.0.1/"));
    assert!(!get("GET http://127.0.0.1/", "http://[::ffff:127.0.0.1]/"));
    assert!("GET http://[fe80::1%25eth0]/".parse::<HttpGrant>().is_err());
    assert!(parse_url("http://[fe80::1%eth0]/").is_err());
    assert_eq!(name::<HttpGrant>("GET http://2130706433").to_string(), "GET http://127.0.0.1/");
    assert_eq!(
        name::<HttpGrant>("GET HTTP://BÜCHER.example:80/x").to_string(),
        "GET http://xn--bcher-kva.example/x"
    );
}

#[test]
fn a_path_is_granted_by_segments() {
    let grant = "GET http://h/api/v1";
    for url in [
        "http://h/api/v1",
        "http://h/api/v1/",
        "http://h/api/v1/x/y?z=../..",
        "http://h/api/v1?x",
        "http://h/./api/x/../v1/%7Ea%20b",
    ] {
        assert!(get(grant, url), "{url}");
    }
    for url in [
        "http://h/",
        "http://h/api",
        "http://h/api/v10",
        "http://h/api/v1.1",
        "http://h/API/V1",
        "http://h/api/v1/../admin",
        "http://h/api/v1/%2e%2e/admin",
        "http://h/api/v1/.%2E/admin",
        "http://h/api/v1/..%2fadmin",
        "http://h/api/v1/%2e%2e%2fadmin",
        "http://h/api/v1/..%5cadmin",
        "http://h/api/v1/..;/admin",
        "http://h/api/v1/..;x=y/admin",
        "http://h/api/v1/;/../../admin",
        "http://h/api/v1//admin",
        "http://h//api/v1",
        "http://h/api/v1/%252e%252e/admin",
        "http://h/api/v1/a%00b",
        "http://h/api/v1/a%0d%0ab",
        "http://h/api/v1/%zz",
        "http://h/api/v1/%",
        "http://h/api%2fv1/x",
    ] {
        assert!(!get(grant, url), "{url}");
    }
    // Who has the whole origin has every path of it.
    assert!(get("GET http://h/", "http://h/a/..%2fb//c"));
    // With a slash at the end, the folder itself is not meant.
    assert!(get("GET http://h/a/", "http://h/a/b") && !get("GET http://h/a/", "http://h/a"));
}

#[test]
fn a_query_that_is_written_is_exact() {
    let grant = "GET http://h/s?action=status";
    assert!(get(grant, "http://h/s?action=status"));
    for url in [
        "http://h/s",
        "http://h/s?",
        "http://h/s?action=delete",
        "http://h/s?action=status&x",
        "http://h/s/x?action=status",
    ] {
        assert!(!get(grant, url), "{url}");
    }
    assert!(get("GET http://h/s", "http://h/s?whatever"));
}

#[test]
fn methods_and_classes_are_exact() {
    let url = "http://h/";
    assert!(send(&["HEAD http://h"], EffectClass::Read, "HEAD", url));
    assert!(send(&["POST http://h"], EffectClass::Opaque, "POST", url));
    assert!(send(&["signal POST http://h"], EffectClass::Signal, "POST", url));
    assert!(send(&["read POST http://h"], EffectClass::Read, "POST", url));
    assert!(send(&["signal GET http://h"], EffectClass::Signal, "GET", url));
    assert!(!send(&["POST http://h"], EffectClass::Read, "POST", url));
    assert!(!send(&["POST http://h"], EffectClass::Signal, "POST", url));
    assert!(!send(&["GET http://h"], EffectClass::Opaque, "GET", url));
    assert!(!send(&["signal GET http://h"], EffectClass::Read, "GET", url));
    assert!(!send(&["GET http://h"], EffectClass::Read, "HEAD", url));
    for method in ["get", "Get", "GET ", "", "GET\r\nX:", "*"] {
        assert!(!send(&["GET http://h"], EffectClass::Read, method, url), "{method:?}");
    }
    for text in [
        "get http://h",
        "CONNECT http://h",
        "TRACE http://h",
        "* http://h",
        "GET",
        "http://h",
        "GET http://h x",
        "GET  ",
        "raed GET http://h",
    ] {
        assert!(text.parse::<HttpGrant>().is_err(), "{text:?}");
    }
}

#[test]
fn where_a_request_connects_to_and_comes_from_is_granted_too() {
    let url: Url = name("http://shop.example.org/");
    let may = |grant: &str, at, via| ask(&[grant], EffectClass::Read, "GET", &url, at, via).is_ok();
    let plain = "GET http://shop.example.org/";
    assert!(may(plain, None, false) && !may(plain, Some("10.0.0.1"), false) && !may(plain, None, true));
    let at = "GET http://shop.example.org/ at 10.0.0.1";
    assert!(
        may(at, Some("10.0.0.1"), false)
            && may(at, Some("10.0.0.1:80"), false)
            && may(at, Some("0xa.1"), false)
    );
    for other in [
        "10.0.0.1:22",
        "10.0.0.2",
        "127.0.0.1:2375",
        "10.0.0.1@x",
        "x/10.0.0.1",
        "",
        ":80",
        "[::1",
        "10.0.0.1:0",
        "a b",
    ] {
        assert!(!may(at, Some(other), false), "{other:?}");
    }
    assert!(!may(at, None, false) && !may(at, Some("10.0.0.1"), true));
    let from = "GET http://shop.example.org/ at web-1:8080 from target";
    assert!(
        may(from, Some("WEB-1:8080"), true)
            && !may(from, Some("web-1:8080"), false)
            && !may(from, Some("web-1"), true)
    );
    assert!(may("GET http://shop.example.org at ::1", Some("[::1]"), false));
    assert!(may("GET http://shop.example.org at [::1]:80", Some("::1"), false));
    for text in [
        "GET http://h at",
        "GET http://h from runner",
        "GET http://h at x from",
        "GET http://h from target at x",
        "GET http://h at a/b",
        "GET http://h at u@x",
    ] {
        assert!(text.parse::<HttpGrant>().is_err(), "{text:?}");
    }
}

#[test]
fn an_address_that_must_be_named_is_named_by_the_grant_alone() {
    let named = |grants: GrantSet, url: &str, at: Option<&str>| {
        let url = name(url);
        let ask = Ask::Http { class: EffectClass::Read, method: "GET", url: &url, at, via_target: false };
        layers(grants).check(&ask).expect("granted").named_literally
    };
    assert!(named(http(&["GET http://169.254.169.254/"]), "http://169.254.169.254/x", None));
    assert!(!named(http(&["GET http://metadata.example.org/"]), "http://metadata.example.org/", None));
    assert!(named(http(&["GET http://h/ at 169.254.169.254"]), "http://h/", Some("169.254.169.254")));
    assert!(!named(
        http(&["GET http://169.254.169.254/ at metadata"]),
        "http://169.254.169.254/",
        Some("metadata")
    ));
    // What a step gave out names nothing, even when it is an address.
    let filled = |grant: &str| {
        http(&[grant]).resolve(&known(json!({"discover.x": "169.254.169.254"}))).expect("a host")
    };
    assert!(!named(filled("GET http://${discover.x}/"), "http://169.254.169.254/", None));
    assert!(!named(filled("GET http://h/ at ${discover.x}"), "http://h/", Some("169.254.169.254")));
    assert!(named(
        filled("GET http://169.254.1.1/${discover.x}"),
        "http://169.254.1.1/169.254.169.254",
        None
    ));
}

#[test]
fn what_the_run_fills_in_is_one_part_of_the_url() {
    let resolve = |grant: &str, value: Value| {
        name::<HttpGrant>(grant)
            .resolve(&known(json!({"discover.x": value})))
            .map(|grant| grant.to_string())
            .map_err(|error| error.why)
    };
    let ok = |text: &str| Ok(text.to_owned());
    assert_eq!(resolve("GET http://${discover.x}/a", json!("web-1:8080")), ok("GET http://web-1:8080/a"));
    assert_eq!(resolve("GET http://${discover.x}:81/a", json!("[::1]")), ok("GET http://[::1]:81/a"));
    assert_eq!(
        resolve("GET http://web-${discover.x}.example.org", json!("1")),
        ok("GET http://web-1.example.org/")
    );
    assert_eq!(resolve("GET http://h:${discover.x}/", json!(8080)), ok("GET http://h:8080/"));
    assert_eq!(
        resolve("GET http://h/a/${discover.x}/b?c=${discover.x}", json!("sha256:1f")),
        ok("GET http://h/a/sha256:1f/b?c=sha256:1f")
    );
    assert_eq!(resolve("GET http://h/ at ${discover.x}:81", json!("web-1")), ok("GET http://h/ at web-1:81"));
    for bad in [
        "good@evil",
        "evil/",
        "evil#",
        "evil?",
        "evil\\",
        "a b",
        "",
        "evil:80:",
        "h:81:82",
        "evil%2f",
        "é.org",
        "user:pw@h",
    ] {
        assert!(resolve("GET http://${discover.x}/", json!(bad)).is_err(), "{bad:?}");
        assert!(resolve("GET http://h/ at ${discover.x}", json!(bad)).is_err(), "{bad:?}");
    }
    for bad in ["1.evil.com", "evil:80", "x@evil", "a.b"] {
        assert!(resolve("GET http://web-${discover.x}.example.org/", json!(bad)).is_err(), "{bad:?}");
        assert!(resolve("GET http://h-${discover.x}", json!(bad)).is_err(), "{bad:?}");
    }
    for bad in ["80/x", "80@evil", "x", "", "99999", "0"] {
        assert!(resolve("GET http://h:${discover.x}/", json!(bad)).is_err(), "{bad:?}");
    }
    for bad in ["a/b", "..", "%2e%2e", "a?b", "a#b", "a%2fb", "", ".", "a;b"] {
        assert!(resolve("GET http://h/a/${discover.x}/b", json!(bad)).is_err(), "{bad:?}");
    }
    for bad in ["a&b=c", "a#b", "a b"] {
        assert!(resolve("GET http://h/a?x=${discover.x}", json!(bad)).is_err(), "{bad:?}");
    }
    for text in [
        "GET ${discover.x}",
        "GET ${discover.x}://h/",
        "GET http${discover.x}",
        "${discover.x} http://h/",
        "${discover.x} GET http://h/",
        "GET http://h from ${discover.x}",
    ] {
        assert!(text.parse::<HttpGrant>().is_err(), "{text}");
    }
    // What the plan says itself may be a whole URL.
    let whole: HttpGrant = name("GET ${var.url}/health/${discover.x}");
    let half = whole.resolve(&known(json!({"var.url": "http://h/base"}))).expect("a URL");
    assert_eq!(half.to_string(), "GET http://h/base/health/${discover.x}");
    insta::assert_snapshot!(resolve("GET http://${discover.x}/", json!("good@evil")).expect_err("a user"), @"`${discover.x}` is `good@evil`, and must be the host of a URL, with a port or without");
    insta::assert_snapshot!(wrong::<HttpGrant>("GET ${discover.x}/"), @r"
    scheme and host of a URL cannot both be left to the run
    hint: write `http://${target.address}/`, for example
    ");
}

#[test]
fn a_host_that_the_run_names_is_labelled() {
    let labels = http(&["GET http://${target.address}/", "GET http://h/${discover.x}"]).labels("deploy");
    assert_eq!(
        labels,
        [(
            "GET http://${target.address}/".to_owned(),
            "speaks to whatever host `${target.address}` names".to_owned()
        )]
    );
}

proptest! {
    #[test]
    fn what_is_covered_goes_to_the_granted_origin(url in "(http|HTTP|https)://(a@|b:c@)?(h|H|g|h\\.|h\\.g|127\\.1)(:80|:443|:8)?(/[a%.2fF;/]{0,6})?([?#]x)?") {
        let grant = "GET http://h/a";
        if get(grant, &url) {
            let parsed = Url::parse(&url).expect("it was granted");
            prop_assert_eq!(parsed.scheme(), "http");
            prop_assert!(matches!(parsed.host_str(), Some("h" | "h.")));
            prop_assert_eq!(parsed.port_or_known_default(), Some(80));
            prop_assert!(parsed.username().is_empty() && parsed.password().is_none());
            prop_assert_eq!(parsed.path_segments().and_then(|mut segments| segments.next().map(str::to_owned)), Some("a".to_owned()));
            prop_assert!(!parsed.path().to_lowercase().contains("%2f"));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,40}|(GET|signal|at|from|http://|\\$\\{target.name\\}|[ :/@?#\\[\\]%*])*") {
        let _ = text.parse::<HttpGrant>();
        let _ = text.parse::<SshGrant>();
        let _ = text.parse::<FileGrant>();
        let _ = Capability::parse(List::Http, &text);
        let _ = parse_url(&text);
    }

    #[test]
    fn whatever_the_run_says_the_host_stays(value in "\\PC{0,12}|[@/?#:.a%1-]{0,8}") {
        let fill = known(json!({"discover.x": value}));
        for grant in ["GET http://h/${discover.x}", "GET http://h/a/${discover.x}?b=${discover.x}", "GET http://h/?${discover.x}"] {
            if let Ok(grant) = name::<HttpGrant>(grant).resolve(&fill) {
                let text = grant.to_string();
                let url = Url::parse(text.strip_prefix("GET ").expect("printed")).expect("a URL");
                prop_assert_eq!(url.host_str(), Some("h"));
                prop_assert!(url.fragment().is_none());
                prop_assert!(url.path_segments().is_some_and(|segments| segments.count() <= 2));
            }
        }
        if let Ok(grant) = name::<HttpGrant>("GET http://a-${discover.x}.h/").resolve(&fill) {
            let text = grant.to_string();
            let url = Url::parse(text.strip_prefix("GET ").expect("printed")).expect("a URL");
            prop_assert!(url.host_str().is_some_and(|host| host.ends_with(".h") && host.matches('.').count() == 1));
        }
    }
}
