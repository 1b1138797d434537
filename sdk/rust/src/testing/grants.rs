//! The capabilities of a step, bound to its parameters, so that one that is missing shows in `cargo test` and not
//! first on a target. The runner's own rules are stricter (lock, policy, physical paths); these are for the author.

use crate::{Capabilities, Error, ErrorKind, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// What one run may do.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    ssh: Vec<String>,
    exec: Vec<(String, Vec<String>)>,
    files: Vec<String>,
    http: Vec<String>,
    secrets: Vec<String>,
}

/// The parameters with the defaults of the schema, those of tables in lists and tables too, as the runner gives them to the step.
pub(crate) fn complete(mut params: Value, schema: &Value) -> Value {
    fill_in_defaults(&mut params, schema);
    params
}

fn fill_in_defaults(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(given) => {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) = property.get("default").filter(|default| !default.is_null()) {
                    given.entry(name.clone()).or_insert_with(|| default.clone());
                }
            }
            for (name, value) in given {
                let property =
                    schema["properties"].get(name.as_str()).unwrap_or(&schema["additionalProperties"]);
                fill_in_defaults(value, property);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| fill_in_defaults(value, &schema["items"])),
        _ => {}
    }
}

impl Granted {
    /// A template with a parameter that is not given is left out.
    pub(crate) fn bind(capabilities: Capabilities, params: &Value) -> Self {
        let mut granted = Self::default();
        for template in capabilities.ssh {
            for params in &elements(template, params) {
                match template.strip_prefix("exec-").and_then(|rest| rest.split_once(':')) {
                    Some((class, argv)) => {
                        let bound: Option<Vec<Vec<String>>> =
                            argv.split(' ').map(|argument| splice(argument, params)).collect();
                        let class = bind(class, params);
                        if let (Some(class), Some(argv)) = (class, bound) {
                            granted.exec.push((class, argv.concat()));
                        }
                    }
                    None => granted.ssh.extend(bind(template, params)),
                }
            }
        }
        let each = |templates: &[&str]| -> Vec<String> {
            let bound = |template: &&str| {
                elements(template, params)
                    .iter()
                    .filter_map(|params| bind(template, params))
                    .collect::<Vec<_>>()
            };
            templates.iter().flat_map(bound).collect()
        };
        granted.files = each(capabilities.files);
        granted.http = each(capabilities.http);
        granted.secrets = each(capabilities.secrets);
        granted
    }

    pub(crate) fn path(&self, word: &str, path: &str) -> Result<()> {
        let prefix = format!("{word}:");
        let mut prefixes = self.ssh.iter().filter_map(|grant| grant.strip_prefix(&prefix));
        allow(prefixes.any(|granted| within(path, granted)), "ssh", &format!("{word}:{path}"))
    }

    pub(crate) fn service(&self, unit: &str, action: Option<&str>) -> Result<()> {
        let mut granted = self.ssh.iter().filter_map(|grant| grant.strip_prefix("service:")?.split_once(' '));
        let fits = granted.any(|(of, may)| of == unit && action.is_none_or(|action| may == action));
        allow(fits, "ssh", &format!("service:{unit} {}", action.unwrap_or("restart")))
    }

    /// Exactly this socket, in exactly this class.
    pub(crate) fn socket(&self, class: &str, path: &str) -> Result<()> {
        let grant = format!("socket-{class}:{path}");
        allow(self.ssh.contains(&grant), "ssh", &grant)
    }

    pub(crate) fn target(&self, name: &str) -> Result<()> {
        let grant = format!("target:{name}");
        allow(self.ssh.contains(&grant), "ssh", &grant)
    }

