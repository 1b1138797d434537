//! What `wit-bindgen` makes of `wit/`. Hidden: the modules of this crate are what a step uses.

wit_bindgen::generate!({
    world: "step",
    path: "../../wit",
    pub_export_macro: true,
    export_macro_name: "__export_step",
    default_bindings_module: "runner_sdk::bindings",
});
