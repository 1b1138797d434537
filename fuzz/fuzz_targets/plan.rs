//! A plan, with a lock and a policy beside it: read or refused, and whatever is refused can be shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runner_model::policy::Policy;
use runner_model::{Lock, Plan};

#[path = "show.rs"]
mod show;

fuzz_target!(|bytes: &[u8]| {
    if let Err(problems) = Plan::parse("plan.toml", bytes) {
        show::all(&problems);
    }
    if let Err(problems) = Policy::parse("policy.toml", bytes) {
        show::all(&problems);
    }
    match Lock::parse("plan.lock", bytes) {
        Err(problems) => show::all(&problems),
        Ok(lock) => {
            let text = lock.to_toml();
            let again = Lock::parse("plan.lock", text.as_bytes()).expect("a lock reads what it writes");
            assert_eq!(again.to_toml(), text);
        }
    }
});