    /// The variables stand in front of the program, as in a grant.
    pub(crate) fn exec(&self, class: &str, env: &BTreeMap<String, String>, argv: &[String]) -> Result<()> {
        let variables = env.iter().map(|(name, value)| format!("{name}={value}"));
        let words: Vec<String> = variables.chain(argv.iter().cloned()).collect();
        let fits = self.exec.iter().any(|(granted, pattern)| {
            granted == class
                && pattern.len() == words.len()
                && pattern.iter().zip(&words).all(|(want, got)| {
                    want == got
                        || (want == "*" && !got.starts_with('-'))
                        || want
                            .strip_suffix('*')
                            .is_some_and(|name| name.ends_with('=') && got.starts_with(name))
                })
        });
        allow(fits, "ssh", &format!("exec-{class}:{}", words.join(" ")))
    }

    pub(crate) fn file(&self, word: &str, path: &str) -> Result<()> {
        let prefix = format!("{word}:");
        let mut prefixes = self.files.iter().filter_map(|grant| grant.strip_prefix(&prefix));
        let fits = prefixes.any(|granted| matches!(granted, "." | "./") || within(path, granted));
        allow(fits, "files", &format!("{word}:{path}"))
    }

    pub(crate) fn secret(&self, name: &str) -> Result<()> {
        allow(self.secrets.iter().any(|granted| granted == name), "secrets", name)
    }

    /// `at`: the address in place of the URL's; `from`: whether it is sent through a target's connection.
    pub(crate) fn http(
        &self,
        class: &str,
        method: &str,
        url: &str,
        at: Option<&str>,
        from: bool,
    ) -> Result<()> {
        let end =
            at.map(|at| format!(" at {at}")).unwrap_or_default() + if from { " from target" } else { "" };
        let fits = self.http.iter().filter_map(|grant| grant.strip_suffix(end.as_str())).any(|grant| {
            let words: Vec<&str> = grant.split(' ').collect();
            let (of, verb, prefix) = match words[..] {
                [verb, prefix] if matches!(verb, "GET" | "HEAD") => ("read", verb, prefix),
                [verb, prefix] => ("opaque", verb, prefix),
                [of, verb, prefix] => (of, verb, prefix),
                _ => return false,
            };
            of == class && verb == method && url.starts_with(prefix)
        });
        allow(fits, "http", &format!("{class} {method} {url}{end}"))
    }
}

fn allow(fits: bool, key: &str, grant: &str) -> Result<()> {
    if fits {
        return Ok(());
    }
    let message = format!("`{grant}`: the capabilities of the step do not cover it");
    Err(Error::new(ErrorKind::Denied, message).with_detail(format!("{key} = [\"{grant}\"]")))
}

/// By segment: `/srv/shop-old` is not within `/srv/shop`.
fn within(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The parameters once for each element of every list that the template's names lead through or end in, with the
/// element in the place of the list: `${files.path}` is of one table then.
fn elements(template: &str, params: &Value) -> Vec<Value> {
    for name in names(template) {
        let spread = name.ends_with("...");
        let words: Vec<&str> = name.trim_end_matches("...").split('.').collect();
        for depth in 1..=words.len() {
            let pointer = format!("/{}", words[..depth].join("/"));
            if let Some(Value::Array(values)) = params.pointer(&pointer)
                && (depth < words.len() || !spread)
            {
                let with = |element: &Value| {
                    let mut params = params.clone();
                    if let Some(list) = params.pointer_mut(&pointer) {
                        *list = element.clone();
                    }
                    elements(template, &params)
                };
                return values.iter().flat_map(with).collect();
            }
        }
    }
    vec![params.clone()]
}

/// What stands in `${` and `}`.
fn names(template: &str) -> impl Iterator<Item = &str> {
    template.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

fn value<'a>(name: &str, params: &'a Value) -> Option<&'a Value> {
    params.pointer(&format!("/{}", name.replace('.', "/")))
}

/// One argument of a template: `${name...}` becomes one for each item of a list, or a variable for each of a table.
fn splice(argument: &str, params: &Value) -> Option<Vec<String>> {
    let name = argument.strip_prefix("${").and_then(|rest| rest.strip_suffix("...}"));
    match name {
        Some(name) => match value(name, params)? {
            Value::Object(variables) => {
                variables.iter().map(|(name, value)| Some(format!("{name}={}", text(value)?))).collect()
            }
            list => list.as_array()?.iter().map(text).collect(),
        },
        None => bind(argument, params).map(|argument| vec![argument]),
    }
}

