//! Of commands about modules.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use runner_guests::Language;
use runner_model::grant::{FileGrant, HttpGrant, SecretGrant, SshGrant};
use runner_model::{Digest, EnvironmentName};
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
    /// Test a step in the real sandbox, with the grants, limits and answers that its tests say, and nothing behind them.
    ///
    /// No target, no network, no clock: what a command, a request or a socket answers stands in the test. Tests are
    /// `tests/*.toml` of the step's folder, and runs that were recorded with `runner runs export`, as `tests/*.run`. Ends
    /// with 4 when one fails.
    Test(Test),
    /// Say what a module is, what it takes and gives out, what it asks for, and what it cannot do.
    ///
    /// Nothing of it runs but `describe`, with no grant. What it cannot do is proved by its imports: that holds whatever
    /// a plan grants it.
    Inspect(Inspect),
    /// Say what is different in another version of a module: what it asks for, imports, takes and gives out, and its size.
    ///
    /// Nothing runs but their `describe`, with no grant.
    Diff(Diff),
    /// Put a module into a registry, for others.
    ///
    /// In the CNCF's layout for Wasm, so that other tools read it. Who you are there is what `docker login` or `podman
    /// login` know. A version that is there already is not changed. Prints the reference by digest.
    Push(Push),
    /// Fetch a module from a registry, with what others say of it, and verify it by its digests.
    Pull(Pull),
    /// Sign a module with an SSH key.
    ///
    /// By `ssh-keygen`, with all that it can: keys with a passphrase, the agent, security keys. A file gets `FILE.sig`
    /// beside it; to a module in a registry the signature is attached. Anybody can check it:
    /// `ssh-keygen -Y verify -n runner-module`.
    Sign(Sign),
    /// Say that you have reviewed a module, what it may be granted at most, and until when that holds.
    ///
    /// A statement that is bound to the component by its digest, and signed with an SSH key. Prints what it is called. An
    /// operator's policy can ask for one: then no step that uses the module may have more than it says.
    Vet(Vet),
    /// Take a vetting back, or warn of a module.
    Revoke(Revoke),
    /// Say whether a module may be used, and who answers for it.
    ///
    /// With `builtin`: whether the standard modules of this runner are those of a release. Without `--against` their digests
    /// are printed as `sha256sum` does: that is the file which a release publishes. The same sources give the same bytes in
    /// every folder and on every machine, so that anybody can build them and compare.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The component, or the folder of a step that was built.
    #[arg(value_name = "FILE")]
    pub(crate) what: PathBuf,
    /// Where to: `registry.example.org/team/greet`. Without a tag it gets the module's version.
    #[arg(value_name = "REFERENCE")]
    pub(crate) to: String,
    /// Sign it with this SSH key, private or public with the private one in the agent, and attach that.
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<PathBuf>,
    /// Let a tag that names another module name this one.
    #[arg(long)]
    pub(crate) move_tag: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Which one: `registry.example.org/team/greet:1.2.0`, with `@sha256:DIGEST` or `@1.2` for the newest that fits.
    #[arg(value_name = "REFERENCE")]
    pub(crate) from: String,
    /// Where to write the component; without, it is only kept for plans that use it.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The module: `path:FILE`, or `oci:REFERENCE@sha256:DIGEST`.
    #[arg(value_name = "MODULE")]
    pub(crate) module: String,
    /// The SSH key: private, or public with the private one in the agent.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Vet {
    /// The module: `path:FILE`, or `oci:REFERENCE@sha256:DIGEST`.
    #[arg(value_name = "MODULE")]
    pub(crate) module: String,
    /// The SSH key: private, or public with the private one in the agent.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Who reviewed it: the name that the operator's `allowed_signers` have for the key.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) reviewer: String,
    /// The first day on which the review does not count any more: `2027-06-30`, UTC.
    #[arg(long, value_name = "DATE")]
    pub(crate) expires: jiff::civil::Date,
    /// A grant for targets that steps of it may have at most: `write:/srv`. May be given several times; none: nothing.
    #[arg(long, value_name = "GRANT")]
    pub(crate) ssh: Vec<SshGrant>,
    /// The same for files beside the plan.
    #[arg(long, value_name = "GRANT")]
    pub(crate) files: Vec<FileGrant>,
    /// The same for requests.
    #[arg(long, value_name = "GRANT")]
    pub(crate) http: Vec<HttpGrant>,
    /// The same for secrets.
    #[arg(long, value_name = "GRANT")]
    pub(crate) secrets: Vec<SecretGrant>,
    /// What there is to say about it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The module: `oci:REFERENCE`; without `--vetting`, by its digest.
    #[arg(value_name = "MODULE")]
    pub(crate) module: String,
    /// The vetting to take back, as `vet` printed it. Without, all are warned of the module itself whose policies let you sign
    /// or vet modules.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) vetting: Option<Digest>,
    /// The SSH key: private, or public with the private one in the agent. Its name must be one that may vet.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The step's name: small letters, digits and `-`.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The language to write it in.
    #[arg(long = "lang", value_name = "LANGUAGE", value_parser = languages())]
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

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The step's folder, with its `step.toml`; or a component, whose tests are in `tests` beside it.
    #[arg(value_name = "FOLDER|FILE", default_value = ".")]
    pub(crate) step: PathBuf,
    /// The folder that the tests are in.
    #[arg(long, value_name = "DIR")]
    pub(crate) tests: Option<PathBuf>,
    /// Only tests whose names have this in them.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<String>,
    /// Let each call of each test that ends well fail once, lose its answer, and be cancelled; the step must then come to
    /// the same end.
    #[arg(long)]
    pub(crate) faults: bool,
    /// Print it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The languages by their words, for the help and completions too.
fn languages() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(Language::ALL.map(Language::word)).try_map(|word| {
        Language::ALL.into_iter().find(|language| language.word() == word).ok_or("no such language")
    })
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// What to verify: `builtin`, `path:FILE` or `oci:REFERENCE`.
    #[arg(value_name = "WHAT")]
    pub(crate) what: String,
    /// The environment whose rules are asked, of the operator's policy; not for `builtin`.
    #[arg(short, long, value_name = "NAME", conflicts_with = "against")]
    pub(crate) environment: Option<EnvironmentName>,
    /// Of `builtin`: the file that the release has published. Ends with 3 when something differs.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The older one: `std/NAME`, `builtin:NAME`, `path:FILE` or `oci:REFERENCE`.
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
    /// The module: `std/NAME` or `builtin:NAME` for a standard one, `path:FILE` for a component in a file, `oci:REFERENCE`
    /// for one of a registry.
    #[arg(value_name = "MODULE")]
    pub(crate) module: String,
    /// Print it as JSON, with the manifest as the module gives it.
    #[arg(long)]
    pub(crate) json: bool,
}
