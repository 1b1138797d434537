//! What a user is promised, with the real program on real machines: each test has a fleet of its own.

#![expect(clippy::unwrap_used, reason = "tests")]

mod after_failure;
mod backups;
mod bad_input;
mod bad_targets;
mod balancer;
mod builds;
mod cluster;
mod collector;
mod commands;
mod crash_matrix;
mod cron;
mod databases;
mod doctor;
mod dry_run;
mod facts;
mod faults;
mod fencing;
mod files;
mod goes_live;
mod history;
mod interrupts;
mod journal_first;
mod lock;
mod looks;
mod many_hosts;
mod php;
mod replay;
mod resume;
mod salvage;
mod same_everywhere;
mod support;
mod telemetry;
mod template;
mod undo;
