use super::*;
use serde_json::json;

fn good() -> Value {
    json!({
        "name": "switch", "version": "0.1.0", "summary": "makes a release live", "documentation": "# Use\n",
        "parameters": {
            "type": "object",
            "properties": { "root": { "type": "string" }, "argv": { "type": "array" } },
        },
        "outputs": { "type": "object" },
        "runs": "each-target",
        "capabilities": { "ssh": ["read:${root}", "exec-read:${argv...}"], "files": [] },
    })
}

fn with(key: &str, value: Value) -> Value {
    let mut manifest = good();
    manifest[key] = value;
    manifest
}

fn error(value: &Value) -> String {
    let error = Manifest::parse(&value.to_string()).expect_err("not well formed");
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}

#[test]
fn a_manifest_reads_back_what_it_writes() {
    let manifest = Manifest::parse(&good().to_string()).expect("well formed");
    let written = serde_json::to_string(&manifest).expect("JSON");
    assert_eq!(Manifest::parse(&written), Ok(manifest.clone()));
    assert_eq!(serde_json::from_str::<Manifest>(&written).expect("JSON"), manifest);
    let mut bare = good();
    bare.as_object_mut().expect("an object").remove("capabilities");
    assert!(Manifest::parse(&bare.to_string()).expect("well formed").capabilities.is_empty());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let garbage = |text: &str| Manifest::parse(text).expect_err(text).to_string();
    insta::assert_snapshot!(garbage("\0\u{1b}[31mrubbish"), @r"it is not JSON: expected value at line 1 column 1; it begins with `\u{0}\u{1b}[31mrubbish`");
    insta::assert_snapshot!(garbage("[]"), @"it is no JSON object");
    insta::assert_snapshot!(garbage(&" ".repeat(MAX_MANIFEST_BYTES + 1)), @"it has 1048577 bytes, more than the 1048576 that are read");
    let deep = garbage(&format!("{}{}", "[".repeat(200), "]".repeat(200)));
    assert!(deep.starts_with("it is not JSON: recursion limit exceeded at line 1 column 128"), "{deep}");
    let mut missing = good();
    missing.as_object_mut().expect("an object").remove("runs");
    insta::assert_snapshot!(error(&missing), @"the key `runs` is missing");
    insta::assert_snapshot!(error(&with("capabilites", json!({}))), @r"
    there is no key `capabilites`
    hint: did you mean `capabilities`?
    ");
    insta::assert_snapshot!(error(&with("name", json!("../switch"))), @"`name` must be 1 to 64 letters, digits, `-`, `_` or `.`, a letter or a digit first");
    insta::assert_snapshot!(error(&with("summary", json!("\u{1b}[2J"))), @"`summary` must be one short line without control characters");
    insta::assert_snapshot!(error(&with("summary", json!("\u{202e}evil"))), @"`summary` must be one short line without control characters");
    insta::assert_snapshot!(error(&with("runs", json!("always"))), @"`runs` must be `once` or `each-target`");
    insta::assert_snapshot!(error(&with("parameters", json!({"type": "array"}))), @"`parameters.type` must be `object`");
    insta::assert_snapshot!(error(&with("outputs", json!({"type": "object", "required": 5}))), @r#"`outputs` is no JSON Schema: 5 is not of type "array""#);
    insta::assert_snapshot!(
        error(&with("outputs", json!({"type": "object", "properties": {"a": {"pattern": "(a+)+\\1"}}}))), @r#"`outputs` is no JSON Schema: "(a+)+\\1" is not a "regex""#);
    insta::assert_snapshot!(
        error(&with("outputs", json!({"type": "object", "$ref": "https://example.org/x.json"}))), @"`outputs` is no JSON Schema: Resource 'https://example.org/x.json' is not present in a registry and retrieving it failed: Retrieval is disabled, cannot fetch https://example.org/x.json");
    insta::assert_snapshot!(
        error(&with("outputs", json!({"type": "object", "$ref": "file:///etc/passwd"}))), @"`outputs` is no JSON Schema: Resource 'file:///etc/passwd' is not present in a registry and retrieving it failed: Retrieval is disabled, cannot fetch file:///etc/passwd");
}

#[test]
fn capabilities_are_grants_over_known_parameters() {
    let wrong = |list: &str, text: &str| error(&with("capabilities", json!({ list: [text] })));
    insta::assert_snapshot!(wrong("shh", "read:/srv"), @r"
    there is no key `capabilities.shh`
    hint: did you mean `capabilities.ssh`?
    ");
    insta::assert_snapshot!(wrong("ssh", "read:${rot}"), @r"
    the capability `read:${rot}` is over the parameter `rot`, which `parameters` does not have
    hint: did you mean `root`?
    ");
    insta::assert_snapshot!(wrong("ssh", "exec-read:${root...}"), @"the capability `exec-read:${root...}` is over the parameter `root...`, which must be an array, or a table of variables");
    insta::assert_snapshot!(wrong("ssh", "raed:/srv"), @r"
    in `capabilities.ssh`: `raed:/srv` is not a grant: there is no verb `raed`
    hint: did you mean `read:`?
    ");
    insta::assert_snapshot!(wrong("ssh", "as:root"), @r#"
    in `capabilities.ssh`: `as:root` is not a grant: a module does not choose the user that it acts as
    hint: the plan does, with `become = "…"` at the step
    "#);
    insta::assert_snapshot!(wrong("ssh", "exec-read:ls x${argv...}"), @"in `capabilities.ssh`: `exec-read:ls x${argv...}` is not a grant: `${argv...}` must be an argument of its own");
    insta::assert_snapshot!(wrong("ssh", "read:${argv...}"), @"in `capabilities.ssh`: `read:${argv...}` is not a grant: `...` spreads an array over the arguments of a command only");
    insta::assert_snapshot!(wrong("ssh", "exec-read:* /srv"), @r"
    in `capabilities.ssh`: `exec-read:* /srv` is not a grant: the program is named, never a star
    hint: `**` alone stands for any command, and equals a shell
    ");
    insta::assert_snapshot!(wrong("files", "read:../${root}"), @"in `capabilities.files`: `read:../${root}` is not a grant: `../x` is not a path in the plan's folder: it leaves the folder with `..`");
    insta::assert_snapshot!(wrong("http", "GET http://*.example.org/"), @"in `capabilities.http`: `GET http://*.example.org/` is not a grant: `http://*.example.org/` is not a URL for a request: the host is spelled out, without `*` and `%`");
    insta::assert_snapshot!(wrong("http", "http://example.org/"), @r"
    in `capabilities.http`: `http://example.org/` is not a grant: it does not have a method and a URL
    hint: the form is `[CLASS ]METHOD URL[ at ADDRESS][ from target]`, for example `GET https://shop.example.org/health`
    ");
}

#[test]
fn capabilities_are_over_the_tables_of_a_list_too() {
    let mut manifest = good();
    manifest["parameters"]["properties"]["files"] = json!({ "type": "array", "items": {
        "type": "object",
        "properties": {
            "path": { "type": "string" },
            "argv": { "type": "array", "items": { "type": "string" } },
            "effect": { "type": "string", "default": "opaque" },
        },
    }});
    let with = |text: &str| {
        let mut manifest = manifest.clone();
        manifest["capabilities"] = json!({ "ssh": [text] });
        manifest
    };
    insta::assert_snapshot!(error(&with("write:${files.pth}")), @r"
    the capability `write:${files.pth}` is over the parameter `files.pth`, which `parameters` does not have
    hint: did you mean `files.path`?
    ");
    insta::assert_snapshot!(error(&with("write:${files}")), @"the capability `write:${files}` is over the parameter `files`, which must be text, a number or a boolean, or an array of such");
    let manifest = Manifest::parse(&with("exec-${files.effect}:${files.argv...}").to_string()).expect("good");
    let given =
        ValueTemplate::parse(&json!({ "files": [{ "argv": ["a"] }, { "argv": ["b"], "effect": "read" }] }));
    let grants = manifest.bind(&given.expect("well formed")).expect("grants");
    assert_eq!(
        grants.texts().into_iter().map(|(_, text)| text).collect::<Vec<_>>(),
        ["exec-opaque:a", "exec-read:b"]
    );
}

#[test]
fn a_whole_number_is_written_as_one_where_the_schema_has_integers() {
    let mut manifest = good();
    manifest["parameters"] = json!({ "type": "object", "properties": {
        "tries": { "type": "integer" },
        "most": { "type": ["integer", "null"] },
        "ratio": { "type": "number" },
        "list": { "type": "array", "items": { "type": "object", "properties": { "size": { "type": "integer" } } } },
        "by": { "type": "object", "additionalProperties": { "type": "integer" } },
    }});
    manifest["capabilities"] = json!({});
    let manifest = Manifest::parse(&manifest.to_string()).expect("well formed");
    let given = json!({ "tries": 5.0, "most": 1e18, "ratio": 5.0, "list": [{ "size": -0.0 }], "by": { "a": -3.0, "b": 0.5 } });
    assert_eq!(
        manifest.read_by_step(given),
        json!({ "tries": 5, "most": 1_000_000_000_000_000_000_u64, "ratio": 5.0, "list": [{ "size": 0 }], "by": { "a": -3, "b": 0.5 } })
    );
    // No language has integers of that size.
    let large = json!({ "tries": 1e300 });
    assert_eq!(manifest.read_by_step(large.clone()), large);
    // Grants have the same number as the step.
    let complete =
        manifest.complete(&ValueTemplate::parse(&json!({ "tries": 8080.0 })).expect("well formed"));
    assert_eq!(Value::from(complete), json!({ "tries": 8080 }));
}

#[test]
fn defaults_reach_into_lists_and_tables() {
    let shape = json!({ "type": "object", "properties": { "size": { "type": "integer", "default": 1 } } });
    let mut manifest = good();
    manifest["parameters"] = json!({ "type": "object", "properties": {
        "list": { "type": "array", "items": shape },
        "by": { "type": "object", "additionalProperties": shape },
    }});
    manifest["capabilities"] = json!({});
    let manifest = Manifest::parse(&manifest.to_string()).expect("well formed");
    let given = json!({ "list": [{}, { "size": 2 }], "by": { "a": {}, "size": { "size": 3 } } });
    let complete = manifest.complete(&ValueTemplate::parse(&given).expect("well formed"));
    assert_eq!(
        Value::from(complete),
        json!({ "list": [{ "size": 1 }, { "size": 2 }], "by": { "a": { "size": 1 }, "size": { "size": 3 } } })
    );
}

#[test]
fn a_parameter_that_is_left_out_has_its_default() {
    let mut manifest = good();
    manifest["parameters"] = json!({ "type": "object", "properties": {
        "argv": { "type": "array" },
        "effect": { "type": "string", "default": "opaque" },
        "env": { "type": "object", "default": {} },
        "root": { "type": "string", "default": null },
        "skip": { "type": "array" },
    }});
    manifest["capabilities"] = json!({ "ssh": [
        "read:${root}",
        "exec-${effect}:${env...} ${argv...}",
        "exec-read:${env...} ${skip...}",
    ]});
    let manifest = Manifest::parse(&manifest.to_string()).expect("well formed");
    let bind = |with: Value| {
        let with = ValueTemplate::parse(&with).expect("well formed");
        manifest.bind(&with).expect("grants").texts().into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    assert_eq!(bind(json!({ "argv": ["df", "-P"] })), ["exec-opaque:df -P"]);
    assert_eq!(
        bind(
            json!({ "argv": ["a"], "skip": ["b c"], "effect": "signal", "env": { "X": "1 2", "A": 5 }, "root": "/" })
        ),
        ["read:/", "exec-signal:A=5 X='1 2' a", "exec-read:A=5 X='1 2' 'b c'"]
    );
}
