//! What `std/db-backup` and `std/db-restore` share: how servers are logged in to, the exact commands that are run, and
//! when a dump is a good one.

mod dump;
mod grants;
mod server;

pub use dump::{Dumping, check, clear, make};
pub use server::{PostgresLogin, Server, SqlLogin, State};
