//! Fills a template in. Nothing is taken from anywhere else than what the plan gives: there are no includes, and a name
//! that is not there is an error.

use crate::secret::{self, Filled};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, Serde, ValueKind};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, escape_formatter};
use runner_sdk::{Error, Result, run_info};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a template has beside its `vars`: as the plan's references are called, where there is one.
const OWN: [&str; 5] = ["environment", "release", "run", "secrets", "target"];

/// What comes of a template. `name`: where it is from, for messages; `secrets`: the names of those that it may use.
pub(crate) fn render(
    name: &str,
    text: &str,
    vars: BTreeMap<String, serde_json::Value>,
    secrets: &[String],
) -> Result<Filled> {
    if let Some(taken) = vars.keys().find(|var| OWN.contains(&var.as_str())) {
        let message = format!("`vars` has `{taken}`, which every template has of its own");
        return Err(Error::invalid(message).with_detail("call it something else"));
    }
    let mut names: BTreeMap<String, Value> =
        vars.into_iter().map(|(name, value)| (name, Value::from(Serde(&value)))).collect();
    names.extend(own());
    names.insert("secrets".to_owned(), secret::table(secrets));

    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_debug(true);
    // As the plan writes them, and most configuration files; not as Python does.
    environment.set_formatter(|out, state, value| {
        match (bool::try_from(value.clone()), secret::mark(value)) {
            (Ok(truth), _) if value.kind() == ValueKind::Bool => {
                escape_formatter(out, state, &Value::from(truth.to_string()))
            }
            (_, Some(mark)) => escape_formatter(out, state, &Value::from(mark)),
            _ => escape_formatter(out, state, value),
        }
    });
    let syntax =
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(|error| Error::other(format!("the template engine: {error}")))?);
    let template =
        environment.template_from_named_str(name, text).map_err(|e| explain(name, text, &e, &names))?;
    let filled =
        template.render(Value::from(names.clone())).map_err(|error| explain(name, text, &error, &names))?;
    Filled::read(name, filled)
}

fn own() -> [(String, Value); 4] {
    let table = |entries: Vec<(&str, Option<String>)>| {
        let known =
            entries.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))));
        Value::from(known.collect::<BTreeMap<String, Value>>())
    };
    let mut target = BTreeMap::from([("vars".to_owned(), Value::from_object(Vars))]);
    if let Some(name) = run_info::subject() {
        target.insert("name".to_owned(), Value::from(name));
    }
    let release = vec![("id", run_info::release_id()), ("previous", run_info::previous_release())];
    [
        ("environment".to_owned(), Value::from(run_info::environment())),
        ("release".to_owned(), table(release)),
        ("run".to_owned(), table(vec![("id", Some(run_info::run_id()))])),
        ("target".to_owned(), Value::from(target)),
    ]
}

/// The variables of the target in the inventory. They are asked for one by one: nothing lists them.
#[derive(Debug)]
struct Vars;

impl Object for Vars {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        run_info::variable(key.as_str()?).map(Value::from)
    }
}

