//! The library and the program from outside: hostile modules, requests, secrets, modules of other languages and teams.
//!
//! One program for all of them: it is linked once, and its sandbox, its puppet and its fleet are made once.

mod differences;
mod encrypted;
mod hostile_at_home;
mod hostile_guests;
mod hostile_on_target;
mod hostile_runs;
mod https;
mod languages;
mod module_test;
mod requests;
mod secrets;
mod sharing;
mod support;
mod wasi;
