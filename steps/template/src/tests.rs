use super::*;
use runner_sdk::testing::World;
use serde_json::json;

fn world() -> World {
    let world = World::new();
    world.file("shop.conf.j2", "name {{ name }}\nhost {{ target.name }}\n");
    world.target("web-1").dir("/etc");
    world
}

fn run(world: &World, more: Value) -> Result<Value> {
    let mut with = json!({ "source": "shop.conf.j2", "to": "/etc/shop.conf", "vars": { "name": "Shop" } });
    for (name, value) in more.as_object().expect("an object") {
        with[name] = value.clone();
    }
    world.run::<Template>(with)
}

#[test]
fn a_file_is_written_once() {
    let world = world();
    let web = world.target("web-1");
    let with = json!({ "mode": "0640", "owner": "root", "group": "adm" });
    assert_eq!(
        run(&world, with.clone()).expect("written"),
        json!({ "changed": true, "path": "/etc/shop.conf" })
    );
    assert_eq!(web.text("/etc/shop.conf").as_deref(), Some("name Shop\nhost web-1\n"));
    assert_eq!(web.attributes("/etc/shop.conf"), Some((0o640, "root".to_owned(), "adm".to_owned())));
    assert_eq!(world.log(), ["info: wrote `/etc/shop.conf`: 2 lines"]);

    assert_eq!(run(&world, with).expect("there"), json!({ "changed": false, "path": "/etc/shop.conf" }));
    assert!(world.effects().is_empty());
}

#[test]
fn what_changed_is_shown_unless_others_may_not_read_it() {
    let world = world();
    run(&world, json!({})).expect("written");
    run(&world, json!({ "vars": { "name": "Store" } })).expect("written");
    let shown = ["wrote `/etc/shop.conf`:", "@@ -1,2 +1,2 @@", "-name Shop", "+name Store", " host web-1"];
    assert_eq!(world.log(), shown.map(|line| format!("info: {line}")));

    run(&world, json!({ "mode": "0600", "vars": { "name": "hush" } })).expect("written");
    let hidden = ["info: wrote `/etc/shop.conf`; not everybody may read it, so what changed is not shown"];
    assert_eq!(world.log(), hidden);
    // Opening the file to all does not open the log to what was in it.
    run(&world, json!({ "mode": "0644", "vars": { "name": "open" } })).expect("written");
    assert_eq!(world.log(), hidden);
    run(&world, json!({ "mode": "0600", "vars": { "name": "open" } })).expect("written");
    assert_eq!(world.log(), ["info: `/etc/shop.conf` has another owner or mode now"]);
}

#[test]
fn a_template_that_is_wrong_changes_nothing() {
    let world = world();
    let error = run(&world, json!({ "vars": { "names": "Shop" } })).expect_err("undefined");
    assert!(error.is(ErrorKind::Invalid));
    assert_eq!(error.message, "shop.conf.j2:1:9: `name` is undefined");
    assert_eq!(error.detail, "name {{ name }}\n        ^\ndid you mean `names`?");
    assert!(world.effects().is_empty() && !world.target("web-1").exists("/etc/shop.conf"));

    let error = run(&world, json!({ "source": "shop.j2" })).expect_err("missing");
    assert_eq!(error.message, "the template `shop.j2`: `shop.j2` does not exist");
    let error = run(&world, json!({ "content": "x" })).expect_err("both");
    assert_eq!(error.message, "it needs either `source` or `content`");
}

#[test]
fn a_template_may_stand_in_the_plan() {
    let world = world();
    let with = json!({ "content": "{{ name }}", "to": "/etc/name", "vars": { "name": ["a", 1] } });
    world.run::<Template>(with).expect("written");
    assert_eq!(world.target("web-1").text("/etc/name").as_deref(), Some("['a', 1]"));
}

#[test]
fn what_is_in_the_way_stays() {
    let world = world();
    world.target("web-1").dir("/etc/shop.conf");
    let error = run(&world, json!({})).expect_err("a folder");
    assert_eq!(error.message, "on `web-1`: `/etc/shop.conf` is a folder");
}

