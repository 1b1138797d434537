//! Dumps of real databases, read back row by row. The servers are started here, as users without rights, and end with the
//! test.

use crate::support::{Project, Ran};
use runner_fleet::{Fleet, Host, fleet_or_skip};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What must not be seen anywhere.
const PASSWORD: &str = "correct-horse-battery";

/// A server of MariaDB or PostgreSQL that listens on this machine's loopback.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    MariaDb,
    Postgres,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program in PATH or where Debian keeps those of PostgreSQL.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .chain(versions.map(|version| version.path().join("bin")))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The command as a user without rights, where root runs the tests: both servers refuse root.
fn unprivileged(program: &Path) -> Command {
    if !runs_as_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

fn runs_as_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn ran(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Server {
    /// `None`, and a visible skip, where its programs are missing.
    fn start(kind: Kind) -> Option<Self> {
        let needed: &[&str] = match kind {
            Kind::MariaDb => &["mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump"],
            Kind::Postgres => &["postgres", "initdb", "psql", "pg_dump", "pg_restore"],
        };
        for name in needed {
            if program(name).is_none() {
                eprintln!("SKIPPED: {name} is not installed");
                return None;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.path(), mode).unwrap();
        let data = folder.path().join("data");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = match kind {
            Kind::MariaDb => {
                let mut install = unprivileged(&program("mariadb-install-db").unwrap());
                install.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
                ran(install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]));
                let mut server = unprivileged(&program("mariadbd").unwrap());
                server
                    .args(["--no-defaults", "--character-set-server=utf8mb4"])
                    .arg(format!("--datadir={}", data.display()));
                server.arg(format!("--socket={}", folder.path().join("socket").display()));
                server.arg(format!("--pid-file={}", folder.path().join("pid").display()));
                server.args(["--bind-address=127.0.0.1", &format!("--port={port}")]);
                server
            }
            Kind::Postgres => {
                let password = folder.path().join("password");
                fs::write(&password, PASSWORD).unwrap();
                let mut init = unprivileged(&program("initdb").unwrap());
                init.arg("-D").arg(&data).arg("--pwfile").arg(&password).current_dir("/");
                ran(init.args(["-U", "backup", "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]));
                fs::remove_file(password).unwrap();
                let mut server = unprivileged(&program("postgres").unwrap());
                server.arg("-D").arg(&data).arg("-k").arg(folder.path()).current_dir("/");
                server.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
                server
            }
        };
        let log = fs::File::create(folder.path().join("log")).unwrap();
        server.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let server = Self { process: server.spawn().unwrap(), folder, port, kind };
        server.wait();
        if kind == Kind::MariaDb {
            server.root(&format!(
                "CREATE USER backup@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO backup@'127.0.0.1'"
            ));
        }
        Some(server)
    }

    fn wait(&self) {
        let started = Instant::now();
        loop {
            let up = match self.kind {
                Kind::MariaDb => Command::new("mariadb-admin").args(self.socket()).arg("ping").output(),
                Kind::Postgres => Command::new("pg_isready")
                    .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
                    .output(),
            };
            if up.unwrap().status.success() {
                return;
            }
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(60), "the server does not come up: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn socket(&self) -> [String; 3] {
        let socket = self.folder.path().join("socket");
        ["--no-defaults".to_owned(), format!("--socket={}", socket.display()), "--user=root".to_owned()]
    }

    /// As the root of MariaDB.
    fn root(&self, sql: &str) -> String {
        ran(Command::new("mariadb").args(self.socket()).args([
            "--default-character-set=utf8mb4",
            "-N",
            "-B",
            "-e",
            sql,
        ]))
    }

    /// In a database, as whoever may do all.
    fn sql(&self, database: &str, sql: &str) -> String {
        match self.kind {
            Kind::MariaDb => self.root(&format!("USE {database}; {sql}")),
            Kind::Postgres => ran(Command::new("psql")
                .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "backup"])
                .args(["-p", &self.port.to_string(), "-d", database, "-c", sql])
                .env("PGPASSWORD", PASSWORD)),
        }
    }

    /// A database with several tables, UTF-8, bytes and NULLs.
    fn fill(&self, database: &str) {
        let (admin, bytes, binary, serial) = match self.kind {
            Kind::MariaDb => ("mysql", "x'00ff27225c0a0d1a'", "LONGBLOB", "INT PRIMARY KEY AUTO_INCREMENT"),
            Kind::Postgres => ("postgres", r"'\x00ff27225c0a0d1a'", "BYTEA", "SERIAL PRIMARY KEY"),
        };
        self.sql(admin, &format!("CREATE DATABASE {database}"));
        self.sql(
            database,
            &format!(
                "CREATE TABLE orders (id {serial}, who TEXT, what {binary}, amount DECIMAL(10,2) NULL);
                 INSERT INTO orders (who, what, amount) VALUES ('ünïcødé ✓ 😀', {bytes}, NULL), ('it''s; -- \"q\"', NULL, 12.30), ('', {bytes}, 0);
                 CREATE TABLE items (item INT, of_order INT);
                 INSERT INTO items SELECT o.id * 100 + p.id, o.id FROM orders o, orders p;
                 CREATE TABLE nothing (id INT);
                 CREATE VIEW large AS SELECT * FROM orders WHERE amount > 10"
            ),
        );
    }

    /// All rows, each value so that no two can be taken for each other.
    fn rows(&self, database: &str) -> Vec<String> {
        let (hex, text) = match self.kind {
            Kind::MariaDb => ("HEX(what)", "HEX(who)"),
            Kind::Postgres => ("encode(what, 'hex')", "encode(convert_to(who, 'UTF8'), 'hex')"),
        };
        let orders = format!("SELECT id, {text}, COALESCE({hex}, 'NULL'), COALESCE(amount, -1) FROM");
        [
            format!("{orders} orders ORDER BY id"),
            "SELECT item, of_order FROM items ORDER BY item".to_owned(),
            "SELECT COUNT(*) FROM nothing".to_owned(),
            format!("{orders} large ORDER BY id"),
        ]
        .iter()
        .map(|sql| self.sql(database, sql))
        .collect()
    }

    /// As a plan names it.
    fn login(&self) -> String {
        let key = if self.kind == Kind::MariaDb { "mariadb" } else { "postgresql" };
        format!(
            "{key} = {{ host = \"127.0.0.1\", port = {}, user = \"backup\", password = \"db\" }}",
            self.port
        )
    }
}

fn plan(project: &Project, step: &str, with: &str) {
    project.write(
        "plan.toml",
        &format!(
            "plan = 1\nname = \"keep\"\n[modules]\nstd = \"builtin\"\n[environment.fleet]\ninventory = \"fleet.toml\"\n\
             [secrets]\ndb = {{ env = \"DB_PASSWORD\" }}\n[strategy]\nrole = \"web\"\nbatches = [\"100%\"]\n\
             [[rollout]]\nid = \"{step}\"\nuses = \"std/{step}\"\nwith = {{ {with} }}\nsecrets = [\"db\"]\n"
        ),
    );
}

/// Runs the plan while somebody looks at the arguments of all processes.
fn watched(project: &Project) -> Ran {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut looks = 0_u32;
            while !done.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").unwrap().flatten() {
                    let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let arguments = String::from_utf8_lossy(&arguments).into_owned();
                    assert!(!arguments.contains(PASSWORD), "{arguments}");
                }
                looks += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            looks
        });
        let ran = project.lock_and_exec();
        done.store(true, Ordering::Relaxed);
        assert!(watcher.join().unwrap() > 5, "nobody looked");
        ran
    })
}

