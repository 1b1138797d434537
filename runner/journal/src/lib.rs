//! The append-only record of what a run did: the truth that resume, rollback, replay, reports and history read.
//!
//! It is kept at `<plan folder>/.runner/runs/<run>/journal.jsonl` (see [`run_folder`]), in a folder that only its user
//! may enter, in a file that only its user may read.
//!
//! # The format, version 1
//!
//! UTF-8 lines of JSON, each ended by one newline, with exactly these keys in this order and no space between them:
//!
//! ```text
//! {"seq":1,"at":12,"prev":"9f86…","entry":{"kind":"call",…},"hash":"60303a…"}
//! ```
//!
//! | key | what it is |
//! | --- | --- |
//! | `seq` | 0 for the first line, then one more each |
//! | `at` | milliseconds since the journal was begun |
//! | `prev` | `hash` of the line before; 64 zeros in the first |
//! | `entry` | an [`Entry`], named by its `kind`; the first is the [`Header`], which has the version of the format |
//! | `hash` | SHA-256, in 64 lower-case hexadecimal digits, of the line's bytes before `,"hash":"` |
//!
//! So a line proves itself (the target keeps the intents alone), and the lines prove their order. A journal that was
//! cut short proves nothing about what is missing: the last hash is in the run's report for that. In a shell,
//! `sed 's/,"hash":"[0-9a-f]*"}$//' | tr -d '\n' | sha256sum` of a line prints its hash.
//!
//! Whatever is larger than 4 KiB is in the artifact store and named by digest, see [`Payload`]. Secrets are never in
//! it: who appends has replaced them.
//!
//! # What is durable
//!
//! [`Journal::append`] only keeps the order. When [`Journal::append_durable`] returns, its line, all lines before it
//! and their payloads are on the disk. One thread writes; those who wait at the same time share one `fdatasync`. After
//! an error nothing is appended any more, so no effect follows that the journal does not know.

mod chain;
mod entry;
mod place;
mod reader;
#[cfg(test)]
mod testing;
mod writer;

pub use chain::Line;
pub use entry::{Answer, Engine, Entry, FORMAT, Header, InventoryAnswer, Left, Payload, Told, UndoEnd};
pub use place::{new_run_id, run_folder};
pub use reader::{Damage, Reader, Record, Recorded, proved};
pub use writer::{Error, FILE, Journal, NotResumed};