/// What a template with two secrets comes to, and the world that it is in.
fn with_secrets(content: &str) -> (World, Result<serde_json::Value>) {
    let world = World::new();
    world.secret("db-password", "hunter2").secret("token", "t0k3n").target("web-1").dir("/etc");
    let with = json!({ "content": content, "to": "/etc/shop.env", "secrets": ["db-password", "token"] });
    let answer = world.run::<Template>(with);
    (world, answer)
}

#[test]
fn secrets_are_put_in_by_the_host() {
    let content = "A={{ secrets['db-password'] }}\n{% if true %}\nB={{ secrets.token }};{{ secrets.token }}\n{% endif %}\nC=1\n";
    let (world, answer) = with_secrets(content);
    assert_eq!(answer.expect("written")["changed"], true);
    let web = world.target("web-1");
    assert_eq!(web.text("/etc/shop.env").as_deref(), Some("A=hunter2\nB=t0k3n;t0k3n\nC=1\n"));
    assert_eq!(web.attributes("/etc/shop.env").expect("is there").0, 0o600);
    assert_eq!(world.effects(), ["web-1: write-secret /etc/shop.env"]);
    assert!(
        world.log().iter().all(|line| !line.contains("hunter2") && !line.contains("t0k3n")),
        "{:?}",
        world.log()
    );
}

#[test]
fn a_template_that_uses_no_secret_is_a_plain_file() {
    let (world, answer) = with_secrets("C=1\n");
    answer.expect("written");
    assert_eq!(world.effects(), ["web-1: write /etc/shop.env"]);
}

#[test]
fn a_secret_is_no_text() {
    for content in [
        "{{ secrets.token | upper }}",
        "{{ secrets.token ~ 'x' }}",
        "{{ secrets.token | tojson }}",
        "{{ secrets.token | replace('t', 'x') }}",
        "{{ secrets.token | string }}",
        "{% filter upper %}{{ secrets.token }}{% endfilter %}",
        "{% filter replace('0', '1') %}{{ secrets['db-password'] }}{% endfilter %}",
        "{% filter replace('1', '0') %}{{ secrets.token }}{% endfilter %}",
        "{% filter replace('a', 'b') %}{{ secrets['db-password'] }}{% endfilter %}",
        "{% set x %}{{ secrets.token }}{% endset %}{{ x | tojson }}",
        "{% set x %}{{ secrets.token }}{% endset %}{{ x | trim | title }}",
        "{% set x %}{{ secrets.token }}{% endset %}{{ x | urlencode }}",
        "{% set x %}{{ secrets.token }}{% endset %}{{ x[1:] }}",
        "{% set x %}{{ secrets.token }}{% endset %}{{ x | reverse }}",
        "{% set x %}{{ secrets.token }}{% endset %}{{ x | indent }}",
    ] {
        let (world, answer) = with_secrets(content);
        let error = answer.expect_err(content);
        assert!(error.is(ErrorKind::Invalid), "{content}: {error}");
        assert!(world.effects().is_empty());
    }
    for content in ["\u{F8F0}0\u{F8F1}{{ secrets.token }}\u{F8F1}", "\u{F8F0}", "\u{F8F0}x\u{F8F1}"] {
        let error = with_secrets(content).1.expect_err("a mark");
        assert!(error.message.contains("U+F8F0"), "{error}");
    }
    let error = with_secrets("{{ secrets.tokens }}").1.expect_err("unknown");
    assert!(error.detail.ends_with("did you mean `secrets.token`?"), "{}", error.detail);
}

#[test]
fn secrets_are_compared_by_name_and_may_be_kept() {
    let content = "{% set x %}{{ secrets.token }}{% endset %}{{ x }} {{ secrets.token == secrets['db-password'] }} \
         {{ secrets.token == secrets.token }} {{ secrets.token == 't0k3n' }} {{ x == 't0k3n' }}";
    let (world, answer) = with_secrets(content);
    answer.expect("written");
    let text = world.target("web-1").text("/etc/shop.env");
    assert_eq!(text.as_deref(), Some("t0k3n false true false false"));
}

#[test]
fn a_secret_that_is_not_given_is_refused() {
    let world = World::new();
    let with = json!({ "content": "{{ secrets.token }}", "to": "/shop.env", "secrets": ["token"] });
    assert!(world.run::<Template>(with).is_err());
    assert!(world.effects().is_empty());
}
