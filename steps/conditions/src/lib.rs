//! What `std/smoke-test`, `std/wait-for` and `std/watch` share: what an answer must be like, and how a URL, a file, a port
//! or a service is looked at.

mod condition;
mod expect;

use runner_sdk::params::Duration;
use runner_sdk::{Error, Result};

pub use condition::{Condition, From, Look, State, Unmet};
pub use expect::{Expected, show};

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);

/// Refuses an interval between two looks that would be a load.
///
/// # Errors
/// `invalid`.
pub fn check_interval(interval: Duration) -> Result<()> {
    match interval < SHORTEST {
        true => Err(Error::invalid(format!("`interval` is {interval}, and must be at least {SHORTEST}"))),
        false => Ok(()),
    }
}

/// The grants of a module that takes a [`Look`]: those that read on the target.
pub const SSH: &[&str] =
    &["read:${file}", "service:${service} is-active", "exec-read:ss -Hltn sport = :${port}"];

/// The same: requests.
pub const HTTP: &[&str] = &[
    "GET ${url}",
    "GET ${url} at ${connect-to}",
    "GET ${url} from ${from}",
    "GET ${url} at ${connect-to} from ${from}",
];
