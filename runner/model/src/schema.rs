//! JSON Schemas (draft 2020-12) of what people and modules write, and the reference that `docs/` shows. Both come from
//! the doc comments of the types that the files are read into.

mod reference;

pub use reference::reference_markdown;

use crate::inventory::InventoryFile;
use crate::plan::{AllowTable, Plan};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;
use std::collections::BTreeMap;

/// A kind of file that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `plan.toml`.
    Plan,
    /// An environment's inventory.
    Inventory,
    /// The operator's policy.
    Policy,
    /// What a module's `describe` returns.
    Manifest,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plan, Self::Inventory, Self::Policy, Self::Manifest];

    /// As the command line names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Inventory => "inventory",
            Self::Policy => "policy",
            Self::Manifest => "manifest",
        }
    }
}

/// The operator's policy: a file outside every repository that narrows what any plan may do. It is read from
/// `$RUNNER_POLICY`, else from `$XDG_CONFIG_HOME/runner/policy.toml`, else from `/etc/runner/policy.toml`.
#[derive(JsonSchema)]
#[schemars(rename = "Policy", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "what the schema and the reference are made of; `Policy::parse` reads the file")]
struct PolicyFile {
    /// The version of the policy language. Always 1, in the first line.
    #[schemars(extend("const" = 1))]
    policy: u32,
    /// What may be done in an environment, by its name. `"*"` is for environments that have no section of their own,
    /// and what it denies holds in all. With a policy, an environment that it does not speak of is refused.
    #[schemars(default)]
    environment: BTreeMap<String, PolicySection>,
    /// Whom to believe, where `modules` of an environment asks who signed or reviewed a module.
    trust: Option<TrustTable>,
}

/// Whom to believe, in every environment. The files are the operator's, and never beside a plan.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "as `PolicyFile`")]
struct TrustTable {
    /// Whose SSH keys are whose: a file in the format that ssh-keygen(1) calls ALLOWED SIGNERS, relative to the policy's
    /// folder. `signed-by` and `vetted-by` need it.
    allowed_signers: Option<String>,
    /// Whose certificates and logs are believed of bundles of Sigstore: a file of trusted roots, as `cosign trusted-root create`
    /// and `gh attestation trusted-root` write it, relative to the policy's folder. `sigstore` needs it.
    sigstore_root: Option<String>,
    /// Components and vettings that count no more, in any environment, whoever signed them: `"sha256:…"`.
    #[schemars(default)]
    revoked: Vec<String>,
}

/// Which modules may be used in an environment, but for the standard ones. Each key that is given must be fulfilled, and so
/// must those of `"*"`, in every environment. An empty list refuses all.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "as `PolicyFile`")]
struct ModulesTable {
    /// Where modules may come from: registries, or parts of them, such as `"registry.example.org/team"`. Left out: any.
    registries: Option<Vec<String>>,
    /// Whether modules may come from files. Left out: they may, and not where `registries` is given.
    files: Option<bool>,
    /// Who must have signed the component: one of these names of `allowed-signers`. `*` is any text, `?` one character.
    signed_by: Option<Vec<String>>,
    /// Whom a bundle of Sigstore must name: one of these. It is verified with what `sigstore-root` names, and nobody is asked.
    sigstore: Option<Vec<IdentityTable>>,
    /// Who must have reviewed the module: one of these. The ceiling of the newest review that counts caps what its steps may
    /// do.
    vetted_by: Option<Vec<String>>,
}

/// Whom the certificate in a bundle of Sigstore names: a person, or a workflow of a build service.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "as `PolicyFile`")]
struct IdentityTable {
    /// The OpenID Connect issuer where they signed in, to the letter: `"https://token.actions.githubusercontent.com"`.
    issuer: String,
    /// Their name there: an e-mail address, or the URL of a workflow. `*` is any text, `?` one character.
    identity: String,
}

/// What may be done in one environment.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "as `PolicyFile`")]
struct PolicySection {
    /// What steps may do at most, whatever the plan and its lock say. Left out: what these say.
    allow: Option<AllowTable>,
    /// What no step may do, whatever allows it.
    deny: Option<AllowTable>,
    /// Whether the inventory may come from a program, which then runs on this machine. Left out: it may. `false` for
    /// `"*"` holds in all environments.
    inventory_commands: Option<bool>,
    /// Which modules may be used. Left out: all that the lock has.
    modules: Option<ModulesTable>,
}