/// Puts parameters in for `${name}`.
fn bind(template: &str, params: &Value) -> Option<String> {
    let mut bound = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}')?;
        bound.push_str(before);
        bound.push_str(&text(value(name, params)?)?);
        rest = after;
    }
    bound.push_str(rest);
    Some(bound)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_are_bound_to_parameters() {
        let capabilities = Capabilities {
            ssh: &["write:${root}/current", "exec-${effect}:${argv...}", "exec-read:${check...}"],
            ..Capabilities::NONE
        };
        let params = json!({ "root": "/srv/shop", "effect": "signal", "argv": ["nginx", "-s", "reload"] });
        let granted = Granted::bind(capabilities, &params);
        assert!(granted.path("write", "/srv/shop/current").is_ok());
        assert!(granted.path("write", "/srv/shop").is_err());
        assert!(granted.path("read", "/srv/shop/current").is_err());
        let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let none = BTreeMap::new();
        assert!(granted.exec("signal", &none, &argv(&["nginx", "-s", "reload"])).is_ok());
        assert!(granted.exec("read", &none, &argv(&["nginx", "-s", "reload"])).is_err());
        assert!(granted.exec("signal", &none, &argv(&["nginx", "-s", "stop"])).is_err());
        let preloaded = BTreeMap::from([("LD_PRELOAD".to_owned(), "x".to_owned())]);
        assert!(granted.exec("signal", &preloaded, &argv(&["nginx", "-s", "reload"])).is_err());
    }

    #[test]
    fn variables_are_granted_with_the_command() {
        let capabilities = Capabilities {
            ssh: &["exec-read:${env...} ${argv...}", "exec-read:LANG=* date"],
            ..Capabilities::NONE
        };
        let granted = Granted::bind(capabilities, &json!({ "env": { "A": "1", "B": 2 }, "argv": ["ls"] }));
        let exec = |variables: &[(&str, &str)], program: &str| {
            let env =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            granted.exec("read", &env, &[program.to_owned()]).is_ok()
        };
        assert!(exec(&[("A", "1"), ("B", "2")], "ls") && exec(&[("LANG", "C")], "date"));
        assert!(!exec(&[], "ls") && !exec(&[("A", "1"), ("B", "3")], "ls") && !exec(&[], "date"));
    }

    #[test]
    fn each_table_of_a_list_is_granted_by_itself() {
        let capabilities = Capabilities {
            ssh: &["write:${files.path}", "exec-${run.effect}:${run.argv...}"],
            files: &["read:${files.source}"],
            ..Capabilities::NONE
        };
        let granted = Granted::bind(
            capabilities,
            &json!({
                "files": [{ "path": "/etc/a", "source": "a" }, { "path": "/etc/b" }],
                "run": [{ "effect": "read", "argv": ["df", "-P"] }, { "effect": "signal", "argv": ["up"] }],
            }),
        );
        for path in ["/etc/a", "/etc/b"] {
            assert!(granted.path("write", path).is_ok(), "{path}");
        }
        assert!(granted.path("write", "/etc").is_err());
        assert!(granted.file("read", "a").is_ok() && granted.file("read", "b").is_err());
        let exec =
            |class: &str, program: &str| granted.exec(class, &BTreeMap::new(), &[program.to_owned()]).is_ok();
        assert!(exec("signal", "up") && !exec("read", "up") && !exec("read", "df"));
    }

    #[test]
    fn defaults_of_the_schema_are_parameters_too() {
        let schema =
            json!({ "properties": { "action": { "default": "restart" }, "root": { "default": null } } });
        assert_eq!(complete(json!({}), &schema), json!({ "action": "restart" }));
        let list = json!({ "properties": { "run": { "type": "array", "items": schema } } });
        assert_eq!(complete(json!({ "run": [{}] }), &list), json!({ "run": [{ "action": "restart" }] }));
    }
}
