//! `runner completions`.

use super::args::{Cli, Completions};
use super::fail::Fail;
use super::out;
use clap::CommandFactory as _;

pub(crate) fn run(args: &Completions) -> Result<(), Fail> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "runner", &mut script);
    out(&String::from_utf8_lossy(&script))
}
