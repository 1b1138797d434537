//! Of commands that ask the targets, or go back on them.

use super::{Shown, Which};
use clap::Args;
use runner_model::ReleaseId;
use runner_model::quantity::Period;

#[derive(Debug, Args)]
pub(crate) struct LockStatus {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Unlock {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Why: kept on the targets, and told to whoever had the lock.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Releases {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print them as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The release: its id, or `previous` for the good one before the live one.
    #[arg(long, value_name = "ID", default_value = "previous", value_parser = to)]
    pub(crate) to: To,
    /// List the releases to choose from, and change nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// All targets at once, straight to their previous good releases.
    ///
    /// No target is taken out of the cluster, whoever has the lock of the targets loses it, a target that fails stops no
    /// other one, and each goes back to its own previous release. Nothing is asked but once.
    #[arg(long, requires = "reason")]
    pub(crate) emergency: bool,
    /// With `--emergency`: so many targets at a time.
    #[arg(long, value_name = "NUMBER", requires = "emergency", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: Option<u32>,
    /// Why: kept on the targets with the lock.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// The digest, or its beginning, of a plan and a lock that were never used here and that you have compared.
    #[arg(long, value_name = "DIGEST", value_parser = digest_prefix)]
    pub(crate) accept: Option<String>,
    /// Do not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// When somebody else has the lock of the targets: how long to wait for it, as `10m`.
    #[arg(long, value_name = "TIME", conflicts_with = "emergency")]
    pub(crate) wait: Option<Period>,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    /// The good release before the live one.
    Previous,
    /// This one.
    Release(ReleaseId),
}

/// So much of a digest that no other one begins with it.
fn digest_prefix(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    match (12..=64).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        true => Ok(digits.to_owned()),
        false => Err("it takes 12 to 64 hexadecimal digits".to_owned()),
    }
}

fn to(text: &str) -> Result<To, String> {
    match text {
        "previous" => Ok(To::Previous),
        id => id.parse().map(To::Release).map_err(|error| format!("{error}")),
    }
}
