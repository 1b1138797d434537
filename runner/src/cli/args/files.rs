//! Of commands about files that people write.

use clap::{Args, Subcommand, ValueEnum};
use runner_model::EnvironmentName;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Fmt {
    /// The files; `-` for from stdin to stdout. Without, `plan.toml` and the inventories that it names.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Write nothing; print what would change, and exit with 1 when something would.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// The kind of file.
    #[arg(value_enum, default_value_t)]
    pub(crate) of: SchemaOf,
    /// Print the reference of plan, inventory and policy for people instead, as Markdown.
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Write the schemas of plan and inventory into `.schema` of this folder, for editors: without a network, with
    /// Even Better TOML, `taplo` and others that follow a first line `#:schema ./.schema/plan.json`.
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".", conflicts_with = "markdown")]
    pub(crate) install: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum SchemaOf {
    /// A plan: what to release, where and how.
    #[default]
    Plan,
    /// An inventory: the targets of an environment.
    Inventory,
    /// The operator's policy: what no plan may do.
    Policy,
    /// What a module's `describe` returns.
    Manifest,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder to write into; it is made when it is missing.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// The folder of the application, relative to DIR: `app`, or `.` for all of it.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) app: Option<String>,
    /// The hosts that it runs on, as `HOST` or `HOST:PORT`, with commas between them; `localhost` is this machine.
    #[arg(long, value_name = "HOSTS")]
    pub(crate) hosts: Option<String>,
    /// The user for ssh; empty: what the ssh configuration says.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// The folder for releases on the hosts: `/srv/shop`.
    #[arg(long, value_name = "PATH")]
    pub(crate) root: Option<String>,
    /// What to restart: a unit of systemd, or a command that begins with `/`; empty: nothing.
    #[arg(long, value_name = "UNIT|COMMAND")]
    pub(crate) service: Option<String>,
    /// A URL that answers 200 when the application works, asked of each host; empty: nothing is asked.
    #[arg(long, value_name = "URL")]
    pub(crate) health_url: Option<String>,
    /// The plan's name; without, the name of the folder.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The environment's name; its inventory is `NAME.toml`.
    #[arg(short, long, value_name = "NAME", default_value = "production")]
    pub(crate) environment: EnvironmentName,
}

#[derive(Debug, Args)]
pub(crate) struct Secrets {
    #[command(subcommand)]
    pub(crate) command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Edit an encrypted file of secrets, or make one.
    ///
    /// Opens it in the editor of `VISUAL` or `EDITOR`, as lines `name = "value"`, and encrypts it again for the public keys
    /// in FILE.recipients: of age (`age1...`) or of ssh, one a line. It is opened with the age identity in
    /// RUNNER_AGE_IDENTITY or in runner/age-identity.txt of $XDG_CONFIG_HOME, or with ~/.ssh/id_ed25519 or id_rsa. When the
    /// editor fails or the text is wrong, the file stays as it is.
    Edit(SecretsFile),
    /// Encrypt a file of secrets anew, after FILE.recipients was changed.
    ///
    /// Whoever was taken out could open it before, and may have: change the secrets too.
    Rekey(SecretsFile),
}

#[derive(Debug, Args)]
pub(crate) struct SecretsFile {
    /// The encrypted file, as in `db-password = { age = "secrets.age" }` of a plan.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
