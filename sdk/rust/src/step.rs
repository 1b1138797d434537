//! What a step is: constants that describe it, and a function.

use crate::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A step: what it is called, what it takes and gives, what it needs, and what it does.
pub trait Step {
    /// What a plan writes behind `std/` or the name of a module.
    const NAME: &'static str;
    /// The author's version of it: `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// One line: what it does.
    const SUMMARY: &'static str;
    /// More, in Markdown; shown by `runner module inspect`.
    const DOCUMENTATION: &'static str = "";
    /// Where it runs.
    const RUNS: Runs = Runs::EachTarget;
    /// What it needs. Ask for the least: a plan's author reviews it.
    const CAPABILITIES: Capabilities = Capabilities::NONE;

    /// What the plan gives it: `#[derive(Deserialize, JsonSchema)]`, best with
    /// `#[serde(rename_all = "kebab-case", deny_unknown_fields)]`. Doc comments become the parameters' documentation.
    type Params: DeserializeOwned + JsonSchema;
    /// What later steps may refer to: `#[derive(Serialize, JsonSchema)]`.
    type Outputs: Serialize + JsonSchema;

    /// Does the work, once per fresh instance.
    ///
    /// # Errors
    /// Whatever keeps the step from its promise; hand errors of the host on with `?`.
    fn run(params: Self::Params) -> Result<Self::Outputs>;
}

/// Where a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Runs {
    /// Once per run, on no target.
    Once,
    /// On each target.
    EachTarget,
}

/// What a step needs: templates of grants over its parameters. `${root}` is the value of the parameter `root`,
/// `${argv...}` one argument for each item of a list; a grant with a parameter that the plan leaves out is left out.
///
/// ```
/// # use runner_sdk::Capabilities;
/// const NEEDS: Capabilities = Capabilities { ssh: &["read:${root}", "write:${root}/current"], ..Capabilities::NONE };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// On targets: `read:PATH`, `write:PATH`, `service:UNIT ACTION`, `target:NAME`, `socket-CLASS:PATH`,
    /// `exec-CLASS:PROGRAM ARGUMENT…`.
    pub ssh: &'static [&'static str],
    /// Beside the plan: `read:PATH`, `write:PATH`.
    pub files: &'static [&'static str],
    /// Over HTTP: `[CLASS ]METHOD URL[ at ADDRESS][ from target]`.
    pub http: &'static [&'static str],
    /// Secrets, by the names that [`Secret::get`](crate::Secret::get) takes: `db-password`, or `${password-secret}` for the
    /// one that a parameter names.
    pub secrets: &'static [&'static str],
}

impl Capabilities {
    /// Nothing but lines in the log.
    pub const NONE: Self = Self { ssh: &[], files: &[], http: &[], secrets: &[] };
}

/// What a manifest says, but for the schemas.
pub(crate) struct Description {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) documentation: &'static str,
    pub(crate) runs: Runs,
    pub(crate) capabilities: Capabilities,
    /// `None`: it is a step.
    pub(crate) world: Option<&'static str>,
}

impl Description {
    /// The manifest, as JSON.
    pub(crate) fn manifest<P: JsonSchema, O: JsonSchema>(self) -> String {
        let Capabilities { ssh, files, http, secrets } = self.capabilities;
        let mut capabilities = serde_json::Map::new();
        for (kind, grants) in [("ssh", ssh), ("files", files), ("http", http), ("secrets", secrets)] {
            if !grants.is_empty() {
                capabilities.insert(kind.to_owned(), json!(grants));
            }
        }
        let runs = match self.runs {
            Runs::Once => "once",
            Runs::EachTarget => "each-target",
        };
        let mut manifest = json!({
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "documentation": self.documentation.trim(),
            "parameters": schema::<P>(),
            "outputs": schema::<O>(),
            "runs": runs,
            "capabilities": capabilities,
        });
        if let Some(world) = self.world {
            manifest["world"] = json!(world);
        }
        manifest.to_string()
    }
}

/// The manifest of a step, as JSON.
pub fn describe<S: Step>() -> String {
    Description {
        name: S::NAME,
        version: S::VERSION,
        summary: S::SUMMARY,
        documentation: S::DOCUMENTATION,
        runs: S::RUNS,
        capabilities: S::CAPABILITIES,
        world: None,
    }
    .manifest::<S::Params, S::Outputs>()
}

/// Parameters from JSON.
pub(crate) fn parsed<P: DeserializeOwned>(params: &str) -> Result<P> {
    serde_json::from_str(params).map_err(|error| Error::invalid(format!("parameters: {error}")))
}

/// The schema in one piece, so that a reader needs to follow no references, and without what says nothing about the
/// data: which draft, and the name of the Rust type.
fn schema<T: JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("$schema");
    schema.remove("title");
    schema.to_value()
}

