//! Dry runs beside the real thing, and against those who would have them change something.

mod bench;
mod differential;
mod hostile;
mod never_writes;
mod plain;
