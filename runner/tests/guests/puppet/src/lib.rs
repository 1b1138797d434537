//! A step that makes whatever host calls it is told, with whatever arguments: the module that nobody vetted.
//!
//! Its parameters are `{"do": [{"call": "targets.read", "path": "/etc/passwd"}, …]}`; its outputs are
//! `{"answers": [{"ok": …} | {"err": {"kind": …}}, …]}`. It uses no SDK, since an attacker would not.

#![cfg(target_family = "wasm")]

mod misbehave;
mod script;

#[expect(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "generated: the calls across the boundary are what it is for"
)]
mod bindings {
    wit_bindgen::generate!({ world: "step", path: "../../../../wit" });
    use super::Puppet;
    export!(Puppet);
}

use bindings::Guest;
use bindings::runner::step::types::Error;

/// The step.
struct Puppet;

impl Guest for Puppet {
    fn describe() -> String {
        serde_json::json!({
            "name": "puppet",
            "version": "0.1.0",
            "summary": "does what it is told",
            "documentation": "For tests.",
            "parameters": { "type": "object" },
            "outputs": { "type": "object" },
            "runs": "each-target",
            "capabilities": {},
        })
        .to_string()
    }

    fn run(params: String) -> Result<String, Error> {
        script::run(&params)
    }
}
