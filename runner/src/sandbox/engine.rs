//! The one configuration of the WebAssembly engine.
//!
//! Everything that could make two machines compute different things is settled here, and everything that could let a
//! guest hold a thread: nothing else in this crate builds a [`Config`]. A change here changes
//! [`Engine::precompile_compatibility_hash`], so compiled code of an older configuration is never loaded again.

use sha2::{Digest as _, Sha256};
use std::hash::{Hash, Hasher};
use std::time::Duration;
use wasmtime::{Config, Engine, OptLevel, Strategy, WasmBacktraceDetails, WasmFeatures};

/// The version of wasmtime, as journals name it. A test holds it against the lock file.
pub const WASMTIME: &str = "48.0.8";

/// How often the epoch advances: the longest that a spinning guest holds its thread before others have their turn,
/// and the precision of wall time and cancellation.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The deepest that a guest's calls may nest, in bytes of native stack. Host functions run on the rest of the fiber.
const GUEST_STACK: usize = 512 * 1024;
/// The stack of a fiber: the guest's and the host functions'.
const FIBER_STACK: usize = 2 * 1024 * 1024;

/// The configuration: deterministic results, interruptible guests, fast code, compiled in parallel.
fn configuration() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .parallel_compilation(true)
        // Same bits on every machine: the sign and payload of a NaN, and the relaxed SIMD instructions.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Fuel counts instructions, and ends a loop at the same place everywhere; epochs count time.
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(FIBER_STACK)
        // Components without the asynchronous ABI: host calls are plain functions that wait on fibers. Neither it nor
        // threads are compiled in; this keeps them off should a dependency turn their features on.
        .wasm_component_model(true)
        .wasm_features(WasmFeatures::CM_ASYNC | WasmFeatures::THREADS, false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

/// Builds the engine and the thread that advances its epoch until the last handle of the engine is gone.
///
/// # Errors
/// The machine has no support for what the configuration asks (an architecture without Cranelift), or no more threads.
pub fn engine() -> wasmtime::Result<Engine> {
    let engine = Engine::new(&configuration())?;
    let weak = engine.weak();
    std::thread::Builder::new().name("epoch".to_owned()).stack_size(64 * 1024).spawn(move || {
        loop {
            std::thread::sleep(TICK);
            let Some(engine) = weak.upgrade() else { return };
            engine.increment_epoch();
        }
    })?;
    Ok(engine)
}

/// Names the engine's version, configuration and the processor's features: compiled code is only ever loaded by an
/// engine with the same key.
pub(crate) fn compatibility_key(engine: &Engine) -> String {
    let mut hasher = StableHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hex_prefix(&hasher.0.finalize())
}

/// The first 16 bytes in hexadecimal: enough to tell configurations apart, short enough for a file name.
fn hex_prefix(bytes: &[u8]) -> String {
    bytes.iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The standard library's hashers may change from one release to the next; a key on disk should not.
struct StableHasher(Sha256);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_journals_name_is_the_one_that_is_built() {
        let lock = include_str!("../../../Cargo.lock");
        let entry = format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n");
        assert!(lock.contains(&entry), "Cargo.lock has another wasmtime than {WASMTIME}");
    }

    use wasmtime::component::Component;

    #[test]
    fn the_key_is_the_same_for_the_same_configuration_and_differs_for_another() {
        let key = compatibility_key(&engine().expect("an engine"));
        assert_eq!(key, compatibility_key(&engine().expect("another engine")));
        assert_eq!(key.len(), 32);

        let mut other = configuration();
        other.cranelift_nan_canonicalization(false);
        assert_ne!(key, compatibility_key(&Engine::new(&other).expect("a third engine")));
    }

    #[test]
    fn threads_and_the_asynchronous_abi_are_refused() {
        let engine = engine().expect("an engine");
        for text in [
            "(component (core module (memory 1 1 shared)))",
            "(component (type (stream u8)) (core func (canon stream.new 0)))",
        ] {
            let bytes = wat::parse_str(text).expect(text);
            assert!(Component::new(&engine, bytes).is_err(), "{text}");
        }
    }

    #[test]
    fn the_epoch_advances_by_itself() {
        let engine = engine().expect("an engine");
        let module = wasmtime::Module::new(
            &engine,
            wat::parse_str("(module (func (export \"f\") (loop br 0)))").expect("wat"),
        )
        .expect("a module");
        let mut store = wasmtime::Store::new(&engine, ());
        store.set_fuel(u64::MAX).expect("fuel is on");
        store.set_epoch_deadline(2);
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("an instance");
        let f = instance.get_typed_func::<(), ()>(&mut store, "f").expect("f");
        let trap = f.call(&mut store, ()).expect_err("it loops for ever");
        assert_eq!(trap.downcast_ref::<wasmtime::Trap>(), Some(&wasmtime::Trap::Interrupt));
    }
}
