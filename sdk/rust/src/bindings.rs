//! What `wit-bindgen` makes of `wit/`. Hidden: the modules of this crate are what a module uses.
//!
//! In the repository `wit` is a link to the contract, so that a copy of this folder is whole.

wit_bindgen::generate!({
    world: "step",
    path: "wit",
    pub_export_macro: true,
    export_macro_name: "__export_step",
    default_bindings_module: "runner_sdk::bindings",
});

/// The world of clusters. What both worlds import is the same, so that the functions of this crate serve both.
pub mod cluster {
    wit_bindgen::generate!({
        world: "cluster",
        path: "wit",
        with: {
            "runner:step/types@0.1.0": crate::bindings::runner::step::types,
            "runner:step/log@0.1.0": crate::bindings::runner::step::log,
            "runner:step/run-info@0.1.0": crate::bindings::runner::step::run_info,
            "runner:step/targets@0.1.0": crate::bindings::runner::step::targets,
            "runner:step/releases@0.1.0": crate::bindings::runner::step::releases,
            "runner:step/commands@0.1.0": crate::bindings::runner::step::commands,
            "runner:step/workspace@0.1.0": crate::bindings::runner::step::workspace,
            "runner:step/artifacts@0.1.0": crate::bindings::runner::step::artifacts,
            "runner:step/http@0.1.0": crate::bindings::runner::step::http,
            "runner:step/secrets@0.1.0": crate::bindings::runner::step::secrets,
            "runner:step/timer@0.1.0": crate::bindings::runner::step::timer,
        },
        pub_export_macro: true,
        export_macro_name: "__export_cluster",
        default_bindings_module: "runner_sdk::bindings::cluster",
    });
}
