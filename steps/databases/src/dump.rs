//! Dumps: made into a file that is not named like one, looked at, and only then given their name by whoever asked.

use crate::Server;
use runner_sdk::backups::{Backup, packing};
use runner_sdk::{Command, Context, Effect, Error, Result, Target};
use std::time::Duration;

/// What is not known to be good.
const PARTIAL: &str = ".partial.";

/// A dump that is to be made.
#[derive(Debug)]
pub struct Dumping<'a> {
    /// Of which server.
    pub server: &'a Server,
    /// Of which database.
    pub database: &'a str,
    /// Further options of the program.
    pub options: &'a [String],
    /// Into which folder, which exists.
    pub folder: &'a str,
    /// What the dump is called.
    pub name: &'a str,
    /// How long each command may take.
    pub timeout: Duration,
}

/// Makes a dump and checks it. Answers what it is to be called, and the path where it is now.
///
/// # Errors
/// `not-found` when the target packs with nothing; those of [`Command::run`]; `conflict` when the dump is not complete.
pub fn make(target: &Target, dumping: &Dumping<'_>) -> Result<(Backup, String)> {
    let Dumping { server, database, options, folder, name, timeout } = *dumping;
    let ending = match (packing(target)?, server.endings()) {
        (Some("zst"), [zst, _]) => zst,
        (Some(_), [_, gz]) => gz,
        _ => {
            return Err(Error::not_found(format!("neither zstd nor gzip is on `{}`", target.name()))
                .with_detail("install one of them there: a dump is packed while it is made"));
        }
    };
    let backup = Backup::new(name, ending);
    let partial = format!("{folder}/{name}-{}{PARTIAL}{ending}", backup.stamp);
    let what = || format!("`{database}` is not dumped");
    server
        .command(server.dump(database, options), Effect::Change, timeout)?
        .stdout_to(&partial)
        .compress()
        .keep()
        .repeatable()
        .run(target)
        .context(what)?;
    if let Err(error) = check(target, server, &partial, timeout) {
        target.remove(&partial)?;
        return Err(error).context(what);
    }
    let size = target.stat(&partial)?.map_or(0, |entry| entry.size);
    Ok((Backup { size, ..backup }, partial))
}

/// Reads a dump whole and looks for the marks of a complete one.
///
/// # Errors
/// `conflict` when it is damaged or not complete.
pub fn check(target: &Target, server: &Server, path: &str, timeout: Duration) -> Result<()> {
    let read = |argv: &[&str]| {
        Command::new(argv.iter().copied(), Effect::Read)
            .stdin_file(path)
            .decompress()
            .timeout(timeout)
            .run(target)
    };
    let end = read(&["tail", "-c", "512"])?.stdout;
    let incomplete = |mark: &str| Err(Error::conflict(format!("`{path}` is no complete dump: {mark}")));
    match server {
        Server::MariaDb(_) | Server::MySql(_) => {
            let last = end.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            if !last.starts_with("-- Dump completed") {
                return incomplete("it does not end with `-- Dump completed`");
            }
        }
        Server::Postgres(_) => {
            if !read(&["pg_restore", "--list"])?.stdout.contains("Archive created at") {
                return incomplete("`pg_restore --list` finds no contents in it");
            }
        }
    }
    Ok(())
}

/// Removes what earlier runs did not finish.
///
/// # Errors
/// Those of the verbs.
pub fn clear(target: &Target, folder: &str, name: &str) -> Result<()> {
    for entry in target.read_dir(folder)? {
        let of = entry.name.split_once(PARTIAL).and_then(|(stem, _)| stem.rsplit_once('-'));
        if entry.is_file() && of.is_some_and(|(of, _)| of == name) {
            target.remove(&format!("{folder}/{}", entry.name))?;
        }
    }
    Ok(())
}
