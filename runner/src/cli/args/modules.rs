//! Of commands about modules.

use clap::{Args, Subcommand};
use runner_guests::Language;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Module {
    #[command(subcommand)]
    pub(crate) command: ModuleCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModuleCommand {
    /// Begin a step of one's own: a folder with a small one that works, and all that it is built with.
    ///
    /// The SDK is copied into the folder, for the contract that this runner speaks: commit it with the step, so that it
    /// builds the same wherever it is built. Nothing that is there is overwritten.
    New(New),
    /// Build a step to a component, with the tools of its language.
    ///
    /// Prints the file. A tool that is missing is named, with how to get it. What was built is loaded as a run would load
    /// it, so that what is wrong with it is said here.
    Build(Build),
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
pub(crate) struct New {
    /// The step's name: small letters, digits and `-`.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The language to write it in.
    #[arg(long = "lang", value_name = "LANGUAGE", value_parser = language)]
    pub(crate) language: Language,
    /// The folder to make; without, the step's name in this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The step's folder, with its `step.toml`.
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Where to write the component; without, `target/NAME.wasm` of the folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

fn language(word: &str) -> Result<Language, String> {
    Language::ALL.into_iter().find(|language| language.word() == word).ok_or_else(|| {
        let words: Vec<&str> = Language::ALL.iter().map(|language| language.word()).collect();
        format!("there are {}", words.join(", "))
    })
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
