//! A step of one's own: puts a message where people who log in see it.

use runner_sdk::{Attributes, Capabilities, Result, Step, Target, info};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Hello;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Params {
    /// What to say.
    message: String,
    /// The file to say it in.
    file: String,
}

#[derive(Serialize, JsonSchema)]
struct Outputs {
    /// Whether the file is different now.
    changed: bool,
}

impl Step for Hello {
    const NAME: &'static str = "hello";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "puts a message where people who log in see it";
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

runner_sdk::export!(Hello);

#[cfg(test)]
mod tests {
    use super::*;
    use runner_sdk::testing::World;
    use serde_json::json;

    #[test]
    fn it_says_hello_once() {
        let world = World::new();
        let web = world.target("web-1");
        web.dir("/srv/shop");
        let with = json!({ "message": "hello", "file": "/srv/shop/motd" });

        assert_eq!(world.run::<Hello>(with.clone()).unwrap(), json!({ "changed": true }));
        assert_eq!(web.text("/srv/shop/motd").unwrap(), "hello, says web-1\n");
        assert_eq!(world.effects(), ["web-1: write /srv/shop/motd"]);

        assert_eq!(world.run::<Hello>(with).unwrap(), json!({ "changed": false }));
        assert!(world.effects().is_empty());
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let error = World::new().run::<Hello>(json!({ "message": "hello", "file": "/srv/shop/motd" })).unwrap_err();
        assert_eq!(error.message, "`/srv/shop` does not exist");
    }
}
