//! Database servers: who logs in, and the exact commands. A password is a secret that the host puts into the command's
//! environment; it is never an argument.

use runner_sdk::{Command, Effect, Error, Output, Result, Secret, Target};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// A server of MariaDB or MySQL and who logs in: `socket`, or `host` and `port`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SqlLogin {
    /// The socket of a server on the target, absolute.
    pub socket: Option<String>,
    /// The server, as the target reaches it.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// The user of the database.
    pub user: String,
    /// The secret that is the password; a socket may do without.
    pub password: Option<String>,
}

/// A server of PostgreSQL and who logs in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PostgresLogin {
    /// The server, as the target reaches it, or the folder of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The secret that is the password; without, the server must let the role in.
    pub password: Option<String>,
}

/// A server.
#[derive(Debug, Clone)]
pub enum Server {
    /// MariaDB, with the programs that have its name.
    MariaDb(SqlLogin),
    /// MySQL.
    MySql(SqlLogin),
    /// PostgreSQL.
    Postgres(PostgresLogin),
}

/// What a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Absent,
    /// It has nothing in it.
    Empty,
    /// It has tables, views, routines or the like.
    Full,
}

impl Server {
    /// The one that the plan names.
    ///
    /// # Errors
    /// `invalid` when it is none or several, or when its login makes no sense.
    pub fn of(
        mariadb: Option<SqlLogin>,
        mysql: Option<SqlLogin>,
        postgresql: Option<PostgresLogin>,
    ) -> Result<Self> {
        let server = match (mariadb, mysql, postgresql) {
            (Some(login), None, None) => Self::MariaDb(login),
            (None, Some(login), None) => Self::MySql(login),
            (None, None, Some(login)) => return Ok(Self::Postgres(login)),
            _ => {
                return Err(Error::invalid("which server? name one of `mariadb`, `mysql` and `postgresql`")
                    .with_detail("mariadb = { socket = \"/run/mysqld/mysqld.sock\", user = \"backup\" }"));
            }
        };
        if let Self::MariaDb(login) | Self::MySql(login) = &server {
            match (&login.socket, &login.host, login.port, &login.password) {
                (Some(_), None, None, _) | (None, Some(_), Some(_), Some(_)) => {}
                (None, Some(_), Some(_), None) => {
                    return Err(Error::invalid("a login by `host` and `port` needs a `password`")
                        .with_detail("password = \"NAME\", the name of a secret that the step is given"));
                }
                _ => return Err(Error::invalid("a login has a `socket`, or a `host` and a `port`")),
            }
        }
        Ok(server)
    }