/// What a module says of itself: the JSON that its `describe` returns.
#[derive(JsonSchema)]
#[schemars(rename = "Manifest", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "what the schema is made of; `Manifest::parse` reads it")]
struct ManifestFile {
    /// Its name: letters, digits, `-`, `_` and `.`.
    name: String,
    /// Its version, for people: what counts is its digest.
    version: String,
    /// What it does, in a line.
    summary: String,
    /// How to use it, in Markdown.
    documentation: String,
    /// The JSON Schema of its parameters, of type `object`.
    parameters: serde_json::Map<String, Value>,
    /// The JSON Schema of its outputs, of type `object`.
    outputs: serde_json::Map<String, Value>,
    /// What it is for. Left out: a step.
    #[schemars(default)]
    world: ManifestWorld,
    /// How often a step of it runs.
    runs: ManifestRuns,
    /// The grants that it needs, with `${name}` for its parameters. A list that is left out is empty.
    #[schemars(default)]
    capabilities: ManifestCapabilities,
}

/// What a module is for.
#[derive(Default, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "as `ManifestFile`")]
enum ManifestWorld {
    /// A step of a plan.
    #[default]
    Step,
    /// `[cluster]`: it knows which targets are in service.
    Cluster,
}

/// How often a step of a module runs.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "as `ManifestFile`")]
enum ManifestRuns {
    /// Once in a run.
    Once,
    /// Once for each target.
    EachTarget,
}

/// The grants that a module needs.
#[derive(Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "as `ManifestFile`")]
struct ManifestCapabilities {
    /// On targets: `"write:${root}"`, `"service:${unit} restart"`, `"exec-read:${argv...}"`.
    #[schemars(default)]
    ssh: Vec<String>,
    /// Beside the plan: `"read:${source}"`.
    #[schemars(default)]
    files: Vec<String>,
    /// Over HTTP: `"GET ${url}"`.
    #[schemars(default)]
    http: Vec<String>,
}

/// The JSON Schema of a kind of file.
pub fn schema(kind: Kind) -> Value {
    let generator = || SchemaSettings::draft2020_12().into_generator();
    let schema = match kind {
        Kind::Plan => generator().into_root_schema_for::<Plan>(),
        Kind::Inventory => generator().into_root_schema_for::<InventoryFile>(),
        Kind::Policy => generator().into_root_schema_for::<PolicyFile>(),
        Kind::Manifest => generator().into_root_schema_for::<ManifestFile>(),
    };
    let mut schema = schema.to_value();
    without_null(&mut schema);
    schema
}

