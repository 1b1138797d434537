//! What an invocation costs beside what its step does. The budget is for release builds; a debug build of the host
//! gets ten times of it, so that a slip by a factor is seen in any test run.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

#[expect(dead_code, unreachable_pub, reason = "shared by several tests; each uses a part")]
mod support;

use runner::module::load::Loader;
use runner_model::Digest;
use serde_json::json;
use std::time::{Duration, Instant};
use support::{PUPPET, Run};

/// Store, instance and call.
const INVOCATION: Duration = Duration::from_micros(150);
/// Eight modules, compiled earlier.
const WARM_START: Duration = Duration::from_millis(40);

fn budget(release: Duration) -> Duration {
    if cfg!(debug_assertions) { release * 10 } else { release }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_costs_next_to_nothing() {
    let run = Run::new();
    run.calls(json!([])).await;
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..50 {
        times.push(run.calls(json!([])).await.took);
    }
    times.sort();
    println!("store + instantiate + call: median {:?}, least {:?}", times[25], times[0]);
    assert!(times[25] < budget(INVOCATION), "median {:?}", times[25]);
}

#[test]
fn a_warm_start_loads_eight_modules_in_no_time() {
    let engine = runner::sandbox::engine::engine().expect("an engine");
    let cache = tempfile::tempdir().expect("a folder");
    let digest = Digest::of(&*PUPPET);
    let load = || {
        let loader = Loader::in_cache(&engine, Some(&cache.path().join("runner")));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| loader.load_bytes(&PUPPET, digest).expect("it loads"));
            }
        });
    };
    load();
    let started = Instant::now();
    load();
    let took = started.elapsed();
    println!("eight modules of {} bytes, warm: {took:?}", PUPPET.len());
    assert!(took < budget(WARM_START), "{took:?}");
}
