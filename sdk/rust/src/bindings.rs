//! What `wit-bindgen` makes of `wit/`. Hidden: the modules of this crate are what a step uses.
#![expect(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    reason = "generated: the calls across the boundary are what it is for, and the WIT documents them"
)]

wit_bindgen::generate!({
    world: "step",
    path: "../../wit",
    pub_export_macro: true,
    export_macro_name: "__export_step",
    default_bindings_module: "runner_sdk::bindings",
});
