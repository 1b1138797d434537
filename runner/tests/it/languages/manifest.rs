//! What the candidates say of themselves is the same, and what their imports prove.

use super::{Candidate, all_the_same};
use runner::module::compile::Compiler;
use runner::module::describe::Descriptions;
use runner::module::load::{Loader, Module};
use runner_model::Digest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The candidate, loaded as the program loads it.
pub(crate) fn load(candidate: &Candidate) -> Module {
    let engine = runner::sandbox::engine::engine().expect("an engine");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages-cache/runner/compiled");
    let compiler = Compiler::with_cache(&engine, &cache).expect("a cache");
    let loader = Loader::new(compiler, Descriptions::without_cache());
    let digest = Digest::of(&candidate.bytes);
    loader.load_bytes(&candidate.bytes, digest).unwrap_or_else(|error| panic!("{}: {error}", candidate.name))
}

/// They are one step for whoever writes a plan, and none of them can do what the step does not.
pub(crate) fn same(candidates: &[Candidate]) {
    let modules: BTreeMap<String, Module> =
        candidates.iter().map(|candidate| (candidate.name.clone(), load(candidate))).collect();
    for (name, module) in &modules {
        let reach = runner::module::reach::Reach::of(&module.imports);
        assert!(
            !reach.reads_workspace && !reach.writes_workspace && !reach.speaks_to_sockets,
            "{name}: {reach:?}"
        );
        assert!(
            !reach.names_targets || name.starts_with("python") || name.contains("script"),
            "{name}: {reach:?}"
        );
    }
    all_the_same(modules.into_iter().map(|(name, module)| (name, Value::from(module.manifest))).collect());
}
