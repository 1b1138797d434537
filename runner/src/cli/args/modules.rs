//! Of commands about modules.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Module {
    #[command(subcommand)]
    pub(crate) command: ModuleCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModuleCommand {
    /// Say what a module is, what it takes and gives out, what it asks for, and what it cannot do.
    ///
    /// Nothing of it runs but `describe`, with no grant. What it cannot do is proved by its imports: that holds whatever
    /// a plan grants it.
    Inspect(Inspect),
    /// Say what is different in another version of a module: what it asks for, imports, takes and gives out, and its size.
    ///
    /// Nothing runs but their `describe`, with no grant.
    Diff(Diff),
    /// Say whether the standard modules of this runner are those of a release.
    ///
    /// Without `--against`, print their digests as `sha256sum` does: that is the file which a release publishes. The same
    /// sources give the same bytes in every folder and on every machine, so that anybody can build them and compare.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// What to verify: `builtin`.
    #[arg(value_name = "WHAT", value_parser = ["builtin"])]
    pub(crate) what: String,
    /// The file that the release has published. Ends with 3 when something differs.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The older one: `std/NAME`, `builtin:NAME` or `path:FILE`.
    #[arg(value_name = "OLD")]
    pub(crate) old: String,
    /// The newer one.
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
    /// End with 3 when the newer one asks for more, or imports more.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The module: `std/NAME` or `builtin:NAME` for a standard one, `path:FILE` for a component in a file.
    #[arg(value_name = "MODULE")]
    pub(crate) module: String,
    /// Print it as JSON, with the manifest as the module gives it.
    #[arg(long)]
    pub(crate) json: bool,
}
