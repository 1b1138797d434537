//! `std/db-backup`: dumps databases, on the target.

use runner_databases::{Dumping, PostgresLogin, Server, SqlLogin, clear, make};
use runner_sdk::backups::{Backup, need_room, surplus};
use runner_sdk::params::{Duration, Name, Size};
use runner_sdk::{Attributes, Capabilities, Error, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// The step.
pub struct DbBackup;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The databases; one dump for each.
    #[schemars(length(min = 1))]
    databases: Vec<Name>,
    /// A server of MariaDB, and who logs in: `user`, `socket` or `host` and `port`, and `password`, the name of a secret.
    mariadb: Option<SqlLogin>,
    /// The same for MySQL.
    mysql: Option<SqlLogin>,
    /// A server of PostgreSQL, and who logs in: `user`, `host` or the folder of its socket, `port`, and `password`, the name of a secret.
    postgresql: Option<PostgresLogin>,
    /// The folder for dumps, absolute.
    to: String,
    /// How many dumps of each database are kept, at least 1.
    #[serde(default = "five")]
    keep: NonZeroU32,
    /// How much must be free before anything is written, where that is more than the dump is expected to take.
    #[serde(default = "nothing")]
    need_free: Size,
    /// Further options of the program that dumps.
    #[serde(default)]
    options: Vec<String>,
    /// How long each dump may take.
    #[serde(default = "one_hour")]
    timeout: Duration,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The newest dump of each database, in the order of `databases`.
    dumps: Vec<String>,
    /// Whether any was made now: none was where every database is what its newest dump says.
    created: bool,
    /// Dumps that were removed, oldest first.
    removed: Vec<String>,
}

impl Step for DbBackup {
    const NAME: &'static str = "db-backup";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "dumps databases, on the target";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: runner_databases::grants! {
            ["read:${to}", "write:${to}", "exec-read:tail -c 512", "exec-read:pg_restore --list"]
            "change": ["mariadb-dump", "mysqldump"] "--single-transaction --quick --routines --events --triggers --hex-blob --no-tablespaces --skip-dump-date --default-character-set=utf8mb4 ${options...} ${databases}",
                "pg_dump" "--format=custom --compress=0 ${options...} --dbname=${databases}";
        },
        secrets: &["${mariadb.password}", "${mysql.password}", "${postgresql.password}"],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let server = Server::of(params.mariadb, params.mysql, params.postgresql)?;
        let folder = params.to.trim_end_matches('/');
        if !folder.starts_with('/') {
            return Err(Error::invalid(format!("`{}` must be an absolute path, and not `/`", params.to)));
        }
        let found = Backup::all(&target, folder, server.endings())?;
        let there = found.is_some();
        let mut backups = found.unwrap_or_default();
        let mut outputs = Outputs { dumps: Vec::new(), created: false, removed: Vec::new() };
        for (index, database) in params.databases.iter().enumerate() {
            let name = database.as_str();
            let newest = Backup::newest(&backups, name).cloned();
            let need = newest.as_ref().map_or(0, Backup::next_takes).max(params.need_free.get());
            need_room(&target, folder, folder, &format!("`{name}`"), need)?;
            if !there && index == 0 {
                target.mkdir(folder, &Attributes::mode(0o700))?;
            }
            clear(&target, folder, name)?;
            let dumping = Dumping {
                server: &server,
                database: name,
                options: &params.options,
                folder,
                name,
                timeout: params.timeout.get(),
            };
            let (dump, partial) = make(&target, &dumping)?;
            let same = match &newest {
                Some(newest) if server.dumps_alike() => {
                    target.digest(&partial)? == target.digest(&format!("{folder}/{}", newest.file))?
                }
                _ => false,
            };
            if let (true, Some(newest)) = (same, newest) {
                target.remove(&partial)?;
                let path = format!("{folder}/{}", newest.file);
                runner_sdk::info!("`{name}` is what `{path}` says");
                outputs.dumps.push(path);
                continue;
            }
            let path = format!("{folder}/{}", dump.file);
            target.rename(&partial, &path)?;
            runner_sdk::info!("dumped `{name}` to `{path}`: {}", Size::from_bytes(dump.size));
            outputs.created = true;
            outputs.dumps.push(path);
            backups.push(dump);
            let of: Vec<Backup> = backups.iter().filter(|backup| backup.name == name).cloned().collect();
            for old in surplus(&of, params.keep.get() as usize, &[]) {
                let path = format!("{folder}/{}", old.file);
                target.remove(&path)?;
                runner_sdk::info!("removed `{path}`");
                outputs.removed.push(path);
            }
        }
        Ok(outputs)
    }
}

fn five() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(4)
}

fn nothing() -> Size {
    Size::from_bytes(0)
}

fn one_hour() -> Duration {
    Duration::from_secs(3600)
}

runner_sdk::export!(DbBackup);

#[cfg(test)]
mod tests;
