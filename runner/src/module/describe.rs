//! What a module says of itself: `describe`, called with every import refused and little fuel.
//!
//! It is pure, so the answer is kept by the digest of the module and asked for once.

use super::compile::{Refused, private_folder};
use super::imports::{Imports, PACKAGE};
use crate::sandbox::clock::{Clock, Origin, SleepsView};
use crate::sandbox::limits::{Limits, Meter};
use crate::sandbox::wasi::{Clocked, Tail, nothing};
use runner_model::{Digest, Manifest};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceTable, ResourceType};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Why a module does not describe itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescribeError {
    /// It did not return.
    #[error("its `describe` {why}{}", Stderr(stderr))]
    Failed {
        /// In words.
        why: String,
        /// What it wrote to stderr.
        stderr: String,
    },
}

struct Stderr<'a>(&'a str);

impl std::fmt::Display for Stderr<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; it said: {}", self.0) }
    }
}

/// What `describe` runs with.
struct Bare {
    table: ResourceTable,
    meter: Meter,
    wasi: WasiCtx,
    clock: Clock,
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Clocked for Bare {
    fn sleeps(&mut self) -> SleepsView<'_> {
        SleepsView { clock: &self.clock, table: &mut self.table }
    }
}

/// Calls `describe` in a fresh store.
///
/// # Errors
/// It traps, does not end, or calls the host.
pub fn describe(engine: &Engine, component: &Component, imports: &Imports) -> Result<String, DescribeError> {
    let limits = Limits::for_describe();
    let stderr = Tail::new(limits.stderr);
    call(engine, component, imports, &limits, stderr.clone()).map_err(|error| {
        let why = match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => "runs on and on".to_owned(),
            Some(Trap::UnreachableCodeReached) => "aborts".to_owned(),
            Some(trap) => format!("traps: {trap}"),
            None => format!("fails: {}", crate::sandbox::text::line(&error.root_cause().to_string(), 512)),
        };
        DescribeError::Failed { why, stderr: stderr.text() }
    })
}

fn call(
    engine: &Engine,
    component: &Component,
    imports: &Imports,
    limits: &Limits,
    stderr: Tail,
) -> wasmtime::Result<String> {
    let mut linker = Linker::new(engine);
    if imports.wasi {
        crate::sandbox::wasi::link(&mut linker)?;
    }
    refuse_all(engine, &mut linker, component)?;
    let clock = Clock::new(false);
    let bare = Bare {
        table: ResourceTable::new(),
        meter: Meter::new(limits.clone()),
        // The same every time: what a module says of itself must not depend on when it is asked.
        wasi: nothing(&Origin::default(), "describe", &clock, stderr),
        clock,
    };
    let mut store = Store::new(engine, bare);
    store.limiter(|bare| &mut bare.meter);
    store.set_fuel(limits.fuel)?;
    store.set_hostcall_fuel(limits.argument);
    let deadline = Instant::now() + limits.time;
    store.epoch_deadline_callback(move |_| {
        if Instant::now() > deadline {
            return Err(wasmtime::Error::msg("it took too long"));
        }
        Ok(UpdateDeadline::Continue(1))
    });
    store.set_epoch_deadline(1);
    at_once(async {
        let instance = linker.instantiate_async(&mut store, component).await?;
        let describe = instance.get_typed_func::<(), (String,)>(&mut store, "describe")?;
        let (answer,) = describe.call_async(&mut store, ()).await?;
        Ok(answer)
    })
}

/// Puts a function that fails in the place of every function of the contract that the component imports. Not wasmtime's
/// `define_unknown_imports_as_traps`, which takes WASI for unknown where a module names another 0.2 than this host does.
fn refuse_all(engine: &Engine, linker: &mut Linker<Bare>, component: &Component) -> wasmtime::Result<()> {
    for (interface, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else { continue };
        if !interface.starts_with(PACKAGE) {
            continue;
        }
        let mut linked = linker.instance(interface)?;
        for (name, export) in instance.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => {
                    let called = format!("unknown import: `{interface}#{name}` has not been defined");
                    linked.func_new(name, move |_, _, _, _| Err(wasmtime::Error::msg(called.clone())))?;
                }
                ComponentItem::Resource(_) => {
                    linked.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Runs a future that has nothing to wait for: `describe` can reach no host function that waits, except those of WASI
/// that wait for time or input, which it has no business with.
fn at_once<T>(future: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(wasmtime::Error::msg("it waits for something")),
    }
}

/// Keeps what modules say of themselves, by digest.
#[derive(Debug)]
pub struct Descriptions {
    folder: Option<PathBuf>,
}

impl Descriptions {
    /// Keeps nothing.
    pub fn without_cache() -> Self {
        Self { folder: None }
    }

    /// Keeps them in this folder, which is made when it is not there.
    ///
    /// # Errors
    /// Somebody else could write there.
    pub fn with_cache(folder: &Path) -> Result<Self, Refused> {
        private_folder(folder)?;
        Ok(Self { folder: Some(folder.to_owned()) })
    }

    /// What the module says: from the folder, else asked.
    ///
    /// # Errors
    /// It says nothing, or nothing that makes sense.
    pub(crate) fn of(
        &self,
        digest: &Digest,
        engine: &Engine,
        component: &Component,
        imports: &Imports,
    ) -> Result<Manifest, super::load::LoadError> {
        let file = self.folder.as_ref().map(|folder| folder.join(format!("{}.json", digest.hex())));
        let kept = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        // What is damaged is asked for again.
        if let Some(manifest) = kept.and_then(|text| Manifest::parse(&text).ok()) {
            return Ok(manifest);
        }
        let text = describe(engine, component, imports)?;
        let manifest = Manifest::parse(&text)?;
        if let Some(file) = file
            && let Err(error) = keep(&text, &file)
        {
            tracing::warn!("`{}` cannot be written: {error}", file.display());
        }
        Ok(manifest)
    }
}

fn keep(text: &str, file: &Path) -> std::io::Result<()> {
    let folder = file.parent().ok_or(std::io::ErrorKind::NotFound)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(text.as_bytes())?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}
