//! The contract `runner:step@0.1.0` as Rust, in this one module: traits that the host implements, in one file per
//! interface beside this one, and the exports of a step.
//!
//! Every import may wait (the guest's fiber is suspended meanwhile) and may trap, which only a bug of the host or a
//! limit does: what a step can cause by itself is an error value.

#![expect(missing_docs, reason = "generated from the WIT, which documents every item")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "step",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "runner:step/targets.target": crate::sandbox::handles::Target,
        "runner:step/commands.command": crate::sandbox::handles::Command,
        "runner:step/http.request": crate::sandbox::handles::Request,
        "runner:step/artifacts.artifact": crate::sandbox::handles::Artifact,
        "runner:step/secrets.secret": crate::sandbox::handles::Secret,
    },
    require_store_data_send: true,
});

pub(crate) use self::runner::step as wit;

/// The exports of a cluster, over the same imports.
pub mod cluster {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "cluster",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "runner:step/artifacts": super::runner::step::artifacts,
            "runner:step/commands": super::runner::step::commands,
            "runner:step/http": super::runner::step::http,
            "runner:step/log": super::runner::step::log,
            "runner:step/releases": super::runner::step::releases,
            "runner:step/run-info": super::runner::step::run_info,
            "runner:step/secrets": super::runner::step::secrets,
            "runner:step/sockets": super::runner::step::sockets,
            "runner:step/targets": super::runner::step::targets,
            "runner:step/timer": super::runner::step::timer,
            "runner:step/types": super::runner::step::types,
            "runner:step/workspace": super::runner::step::workspace,
        },
        require_store_data_send: true,
    });
}
