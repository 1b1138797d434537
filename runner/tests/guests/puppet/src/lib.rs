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

/// What a test finds in the component's bytes, to put capabilities after it.
const MARK: &[u8] = b"capabilities of the puppet:";
/// How much may be put there.
const ROOM: usize = 2048;

/// The capabilities that `describe` declares: a test writes its own into the bytes of the component, so that one
/// build serves for every manifest.
static CAPABILITIES: [u8; ROOM] = {
    let mut room = [b' '; ROOM];
    let mut at = 0;
    while at < MARK.len() {
        room[at] = MARK[at];
        at += 1;
    }
    room[at] = b'{';
    room[at + 1] = b'}';
    room
};

fn capabilities() -> serde_json::Value {
    let declared = std::hint::black_box(&CAPABILITIES);
    serde_json::from_slice(&declared[MARK.len()..]).unwrap_or_default()
}

/// The step.
struct Puppet;

impl Guest for Puppet {
    fn describe() -> String {
        let mut capabilities = capabilities();
        // A test that needs another version puts it beside them.
        let version = capabilities.as_object_mut().and_then(|all| all.remove("version"));
        serde_json::json!({
            "name": "puppet",
            "version": version.unwrap_or_else(|| "0.1.0".into()),
            "summary": "does what it is told",
            "documentation": "For tests.",
            "parameters": { "type": "object" },
            "outputs": { "type": "object" },
            "runs": "each-target",
            "capabilities": capabilities,
        })
        .to_string()
    }

    fn run(params: String) -> Result<String, Error> {
        script::run(&params)
    }
}