    /// How dumps of it end.
    pub fn endings(&self) -> &'static [&'static str] {
        match self {
            Self::MariaDb(_) | Self::MySql(_) => &["sql.zst", "sql.gz"],
            Self::Postgres(_) => &["pgdump.zst", "pgdump.gz"],
        }
    }

    /// Whether two dumps of the same data are the same bytes.
    pub fn dumps_alike(&self) -> bool {
        !matches!(self, Self::Postgres(_))
    }

    /// Dumps a database.
    pub fn dump(&self, database: &str, options: &[String]) -> Vec<String> {
        match self {
            Self::MariaDb(login) | Self::MySql(login) => {
                let mut argv = self.sql(["mariadb-dump", "mysqldump"], login);
                argv.extend(words(&DUMP));
                argv.extend(options.iter().cloned());
                argv.push(database.to_owned());
                argv
            }
            Self::Postgres(login) => {
                let mut argv = postgres("pg_dump", login);
                argv.extend(words(&["--format=custom", "--compress=0"]));
                argv.extend(options.iter().cloned());
                argv.push(format!("--dbname={database}"));
                argv
            }
        }
    }

    /// What a database has, without the data.
    fn outline(&self, database: &str) -> Vec<String> {
        match self {
            Self::MariaDb(login) | Self::MySql(login) => {
                let mut argv = self.sql(["mariadb-dump", "mysqldump"], login);
                argv.extend(words(&["--no-data", "--routines", "--events", "--no-tablespaces", database]));
                argv
            }
            Self::Postgres(login) => {
                let mut argv = postgres("pg_dump", login);
                argv.extend([String::from("--schema-only"), format!("--dbname={database}")]);
                argv
            }
        }
    }

    /// Makes a database.
    pub fn create(&self, database: &str) -> Vec<String> {
        match self {
            Self::MariaDb(login) | Self::MySql(login) => {
                let mut argv = self.sql(["mariadb-admin", "mysqladmin"], login);
                argv.extend(words(&["create", database]));
                argv
            }
            Self::Postgres(login) => {
                let mut argv = postgres("createdb", login);
                argv.push(database.to_owned());
                argv
            }
        }
    }

    /// Makes a database be gone.
    pub fn drop(&self, database: &str) -> Vec<String> {
        match self {
            Self::MariaDb(login) | Self::MySql(login) => {
                let mut argv = self.sql(["mariadb-admin", "mysqladmin"], login);
                argv.extend(words(&["--force", "drop", database]));
                argv
            }
            Self::Postgres(login) => {
                let mut argv = postgres("dropdb", login);
                argv.push(database.to_owned());
                argv
            }
        }
    }

    /// Reads a dump into a database.
    pub fn load(&self, database: &str, options: &[String]) -> Vec<String> {
        match self {
            Self::MariaDb(login) | Self::MySql(login) => {
                let mut argv = self.sql(["mariadb", "mysql"], login);
                argv.extend(words(&LOAD));
                argv.extend(options.iter().cloned());
                argv.push(database.to_owned());
                argv
            }
            Self::Postgres(login) => {
                let mut argv = postgres("pg_restore", login);
                argv.extend(words(&["--single-transaction", "--exit-on-error"]));
                argv.extend(options.iter().cloned());
                argv.push(format!("--dbname={database}"));
                argv
            }
        }
    }

    /// A command of the server, with the password where it belongs.
    ///
    /// # Errors
    /// Those of [`Secret::get`].
    pub fn command(&self, argv: Vec<String>, effect: Effect, timeout: Duration) -> Result<Command> {
        let (variable, password) = match self {
            Self::MariaDb(login) | Self::MySql(login) => ("MYSQL_PWD", &login.password),
            Self::Postgres(login) => ("PGPASSWORD", &login.password),
        };
        let command = Command::new(argv, effect).timeout(timeout);
        Ok(match password {
            Some(name) => command.env_secret(variable, &Secret::get(name)?),
            None => command,
        })
    }

    /// What the database is.
    ///
    /// # Errors
    /// Those of [`Command::run`].
    pub fn state(&self, target: &Target, database: &str, timeout: Duration) -> Result<State> {
        let argv = self.outline(database);
        let program = argv.first().cloned().unwrap_or_default();
        let Output { status, stdout, stderr, .. } =
            self.command(argv, Effect::Read, timeout)?.accept(1).accept(2).run(target)?;
        if status == 0 {
            let full = stdout.lines().any(|line| !line.starts_with("-- ") && line.contains("CREATE "));
            return Ok(if full { State::Full } else { State::Empty });
        }
        let missing = match self {
            Self::MariaDb(_) | Self::MySql(_) => stderr.contains("Unknown database"),
            Self::Postgres(_) => stderr.contains(&format!("database \"{database}\" does not exist")),
        };
        if missing {
            return Ok(State::Absent);
        }
        let message = format!("what `{database}` has cannot be told: `{program}` ended with status {status}");
        Err(Error::new(runner_sdk::ErrorKind::CommandFailed, message).with_detail(stderr.trim()))
    }

    /// The beginning of a command of MariaDB or of MySQL.
    fn sql(&self, [mariadb, mysql]: [&str; 2], login: &SqlLogin) -> Vec<String> {
        let program = if matches!(self, Self::MariaDb(_)) { mariadb } else { mysql };
        let mut argv = words(&[program, "--no-defaults"]);
        match (&login.socket, &login.host, login.port) {
            (None, Some(host), Some(port)) => {
                argv.extend([
                    String::from("--protocol=tcp"),
                    format!("--host={host}"),
                    format!("--port={port}"),
                ]);
            }
            (socket, ..) => argv.push(format!("--socket={}", socket.as_deref().unwrap_or_default())),
        }
        argv.push(format!("--user={}", login.user));
        argv
    }
}

/// In one transaction, with all that belongs to a database, and the same bytes for the same data.
const DUMP: [&str; 9] = [
    "--single-transaction",
    "--quick",
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--no-tablespaces",
    "--skip-dump-date",
    "--default-character-set=utf8mb4",
];

/// A dump may be anybody's: it is not to run programs or read files of the target, where the client knows how to refuse.
const LOAD: [&str; 4] = ["--loose-sandbox", "--local-infile=0", "--batch", "--default-character-set=utf8mb4"];

/// The beginning of a command of PostgreSQL.
fn postgres(program: &str, login: &PostgresLogin) -> Vec<String> {
    let PostgresLogin { host, port, user, .. } = login;
    let mut argv = words(&[program, "--no-password"]);
    argv.extend([format!("--host={host}"), format!("--port={port}"), format!("--username={user}")]);
    argv
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
