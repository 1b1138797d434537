//! What the reference step costs in each language: the kept components of `runner/tests/it/languages`, which all do the same.

use crate::call::Stage;
use crate::{Outcome, median, milliseconds};
use runner::module::compile::Compiler;
use runner::module::describe::Descriptions;
use runner::module::load::Loader;
use runner::sandbox::limits::Limits;
use runner_model::Digest;
use runner_model::grant::{GrantSet, Layers};
use runner_model::words::size;
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const CALLS: usize = 100;
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/languages/kept/0.1");
/// WebAssembly grows by this.
const PAGE: usize = 64 * 1024;

/// One row a language.
pub(crate) fn table() -> Outcome<String> {
    let mut text = String::from(
        "\n| language | component | compiled once in | later loaded in | first call | later calls | memory |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    let mut files: Vec<_> =
        std::fs::read_dir(KEPT)?.map(|entry| Ok(entry?.path())).collect::<Outcome<_>>()?;
    files.sort();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    for file in files {
        text.push_str(&runtime.block_on(row(&file))?);
    }
    text.push_str(
        "\nA call is a fresh store and instance, `run` up to its first effect, which is denied, and the error handed on. \
         Memory is the least that it can be given.\n",
    );
    Ok(text)
}

async fn row(file: &Path) -> Outcome<String> {
    let language =
        file.file_name().map(|name| name.to_string_lossy().replace(".wasm.zst", "")).unwrap_or_default();
    let bytes = zstd::decode_all(std::fs::File::open(file)?)?;
    let digest = Digest::of(&bytes);
    let stage = Stage::new()?;
    let engine = stage.sandbox.engine();
    let cache = tempfile::tempdir()?;
    let load = || -> Outcome<_> {
        let loader = Loader::new(
            Compiler::with_cache(engine, &cache.path().join("compiled"))?,
            Descriptions::with_cache(&cache.path().join("described"))?,
        );
        let started = Instant::now();
        let module = loader.load_bytes(&bytes, digest)?;
        Ok((module, started.elapsed()))
    };
    let (_, compiled) = load()?;
    let (module, loaded) = load()?;
    let prepared = stage.prepare(&module)?;
    let params = json!({ "file": "/etc/shop.conf", "settings": { "port": "8080", "name": "shop" } });
    let nothing = Arc::new(Layers::new(GrantSet::default(), GrantSet::default()));
    let denied = async |limits: Limits| -> Outcome<_> {
        let (ended, took) = stage.call(&prepared, &params, &nothing, limits).await?;
        Ok((ended.result.is_err_and(|failure| failure.kind == runner_model::FailureKind::Denied), took))
    };
    let (good, first) = denied(Limits::default()).await?;
    if !good {
        return Err(format!("{language}: the first effect was not denied").into());
    }
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        times.push(denied(Limits::default()).await?.1);
    }
    let (mut too_little, mut enough) = (0, Limits::default().memory / PAGE);
    while enough - too_little > 1 {
        let between = too_little + (enough - too_little) / 2;
        let limits = Limits { memory: between * PAGE, ..Limits::default() };
        if denied(limits).await?.0 { enough = between } else { too_little = between }
    }
    let mut row = String::new();
    let _ = writeln!(
        row,
        "| {language} | {} | {:.0} ms | {:.1} ms | {:.2} ms | {:.2} ms | {} |",
        size(bytes.len() as u64),
        milliseconds(compiled),
        milliseconds(loaded),
        milliseconds(first),
        milliseconds(median(&mut times)),
        size((enough * PAGE) as u64)
    );
    Ok(row)
}
