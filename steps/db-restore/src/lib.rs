//! `std/db-restore`: reads a dump into a database, on the target.

use runner_databases::{Dumping, PostgresLogin, Server, SqlLogin, State, check, make};
use runner_sdk::backups::Backup;
use runner_sdk::params::{Duration, Name};
use runner_sdk::{Attributes, Capabilities, Context, Effect, Error, Result, Step, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct DbRestore;

/// What the plan gives it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Params {
    /// The database that gets what the dump holds; it is made where it is missing.
    database: Name,
    /// A server of MariaDB, and who logs in: `user`, `socket` or `host` and `port`, and `password`, the name of a secret.
    mariadb: Option<SqlLogin>,
    /// The same for MySQL.
    mysql: Option<SqlLogin>,
    /// A server of PostgreSQL, and who logs in: `user`, `host` or the folder of its socket, `port`, and `password`, the name of a secret.
    postgresql: Option<PostgresLogin>,
    /// The folder with dumps, absolute; the newest of `name` is taken.
    from: Option<String>,
    /// The database that was dumped; without, `database`.
    name: Option<Name>,
    /// One dump, absolute; in the place of `from`.
    dump: Option<String>,
    /// Whether a database that has something in it is dropped first; without, it is refused.
    #[serde(default)]
    replace: bool,
    /// A folder for a dump of what is there before, absolute; without, there is none.
    safety: Option<String>,
    /// Further options of the program that reads the dump.
    #[serde(default)]
    options: Vec<String>,
    /// How long each command may take.
    #[serde(default = "one_hour")]
    timeout: Duration,
}

/// What later steps may refer to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The dump that was taken.
    dump: String,
    /// Whether it was read into the database: it was not where the database was known to be the same.
    changed: bool,
    /// The dump of what was there before; null when there was nothing, or no `safety`.
    safety: Option<String>,
}

impl Step for DbRestore {
    const NAME: &'static str = "db-restore";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "reads a dump into a database, on the target";
    const DOCUMENTATION: &'static str = include_str!("../DOCUMENTATION.md");
    const CAPABILITIES: Capabilities = Capabilities {
        ssh: runner_databases::grants! {
            ["read:${from}", "read:${dump}", "read:${safety}", "write:${safety}", "exec-read:tail -c 512", "exec-read:pg_restore --list"]
            "read": ["mariadb-dump", "mysqldump"] "--no-data --routines --events --no-tablespaces ${database}",
                "pg_dump" "--schema-only --dbname=${database}";
            "change": ["mariadb-dump", "mysqldump"] "--single-transaction --quick --routines --events --triggers --hex-blob --no-tablespaces --skip-dump-date --default-character-set=utf8mb4 ${database}",
                "pg_dump" "--format=custom --compress=0 --dbname=${database}";
            "opaque": ["mariadb-admin", "mysqladmin"] "create ${database}",
                "createdb" "${database}";
            "opaque": ["mariadb-admin", "mysqladmin"] "--force drop ${database}",
                "dropdb" "${database}";
            "opaque": ["mariadb", "mysql"] "--loose-sandbox --local-infile=0 --batch --default-character-set=utf8mb4 ${options...} ${database}",
                "pg_restore" "--single-transaction --exit-on-error ${options...} --dbname=${database}";
        },
        secrets: &["${mariadb.password}", "${mysql.password}", "${postgresql.password}"],
        ..Capabilities::NONE
    };

    type Params = Params;
    type Outputs = Outputs;

    fn run(params: Params) -> Result<Outputs> {
        let target = Target::current();
        let server = Server::of(params.mariadb, params.mysql, params.postgresql)?;
        let (database, timeout) = (params.database.as_str(), params.timeout.get());
        let name = params.name.as_ref().map_or(database, Name::as_str);
        let dump = found(&target, &server, params.from.as_deref(), name, params.dump.as_deref())?;
        check(&target, &server, &dump, timeout)?;
        let state = server.state(&target, database, timeout)?;
        if state == State::Full && !params.replace {
            return Err(Error::conflict(format!(
                "`{database}` has something in it, and nothing is replaced"
            ))
            .with_detail("replace = true drops what is there; with `safety`, it is dumped before"));
        }
        let mut safety = None;
        if let (State::Full, Some(folder)) = (state, &params.safety) {
            let folder = folder.trim_end_matches('/');
            target.mkdir(folder, &Attributes::mode(0o700))?;
            let name = format!("before-restore-{database}");
            let dumping = Dumping { server: &server, database, options: &[], folder, name: &name, timeout };
            let (backup, partial) = make(&target, &dumping).context(|| "nothing is replaced".to_owned())?;
            if server.dumps_alike() && target.digest(&partial)? == target.digest(&dump)? {
                target.remove(&partial)?;
                runner_sdk::info!("`{database}` is what `{dump}` holds already");
                return Ok(Outputs { dump, changed: false, safety: None });
            }
            let path = format!("{folder}/{}", backup.file);
            target.rename(&partial, &path)?;
            runner_sdk::info!("what `{database}` has is kept in `{path}`");
            safety = Some(path);
        }
        let run = |argv| server.command(argv, Effect::Opaque, timeout)?.run(&target);
        if state == State::Full {
            run(server.drop(database))?;
        }
        if state != State::Empty {
            run(server.create(database))?;
        }
        let load = server.load(database, &params.options);
        server.command(load, Effect::Opaque, timeout)?.stdin_file(&dump).decompress().run(&target).context(
            || match &safety {
                Some(kept) => format!("`{database}` is not restored; what was there is in `{kept}`"),
                None => format!("`{database}` is not restored"),
            },
        )?;
        runner_sdk::info!("`{database}` is what `{dump}` holds");
        Ok(Outputs { dump, changed: true, safety })
    }
}

/// The dump that is named, or the newest.
fn found(
    target: &Target,
    server: &Server,
    from: Option<&str>,
    name: &str,
    dump: Option<&str>,
) -> Result<String> {
    let endings = server.endings();
    match (from, dump) {
        (None, Some(dump)) if endings.iter().any(|ending| dump.ends_with(&format!(".{ending}"))) => {
            if target.stat(dump)?.is_none_or(|entry| !entry.is_file()) {
                return Err(Error::not_found(format!("no dump is at `{dump}` on `{}`", target.name())));
            }
            Ok(dump.to_owned())
        }
        (None, Some(dump)) => {
            let message = format!("`{dump}` is not named like a dump of this server");
            Err(Error::invalid(message).with_detail(format!("it ends with one of {}", endings.join(", "))))
        }
        (Some(from), None) => {
            let from = from.trim_end_matches('/');
            let backups = Backup::all(target, from, endings)?.unwrap_or_default();
            let newest = Backup::newest(&backups, name);
            newest.map(|backup| format!("{from}/{}", backup.file)).ok_or_else(|| {
                Error::not_found(format!("no dump of `{name}` is in `{from}` on `{}`", target.name()))
            })
        }
        _ => Err(Error::invalid("which dump? say either `from` or `dump`")),
    }
}

fn one_hour() -> Duration {
    Duration::from_secs(3600)
}

runner_sdk::export!(DbRestore);

#[cfg(test)]
mod tests;