/// The place, what is wrong there, and what was probably meant.
fn explain(name: &str, text: &str, error: &minijinja::Error, names: &BTreeMap<String, Value>) -> Error {
    let offset = error.range().map(|range| range.start.min(text.len()));
    let before = offset.and_then(|offset| text.get(..offset));
    let line = before.map(|before| before.matches('\n').count() + 1).or(error.line());
    let column = before.map(|before| before.chars().rev().take_while(|c| *c != '\n').count() + 1);

    let mut place = name.to_owned();
    for part in [line, column].into_iter().flatten() {
        place.push_str(&format!(":{part}"));
    }
    let what = match error.detail() {
        Some(detail) if error.kind() == minijinja::ErrorKind::UndefinedError => detail.to_owned(),
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let mut detail = Vec::new();
    if let Some(line) = line.and_then(|line| text.lines().nth(line - 1)) {
        let shown: String = line.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Some(column) = column.filter(|column| *column <= 200) {
            detail.push(format!("{shown}\n{}^", " ".repeat(column - 1)));
        } else {
            detail.push(shown);
        }
    }
    if let Some(undefined) = what.split('`').nth(1).filter(|_| what.contains("undefined")) {
        detail.push(meant(undefined, names));
    }
    Error::invalid(format!("{place}: {what}")).with_detail(detail.join("\n"))
}

/// What helps with a name that is not there.
fn meant(undefined: &str, names: &BTreeMap<String, Value>) -> String {
    let mut table = Value::from(names.clone());
    let mut known = String::new();
    for word in undefined.split('.') {
        if known == "target.vars" {
            return "it must be a variable of the target in the inventory".to_owned();
        }
        match table.get_attr(word) {
            Ok(next) if !next.is_undefined() => {
                table = next;
                known.push_str(if known.is_empty() { word } else { "." });
                if known.ends_with('.') {
                    known.push_str(word);
                }
            }
            _ => {
                let within = if known.is_empty() { String::new() } else { format!("{known}.") };
                let keys: Vec<String> = match (table.kind(), table.try_iter()) {
                    (ValueKind::Map, Ok(keys)) => keys.map(|key| format!("{within}{key}")).collect(),
                    _ => Vec::new(),
                };
                let all: Vec<&str> = keys.iter().map(String::as_str).collect();
                let wanted = format!("{within}{word}");
                return match similar::get_close_matches(wanted.as_str(), &all, 1, 0.6).first() {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if all.is_empty() => format!("`{known}` has no names"),
                    None => format!("there are `{}`", all.join("`, `")),
                };
            }
        }
    }
    "it has no value here".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_sdk::testing::World;
    use serde_json::json;

    fn rendered(text: &str) -> Result<String> {
        let world = World::new();
        world.release_id("4.2-abc").target("web-1").var("http-port", "8080");
        let vars = json!({
            "shop": { "name": "Shop", "debug": false, "workers": 4 }, "servers": ["a", "b"], "html": "<&>",
        });
        let vars = serde_json::from_value(vars).expect("a table");
        world
            .enter(|| render("conf/shop.j2", text, vars, &[]))
            .map(|filled| filled.text().expect("text").to_owned())
    }

    #[test]
    fn values_are_filled_in_as_they_are() {
        let text = "name = {{ shop.name }}\n{% for server in servers %}\n  server {{ server }}:{{ target.vars[\"http-port\"] }}\n{% endfor %}\n{% if shop.debug %}\ndebug\n{% endif %}\nworkers {{ shop.workers * 2 }} {{ html }} {{ shop.debug }}\n";
        assert_eq!(
            rendered(text).expect("filled in"),
            "name = Shop\n  server a:8080\n  server b:8080\nworkers 8 <&> false\n"
        );
        assert_eq!(
            rendered("{{ target.name }} {{ environment }} {{ release.id }} {{ run.id }}").expect("filled in"),
            "web-1 test 4.2-abc r-1"
        );
        assert_eq!(
            rendered("{{ nothing | default('x') }}{{ release.previous is defined }}").expect("filled in"),
            "xfalse"
        );
        assert_eq!(
            rendered("{{ servers | join(' ') }} {{ shop | tojson }}").expect("filled in"),
            "a b {\"debug\": false, \"name\": \"Shop\", \"workers\": 4}"
        );
    }

    #[test]
    fn a_mistake_has_its_place_and_what_was_meant() {
        for (text, message, detail) in [
            (
                "a\nb {{ shop.names }}\n",
                "conf/shop.j2:2:6: `shop.names` is undefined",
                "b {{ shop.names }}\n     ^\ndid you mean `shop.name`?",
            ),
            (
                "{{ shpo.name }}",
                "conf/shop.j2:1:4: `shpo` is undefined",
                "{{ shpo.name }}\n   ^\ndid you mean `shop`?",
            ),
            (
                "{{ target.vars.port }}",
                "conf/shop.j2:1:4: `target.vars.port` is undefined",
                "{{ target.vars.port }}\n   ^\nit must be a variable of the target in the inventory",
            ),
            (
                "{{ quite_other }}",
                "conf/shop.j2:1:4: `quite_other` is undefined",
                "{{ quite_other }}\n   ^\nthere are `environment`, `html`, `release`, `run`, `secrets`, `servers`, `shop`, `target`",
            ),
            (
                "{% for x in shop.nothing %}{% endfor %}",
                "conf/shop.j2:1:13: `shop.nothing` is undefined",
                "{% for x in shop.nothing %}{% endfor %}\n            ^\nthere are `shop.debug`, `shop.name`, `shop.workers`",
            ),
            (
                "{% if x %}",
                "conf/shop.j2:1:9: syntax error: unexpected end of input, expected end of block",
                "{% if x %}\n        ^",
            ),
            (
                "x\n  {{ shop.name | upper2 }}",
                "conf/shop.j2:2:18: unknown filter: filter upper2 is unknown",
                "  {{ shop.name | upper2 }}\n                 ^",
            ),
            (
                "{{ 1 / 'a' }}",
                "conf/shop.j2:1:4: invalid operation: tried to use / operator on unsupported types number and string",
                "{{ 1 / 'a' }}\n   ^",
            ),
            (
                "{% include '/etc/passwd' %}",
                "conf/shop.j2:1:4: syntax error: unknown statement include",
                "{% include '/etc/passwd' %}\n   ^",
            ),
        ] {
            let error = rendered(text).expect_err(text);
            assert_eq!((error.message.as_str(), error.detail.as_str()), (message, detail));
        }
    }

    #[test]
    fn a_var_cannot_hide_what_every_template_has() {
        let vars = BTreeMap::from([("target".to_owned(), json!({}))]);
        let error = World::new().enter(|| render("x", "", vars, &[])).expect_err("taken");
        assert_eq!(error.message, "`vars` has `target`, which every template has of its own");
    }
}