/// Nothing that a run has left, here or there, holds the password.
fn seen_nowhere(project: &Project, host: &Host, ran: &Ran) {
    assert!(!format!("{ran}").contains(PASSWORD), "the output says it");
    let home = host.outside(PathBuf::from(if runs_as_root() { "/home" } else { "/nowhere" }));
    let found = Command::new("grep")
        .args(["-rlaF", PASSWORD])
        .args([project.path(".runner"), project.path("plan.lock"), host.outside(host.root()), home])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "files with the password");
}

fn dumped_and_read_back(kind: Kind) {
    // The other one's own tools would show the password to this one's watcher.
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(server) = Server::start(kind) else { return };
    let fleet = fleet_or_skip!(Fleet::start(1));
    let (mut project, host) = (Project::new(&fleet), fleet.host(1));
    project.env.push(("DB_PASSWORD".to_owned(), PASSWORD.to_owned()));
    let (root, login) = (host.root().display().to_string(), server.login());
    server.fill("shop");
    let rows = server.rows("shop");
    assert!(
        rows[0].contains(&"00ff27225c0a0d1a".to_uppercase()) || rows[0].contains("00ff27225c0a0d1a"),
        "{rows:?}"
    );

    plan(&project, "db-backup", &format!("databases = [\"shop\"], {login}, to = \"{root}/dumps\""));
    let first = watched(&project);
    assert_eq!(first.code, Some(0), "{first}");
    seen_nowhere(&project, host, &first);
    let dumps = || -> Vec<PathBuf> {
        let folder = fs::read_dir(host.outside(host.root().join("dumps"))).unwrap();
        let mut files: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
        files.sort();
        files
    };
    assert_eq!(dumps().len(), 1, "{:?}", dumps());
    // Dumps of PostgreSQL say when they were made, so that none is like another.
    if kind == Kind::MariaDb {
        let again = project.exec();
        assert_eq!(again.code, Some(0), "{again}");
        assert_eq!(dumps().len(), 1, "the same data are not kept twice");
    }

    // A database that has something in it is refused, and kept when the plan says so.
    server.sql(
        "shop",
        "DELETE FROM orders WHERE id = 1; UPDATE orders SET who = 'changed'; CREATE TABLE extra (id INT)",
    );
    let changed = server.sql("shop", "SELECT COUNT(*) FROM orders");
    let restore = format!("database = \"shop\", {login}, from = \"{root}/dumps\"");
    plan(&project, "db-restore", &restore);
    let refused = watched(&project);
    refused.must_say(4, &["has something in it"]);
    assert_eq!(server.sql("shop", "SELECT COUNT(*) FROM orders"), changed);
    plan(&project, "db-restore", &format!("{restore}, replace = true, safety = \"{root}/before\""));
    let restored = watched(&project);
    assert_eq!(restored.code, Some(0), "{restored}");
    seen_nowhere(&project, host, &restored);
    assert_eq!(server.rows("shop"), rows, "row by row");
    assert_eq!(fs::read_dir(host.outside(host.root().join("before"))).unwrap().count(), 1);
    if kind == Kind::MariaDb {
        let again = project.exec();
        assert_eq!(again.code, Some(0), "{again}");
        assert!(!again.effects().iter().any(|effect| effect.contains("drop")), "it is the same: {again}");
    }

    // Into one that is new.
    plan(
        &project,
        "db-restore",
        &format!("database = \"copy\", name = \"shop\", {login}, from = \"{root}/dumps\""),
    );
    let copied = project.lock_and_exec();
    assert_eq!(copied.code, Some(0), "{copied}");
    assert_eq!(server.rows("copy"), rows);

    // Half a dump is found before anything is dropped.
    let newest = dumps().pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    plan(&project, "db-restore", &format!("{restore}, replace = true"));
    let failed = project.lock_and_exec();
    failed.must_say(4, &["is damaged"]);
    assert_eq!(server.rows("shop"), rows, "nothing was dropped");

    // A password that is wrong says so, and leaves no dump.
    project.env.pop();
    project.env.push(("DB_PASSWORD".to_owned(), "not-the-password".to_owned()));
    let count = dumps().len();
    plan(&project, "db-backup", &format!("databases = [\"shop\"], {login}, to = \"{root}/dumps\""));
    let failed = project.lock_and_exec();
    failed.must_say(4, &["is not dumped"]);
    assert_eq!(dumps().len(), count, "{:?}", dumps());
}

#[test]
fn a_database_of_mariadb_comes_back_row_by_row() {
    dumped_and_read_back(Kind::MariaDb);
}

#[test]
fn a_database_of_postgresql_comes_back_row_by_row() {
    dumped_and_read_back(Kind::Postgres);
}