/// Runs a step on parameters in JSON and answers with its outputs in JSON, as the exported `run` does.
///
/// # Errors
/// `invalid` when the parameters do not fit; else what the step answers.
pub fn call<S: Step>(params: &str) -> Result<String> {
    let unwritten = |error: serde_json::Error| Error::other(format!("outputs: {error}"));
    let text = serde_json::to_string(&S::run(parsed(params)?)?).map_err(unwritten)?;
    if !text.contains("null") {
        return Ok(text);
    }
    let mut outputs: Map<String, Value> = serde_json::from_str(&text).map_err(unwritten)?;
    leave_nulls_out(&mut outputs, &schema::<S::Outputs>())?;
    serde_json::to_string(&outputs).map_err(unwritten)
}

/// `None` is an output that is left out, unless the schema takes null. Of a number that must be there, null is what JSON
/// has for one that is not finite.
fn leave_nulls_out(outputs: &mut Map<String, Value>, schema: &Value) -> Result<()> {
    let has = |words: &Value, word: &str| {
        words == word || words.as_array().is_some_and(|all| all.iter().any(|one| one == word))
    };
    let nulls: Vec<String> =
        outputs.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name.clone()).collect();
    for name in nulls {
        let types = &schema["properties"][&name]["type"];
        if types.is_null() || has(types, "null") {
            continue;
        }
        if !has(&schema["required"], &name) {
            outputs.remove(&name);
        } else if has(types, "number") {
            return Err(Error::other(format!("outputs: `{name}` is not a finite number")));
        }
    }
    Ok(())
}

/// Sends what a panic says to the log, since a trap says nothing. Called by what [`crate::export!`] makes.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string())));
}

/// Makes a component of a step: exports `describe` and `run`. Natively it does nothing, so that `cargo test` runs the
/// same crate.
#[macro_export]
macro_rules! export {
    ($step:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;

            impl $crate::bindings::Guest for Component {
                fn describe() -> ::std::string::String {
                    $crate::log_panics();
                    $crate::describe::<$step>()
                }

                fn run(
                    params: ::std::string::String,
                ) -> ::std::result::Result<::std::string::String, $crate::bindings::Error> {
                    $crate::log_panics();
                    $crate::call::<$step>(&params).map_err(::std::convert::Into::into)
                }
            }

    $crate::bindings::__export_step!(Component with_types_in $crate::bindings);
        };

        // So that the compiler knows that the step is used.
        #[cfg(not(target_family = "wasm"))]
        const _: fn(&str) -> $crate::Result<::std::string::String> = $crate::call::<$step>;
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;
    use serde::Deserialize;

    #[derive(Deserialize, JsonSchema)]
    struct Params {
        ratio: f64,
        previous: Option<String>,
    }

    /// Of a step that takes nulls for what is not there.
    #[derive(Serialize, JsonSchema)]
    struct Nulls {
        previous: Option<String>,
    }

    #[derive(Serialize, JsonSchema)]
    #[schemars(transform = params::plain)]
    struct Outputs {
        ratio: f64,
        previous: Option<String>,
    }

    struct Plain;
    impl Step for Plain {
        const NAME: &'static str = "plain";
        const VERSION: &'static str = "0.1.0";
        const SUMMARY: &'static str = "for tests";
        type Params = Params;
        type Outputs = Outputs;

        fn run(Params { ratio, previous }: Params) -> Result<Outputs> {
            Ok(Outputs { ratio: 1.0 / ratio, previous })
        }
    }

    struct WithNulls;
    impl Step for WithNulls {
        const NAME: &'static str = "with-nulls";
        const VERSION: &'static str = "0.1.0";
        const SUMMARY: &'static str = "for tests";
        type Params = Params;
        type Outputs = Nulls;

        fn run(Params { previous, .. }: Params) -> Result<Nulls> {
            Ok(Nulls { previous })
        }
    }

    #[test]
    fn what_is_none_is_left_out_where_the_schema_takes_no_null() {
        let outputs = |params: &str| call::<Plain>(params).expect("outputs");
        assert_eq!(outputs(r#"{"ratio":2}"#), r#"{"ratio":0.5}"#);
        assert_eq!(outputs(r#"{"ratio":2,"previous":"null"}"#), r#"{"previous":"null","ratio":0.5}"#);
        assert_eq!(call::<WithNulls>(r#"{"ratio":2}"#).expect("outputs"), r#"{"previous":null}"#);
    }

    #[test]
    fn a_number_that_is_not_finite_is_named() {
        let error = call::<Plain>(r#"{"ratio":0}"#).expect_err("infinite");
        assert_eq!(error.message, "outputs: `ratio` is not a finite number");
    }
}
