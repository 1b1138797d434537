//! The grants of commands that log in, as a module declares them. They are the words of `server.rs`, with parameters:
//! what is spelled differently there is denied.

/// The grants of a module: some as they are, then for each command those of every server and of every way to log in.
/// `read: ["mariadb-dump", "mysqldump"] "--no-data ${database}", "pg_dump" "--schema-only"` stands for ten grants.
#[macro_export]
macro_rules! grants {
    ([$($plain:literal),* $(,)?] $($class:literal: [$mariadb:literal, $mysql:literal] $sql:literal, $postgresql:literal $rest:literal;)*) => {
        &[
            $($plain,)*
            $(
                concat!("exec-", $class, ":MYSQL_PWD=* ", $mariadb, " --no-defaults --protocol=tcp --host=${mariadb.host} --port=${mariadb.port} --user=${mariadb.user} ", $sql),
                concat!("exec-", $class, ":MYSQL_PWD=* ", $mariadb, " --no-defaults --socket=${mariadb.socket} --user=${mariadb.user} ", $sql),
                concat!("exec-", $class, ":", $mariadb, " --no-defaults --socket=${mariadb.socket} --user=${mariadb.user} ", $sql),
                concat!("exec-", $class, ":MYSQL_PWD=* ", $mysql, " --no-defaults --protocol=tcp --host=${mysql.host} --port=${mysql.port} --user=${mysql.user} ", $sql),
                concat!("exec-", $class, ":MYSQL_PWD=* ", $mysql, " --no-defaults --socket=${mysql.socket} --user=${mysql.user} ", $sql),
                concat!("exec-", $class, ":", $mysql, " --no-defaults --socket=${mysql.socket} --user=${mysql.user} ", $sql),
                concat!("exec-", $class, ":PGPASSWORD=* ", $postgresql, " --no-password --host=${postgresql.host} --port=${postgresql.port} --username=${postgresql.user} ", $rest),
                concat!("exec-", $class, ":", $postgresql, " --no-password --host=${postgresql.host} --port=${postgresql.port} --username=${postgresql.user} ", $rest),
            )*
        ]
    };
}
