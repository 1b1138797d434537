//! Puts a message into a file.

use runner_sdk::{Attributes, Capabilities, Result, Step, Target, info, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Module;

/// What a plan gives it: `with = { message = "…", file = "…" }`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(transform = params::plain)]
struct Params {
    /// What to say.
    message: String,
    /// The file to say it in: absolute.
    file: String,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[schemars(transform = params::plain)]
struct Outputs {
    /// Whether the file is different now.
    changed: bool,
}

impl Step for Module {
    const NAME: &'static str = "{{name}}";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "puts a message into a file";
    // What the step may touch, in terms of its parameters. All else is denied.
    const CAPABILITIES: Capabilities = Capabilities { ssh: &["write:${file}"], ..Capabilities::NONE };
    type Params = Params;
    type Outputs = Outputs;

    fn run(Params { message, file }: Params) -> Result<Outputs> {
        let target = Target::current();
        let text = format!("{message}, says {}\n", target.name());
        let changed = target.write(&file, &text, &Attributes::mode(0o644))?;
        if changed {
            info!("wrote `{file}`");
        }
        Ok(Outputs { changed })
    }
}

runner_sdk::export!(Module);

#[cfg(test)]
mod tests {
    use super::*;
    use runner_sdk::testing::World;
    use serde_json::json;

    #[test]
    fn it_says_it_once() {
        let world = World::new();
        let web = world.target("web-1");
        web.dir("/srv/shop");
        let with = json!({ "message": "hello", "file": "/srv/shop/motd" });

        assert_eq!(world.run::<Module>(with.clone()).unwrap(), json!({ "changed": true }));
        assert_eq!(web.text("/srv/shop/motd").unwrap(), "hello, says web-1\n");

        assert_eq!(world.run::<Module>(with).unwrap(), json!({ "changed": false }));
        assert!(world.effects().is_empty());
    }
}