/// A key that may be left out may not be null: TOML has no such value, and a manifest has none to leave out.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(values) => values.iter_mut().for_each(without_null),
        Value::Object(object) => {
            object.values_mut().for_each(without_null);
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|one| one != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(forms)) = object.get_mut("anyOf") {
                forms.retain(|form| form.get("type").is_none_or(|one| one != "null"));
                if let [Value::Object(only)] = forms.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use crate::{Inventory, Manifest, Problems, Shape};
    use serde_json::json;
    use std::collections::BTreeSet;

    /// A table of a file, with an unknown key in it, and where its schema is: the root, or a definition.
    struct Case {
        file: &'static str,
        definition: Option<&'static str>,
    }

    fn case(definition: Option<&'static str>, file: &'static str) -> Case {
        Case { file, definition }
    }

    /// The keys that the parser says it knows where it finds one that it does not.
    fn parsed_keys(problems: &Problems) -> BTreeSet<String> {
        let unknown = problems.iter().find(|problem| problem.message() == "unknown key `qqqqqqqq`");
        let hint =
            unknown.unwrap_or_else(|| panic!("not refused: {problems}")).mend().expect("a hint").to_owned();
        let (_, keys) = hint.split_once(" has: ").expect("the list of keys");
        keys.split(", ").map(|key| key.trim_matches('`').to_owned()).collect()
    }

    fn schema_keys(schema: &Value, definition: Option<&str>) -> BTreeSet<String> {
        let schema = definition.map_or(schema, |name| &schema["$defs"][name]);
        assert_eq!(schema["additionalProperties"], json!(false), "{definition:?} takes any key");
        schema["properties"].as_object().expect("properties").keys().cloned().collect()
    }

    /// Every definition that is a table, so that none is forgotten here.
    fn tables(schema: &Value) -> BTreeSet<String> {
        let definitions = schema["$defs"].as_object().expect("definitions");
        let tables = definitions.iter().filter(|(_, definition)| definition.get("properties").is_some());
        tables.map(|(name, _)| name.clone()).collect()
    }

    fn agree(kind: Kind, cases: &[Case], parse: impl Fn(&[u8]) -> Problems) {
        let schema = schema(kind);
        for case in cases {
            let parsed = parsed_keys(&parse(case.file.as_bytes()));
            assert_eq!(parsed, schema_keys(&schema, case.definition), "{kind:?} {:?}", case.definition);
        }
        let covered: BTreeSet<_> =
            cases.iter().filter_map(|case| case.definition).map(str::to_owned).collect();
        assert_eq!(covered, tables(&schema), "{kind:?}");
    }

    #[test]
    fn schema_and_parser_know_the_same_keys_of_a_plan() {
        let cases = [
            case(None, "qqqqqqqq = 1"),
            case(Some("Environment"), "[environment.x]\nqqqqqqqq = 1"),
            case(Some("SecretTable"), "[secrets]\nx = { qqqqqqqq = 1 }"),
            case(Some("ReleaseTable"), "[release]\nqqqqqqqq = 1"),
            case(Some("ClusterTable"), "[cluster]\nqqqqqqqq = 1"),
            case(Some("Strategy"), "[strategy]\nqqqqqqqq = 1"),
            case(Some("LimitsTable"), "[limits]\nqqqqqqqq = 1"),
            case(Some("Step"), "[[finish]]\nqqqqqqqq = 1"),
            case(Some("RetryTable"), "[[finish]]\nretry = { qqqqqqqq = 1 }"),
            case(Some("AllowTable"), "[[finish]]\nallow = { qqqqqqqq = 1 }"),
        ];
        agree(Kind::Plan, &cases, |bytes| Plan::parse("plan.toml", bytes).expect_err("refused"));
    }

    #[test]
    fn schema_and_parser_know_the_same_keys_of_an_inventory() {
        let cases = [
            case(None, "qqqqqqqq = 1"),
            case(Some("Settings"), "[defaults]\nqqqqqqqq = 1"),
            case(Some("SshSettings"), "[ssh]\nqqqqqqqq = 1"),
            case(Some("Group"), "[group.x]\nqqqqqqqq = 1"),
            case(Some("TargetEntry"), "[target.x]\nqqqqqqqq = 1"),
        ];
        agree(Kind::Inventory, &cases, |bytes| Inventory::parse("x.toml", bytes).expect_err("refused"));
    }

    #[test]
    fn schema_and_parser_know_the_same_keys_of_a_policy() {
        let cases = [
            case(None, "qqqqqqqq = 1"),
            case(Some("PolicySection"), "[environment.x]\nqqqqqqqq = 1"),
            case(Some("AllowTable"), "[environment.x]\nallow = { qqqqqqqq = 1 }"),
            case(Some("ModulesTable"), "[environment.x]\nmodules = { qqqqqqqq = 1 }"),
            case(Some("IdentityTable"), "[environment.x]\nmodules = { sigstore = [{ qqqqqqqq = 1 }] }"),
            case(Some("TrustTable"), "[trust]\nqqqqqqqq = 1"),
        ];
        agree(Kind::Policy, &cases, |bytes| Policy::parse("policy.toml", bytes).expect_err("refused"));
    }

    #[test]
    fn schema_and_parser_know_the_same_keys_of_a_manifest() {
        let full = json!({
            "name": "x", "version": "1", "summary": "x", "documentation": "x", "runs": "once",
            "world": "step",
            "parameters": { "type": "object", "properties": { "a": { "type": "string" } } },
            "outputs": { "type": "object" },
            "capabilities": { "ssh": ["read:${a}"], "files": ["read:x"], "http": ["GET ${a}"] },
        });
        let shape = Shape::new(&schema(Kind::Manifest)).expect("a schema");
        let fits = |value: &Value| {
            let (parsed, fits) =
                (Manifest::parse(&value.to_string()).is_ok(), shape.misfits(value).is_empty());
            assert_eq!(parsed, fits, "{value}");
            parsed
        };
        assert!(fits(&full));
        let keys = full.as_object().expect("an object").keys();
        assert_eq!(keys.cloned().collect::<BTreeSet<_>>(), schema_keys(&schema(Kind::Manifest), None));
        for key in full.as_object().expect("an object").keys() {
            let mut without = full.clone();
            without.as_object_mut().expect("an object").remove(key);
            assert_eq!(fits(&without), ["capabilities", "world"].contains(&key.as_str()), "{key}");
        }
        for pointer in ["", "/capabilities"] {
            let mut with = full.clone();
            with.pointer_mut(pointer).expect("there")["more"] = json!([]);
            assert!(!fits(&with));
        }
    }

    #[test]
    fn what_the_parser_takes_the_schema_takes() {
        for (kind, file) in [
            (Kind::Plan, include_str!("../tests/ui/plan/good.toml")),
            (Kind::Inventory, include_str!("../tests/ui/inventory/good.toml")),
        ] {
            let value: Value = toml::from_str(file).expect("TOML");
            let misfits = Shape::new(&schema(kind)).expect("a schema").misfits(&value);
            assert_eq!(misfits, [], "{kind:?}");
        }
    }
}
