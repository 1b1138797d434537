//! What a person types in the place of a standard module, on the day when it must be done by hand. It needs no more on
//! targets than the runner does.
//!
//! This is the place for it until modules say it themselves; a module that is not here is explained by its summary and
//! its parameters alone.

mod clusters;
mod looks;
mod sources;

use super::shell::{Shell, join, plain, plains};
use runner_model::ServiceAction;
use runner_model::template::{Reference, ReleaseField, Template, ValueTemplate};

/// The modules that there are commands for.
#[cfg(test)]
pub(super) const KNOWN: [&str; 21] = [
    "package",
    "backup",
    "restore",
    "db-backup",
    "db-restore",
    "distribute",
    "switch",
    "restart",
    "smoke-test",
    "prune",
    "command",
    "files",
    "template",
    "cron",
    "user-command",
    "git-checkout",
    "build",
    "opcache-reset",
    "wait-for",
    "watch",
    "load-test",
];

/// The parameters of a step, with their defaults.
pub(super) struct Given<'a>(pub(super) &'a ValueTemplate);

impl Given<'_> {
    /// Text, or a number as text; `None`: it is not given.
    fn word(&self, name: &str) -> Option<Template> {
        match self.0.get(name)? {
            ValueTemplate::Text(text) => Some(text.clone()),
            ValueTemplate::Number(number) => Some(plain(&number.to_string())),
            _ => None,
        }
    }

    fn words(&self, name: &str) -> Vec<Template> {
        match self.0.get(name) {
            Some(ValueTemplate::Array(values)) => values
                .iter()
                .filter_map(|value| match value {
                    ValueTemplate::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            // A list that only the run knows.
            Some(ValueTemplate::Text(text)) => vec![text.clone()],
            _ => Vec::new(),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.word(name)?.as_text().map(str::to_owned)
    }

    fn is_true(&self, name: &str) -> bool {
        self.0.get(name) == Some(&ValueTemplate::Bool(true))
    }

    fn pairs(&self, name: &str) -> Vec<(String, Template)> {
        match self.0.get(name) {
            Some(ValueTemplate::Object(values)) => values
                .iter()
                .filter_map(|(name, value)| match value {
                    ValueTemplate::Text(text) => Some((name.clone(), text.clone())),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// The file that `package` leaves for `distribute`.
const FILE: &str = "release.tar.gz";

/// The lines for a standard module; `None`: nobody wrote any.
pub(super) fn lines(module: &str, given: &Given<'_>, shell: &Shell<'_>) -> Option<Vec<String>> {
    if let Some(lines) = clusters::lines(module, given, shell) {
        return Some(lines);
    }
    let root = given.word("root").unwrap_or_default();
    let below = |path: &str| join(&[&root, &plain(path)]);
    let id = || match given.word("release") {
        Some(id) if id.as_text() != Some("previous") => id,
        _ => Template::reference(Reference::Release(ReleaseField::Id)),
    };
    let release = || join(&[&below("/releases/"), &id()]);
    Some(match module {
        "package" => {
            let mut tar = plains(&["tar", "-czf", FILE, "--exclude-vcs-ignores"]);
            tar.extend(given.words("exclude").iter().map(|pattern| join(&[&plain("--exclude="), pattern])));
            tar.push(plain("-C"));
            tar.push(given.word("source")?);
            tar.push(plain("."));
            vec![shell.here(&tar)]
        }
        "backup" if given.word("root").is_none() => {
            let folder = join(&[&given.word("to")?, &plain("/"), &given.word("name")?]);
            let mut commands = vec![vec![plain("mkdir"), plain("-p"), folder.clone()]];
            for (number, path) in (1..).zip(given.words("paths")) {
                let file = join(&[&folder, &plain(&format!("/{number}.tar.gz"))]);
                commands.push(vec![plain("tar"), plain("-czf"), file, plain("-C"), path, plain(".")]);
            }
            vec!["# a path that is a file: without `-C`".to_owned(), shell.there(&commands)]
        }
        "db-backup" | "db-restore" => {
            let databases = match module {
                "db-backup" => given.words("databases"),
                _ => given.word("database").into_iter().collect(),
            };
            let mut lines = vec!["# the password is asked for:".to_owned()];
            for (key, dump, load) in [
                ("mariadb", "mariadb-dump", "mariadb"),
                ("mysql", "mysqldump", "mysql"),
                ("postgresql", "pg_dump", "pg_restore"),
            ] {
                let Some(server @ ValueTemplate::Object(_)) = given.0.get(key) else { continue };
                let program = if module == "db-backup" { dump } else { load };
                for database in &databases {
                    let mut argv = plains(&[program]);
                    let options = match (key, module) {
                        ("postgresql", "db-backup") => &["--password", "--format=custom"][..],
                        ("postgresql", _) => &["--password", "--single-transaction"],
                        (_, "db-backup") => &["--password", "--single-transaction", "--routines", "--events"],
                        _ => &["--password"],
                    };
                    argv.extend(plains(options));
                    let names = [("host", "host"), ("port", "port"), ("socket", "socket")];
                    let user = if key == "postgresql" { "username" } else { "user" };
                    for (name, option) in names.into_iter().chain([("user", user)]) {
                        if let Some(value) = Given(server).word(name) {
                            argv.push(join(&[&plain(&format!("--{option}=")), &value]));
                        }
                    }
                    let named = if key == "postgresql" { plain("--dbname=") } else { plain("") };
                    argv.push(join(&[&named, database]));
                    let way = if module == "db-backup" { '>' } else { '<' };
                    lines.push(format!("{} {way} {}.dump", shell.there(&[argv]), shell.word(database)));
                }
            }
            lines
        }
        "restore" => {
            let archive = match (given.word("archive"), given.word("from"), given.word("name")) {
                (Some(archive), ..) => archive,
                (None, Some(from), Some(name)) => join(&[&from, &plain("/"), &name, &plain("-TIME")]),
                _ => return None,
            };
            let back = |archive: Template, path: Template| {
                let aside = vec![plain("mv"), path.clone(), join(&[&path, &plain(".before")])];
                let mkdir = vec![plain("mkdir"), path.clone()];
                let tar = vec![plain("tar"), plain("-xpf"), archive, plain("-C"), path];
                shell.there(&[aside, mkdir, tar])
            };
            match given.word("to") {
                Some(to) => vec![back(archive, to)],
                None => (1..)
                    .zip(given.words("paths"))
                    .map(|(number, path)| back(join(&[&archive, &plain(&format!("/{number}.tar.gz"))]), path))
                    .collect(),
            }
        }
        "backup" => {
            let folder = given.word("to").unwrap_or_else(|| below("/backups"));
            let file = join(&[&folder, &plain("/before-"), &id(), &plain(".tar.gz")]);
            let mkdir = vec![plain("mkdir"), plain("-p"), folder];
            let tar = vec![plain("tar"), plain("-czf"), file, plain("-C"), below("/current/"), plain(".")];
            vec!["# not where nothing is live yet".to_owned(), shell.there(&[mkdir, tar])]
        }
        "distribute" => {
            let mkdir = vec![plain("mkdir"), plain("-p"), release()];
            let tar = vec![plain("tar"), plain("-xzf"), plain("-"), plain("-C"), release()];
            let mut lines = vec![format!("{} < {FILE}", shell.there(&[mkdir, tar]))];
            for shared in given.words("shared") {
                let (name, folder) = match shared.as_text().and_then(|text| text.strip_suffix('/')) {
                    Some(name) => (plain(name), true),
                    None => (shared, false),
                };
                let (from, to) =
                    (join(&[&below("/shared/"), &name]), join(&[&release(), &plain("/"), &name]));
                let mut commands = Vec::new();
                if folder {
                    commands.push(vec![plain("mkdir"), plain("-p"), from.clone()]);
                }
                commands.push(vec![plain("rm"), plain("-rf"), to.clone()]);
                commands.push(vec![plain("ln"), plain("-s"), from, to]);
                lines.push(shell.there(&commands));
            }
            lines
        }
        "switch" => {
            let mut lines = Vec::new();
            if given.text("release").as_deref() == Some("previous") {
                lines.push("# RELEASE_ID is the good release before the live one; newest first:".to_owned());
                lines.push(shell.there(&[vec![plain("ls"), plain("-1t"), below("/releases")]]));
            }
            let to = join(&[&plain("releases/"), &id()]);
            let link = vec![plain("ln"), plain("-sfn"), to, below("/current.new")];
            let rename = vec![plain("mv"), plain("-T"), below("/current.new"), below("/current")];
            lines.push(shell.there(&[link, rename]));
            lines
        }
        "restart" => {
            let unit = given.word("unit")?;
            let action = given.text("action").unwrap_or_else(|| "restart".to_owned());
            let known: Option<ServiceAction> = serde_json::from_value(action.as_str().into()).ok();
            let command = match (&shell.target.service_command, known, unit.as_text()) {
                (Some(own), Some(action), Some(unit)) => {
                    own.argv(unit, action).iter().map(|word| plain(word)).collect()
                }
                _ => vec![plain("systemctl"), plain(&action), unit],
            };
            vec![shell.there(&[command])]
        }
        "smoke-test" => looks::smoke_test(given, shell)?,
        "wait-for" | "watch" => looks::wait_for(module, given, shell)?,
        "load-test" => looks::load_test(given, shell)?,
        "git-checkout" => sources::git_checkout(given, shell)?,
        "build" => sources::build(given, shell)?,
        "opcache-reset" => {
            let (socket, script) = (given.word("socket")?, given.word("script")?);
            let mut ask = plains(&["env", "REQUEST_METHOD=GET"]);
            ask.push(join(&[&plain("SCRIPT_FILENAME="), &script]));
            ask.extend(plains(&["cgi-fcgi", "-bind", "-connect"]));
            ask.push(socket);
            let write = shell.there(&[vec![plain("tee"), script.clone()]]);
            vec![
                format!("echo '<?php opcache_reset();' | {write}"),
                shell.there(&[ask, vec![plain("rm"), plain("-f"), script]]),
            ]
        }
        "user-command" => {
            let Some(ValueTemplate::Array(commands)) = given.0.get("commands") else { return None };
            commands.iter().flat_map(|one| command(&Given(one), shell)).collect()
        }
        "prune" => {
            let keep = given.text("keep").unwrap_or_else(|| "KEEP".to_owned());
            let live = shell.there(&[vec![plain("readlink"), below("/current")]]);
            let list = shell.there(&[vec![plain("ls"), plain("-1t"), below("/releases")]]);
            let remove = shell.there(&[vec![plain("rm"), plain("-rf"), below("/releases/NAME")]]);
            vec![
                live,
                list,
                format!(
                    "# newest first; {keep} good ones stay, and always the live one. For each other one:"
                ),
                remove,
            ]
        }
        "command" => command(given, shell),
        "template" => {
            let to = given.word("to")?;
            let what = match given.word("source") {
                Some(source) => shell.word(&source),
                None => "the template in `content`".to_owned(),
            };
            let mut commands = vec![vec![plain("tee"), to.clone()]];
            for (name, command) in [("mode", "chmod"), ("owner", "chown"), ("group", "chgrp")] {
                commands.extend(given.word(name).map(|value| vec![plain(command), value, to.clone()]));
            }
            vec![
                format!("# {what} with its variables filled in, as `filled`:"),
                format!("{} < filled", shell.there(&commands)),
            ]
        }
        "files" => files(given, shell),
        "cron" => {
            let file = join(&[&given.word("dir")?, &plain("/"), &given.word("name")?]);
            if given.is_true("absent") {
                return Some(vec![shell.there(&[vec![plain("rm"), plain("-f"), file]])]);
            }
            let (schedule, user) = (given.word("schedule")?, given.word("user")?);
            let line = join(&[&schedule, &plain(" "), &user, &plain(" "), &given.word("command")?]);
            let mut words = vec![plain("printf"), plain("%s\\n")];
            words.extend(
                given.pairs("env").iter().map(|(name, value)| join(&[&plain(&format!("{name}=")), value])),
            );
            words.push(line);
            vec![format!("{} | {}", shell.here(&words), shell.there(&[vec![plain("tee"), file]]))]
        }
        _ => return None,
    })
}

/// A command, after its check.
fn command(given: &Given<'_>, shell: &Shell<'_>) -> Vec<String> {
    // `cd` would be no command for sudo.
    let mut around = Vec::new();
    let (folder, variables) = (given.word("directory"), given.pairs("env"));
    if folder.is_some() || !variables.is_empty() {
        around.push(plain("env"));
    }
    around.extend(folder.into_iter().flat_map(|folder| [plain("-C"), folder]));
    around.extend(variables.iter().map(|(name, value)| join(&[&plain(&format!("{name}=")), value])));
    let command = |argv: Vec<Template>| [around.clone(), argv].concat();
    let mut lines = Vec::new();
    if let Some(path) = given.word("creates") {
        lines.push("# when this is there, there is nothing to do:".to_owned());
        lines.push(shell.there(&[vec![plain("ls"), plain("-d"), path]]));
    }
    let check = given.words("skip-if");
    if !check.is_empty() {
        lines.push("# when this ends well, there is nothing to do:".to_owned());
        lines.push(shell.there(&[command(check)]));
    }
    let typed = given.word("stdin").map(|text| format!("printf %s {} | ", shell.word(&text)));
    lines.push(typed.unwrap_or_default() + &shell.there(&[command(given.words("argv"))]));
    lines
}

/// Entry by entry.
fn files(given: &Given<'_>, shell: &Shell<'_>) -> Vec<String> {
    let Some(ValueTemplate::Array(entries)) = given.0.get("files") else { return Vec::new() };
    let mut lines = Vec::new();
    for entry in entries.iter().map(Given) {
        let Some(path) = entry.word("path") else { continue };
        let on_path = |words: &[&str]| [plains(words), vec![path.clone()]].concat();
        let mut commands = Vec::new();
        let mut input = String::new();
        if let Some(text) = entry.word("content") {
            input = format!("printf %s {} | ", shell.word(&text));
            commands.push(on_path(&["tee"]));
        } else if let Some(source) = entry.word("source") {
            input = format!("cat {} | ", shell.word(&source));
            commands.push(on_path(&["tee"]));
        } else if let Some(to) = entry.word("link-to") {
            commands.push(vec![plain("ln"), plain("-sfn"), to, path.clone()]);
        } else if entry.is_true("folder") {
            commands.push(on_path(&["mkdir", "-p"]));
        } else if entry.is_true("absent") {
            commands.push(on_path(if entry.is_true("recursive") { &["rm", "-rf"] } else { &["rm", "-df"] }));
        }
        for (name, command) in [("mode", "chmod"), ("owner", "chown"), ("group", "chgrp")] {
            commands.extend(entry.word(name).map(|value| vec![plain(command), value, path.clone()]));
        }
        lines.push(input + &shell.there(&commands));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::source::standard;
    use runner_model::inventory::{ConnectionKind, SshSettings};
    use runner_model::{Acting, Target};
    use serde_json::{Value, json};

    fn typed(module: &str, given: &Value) -> Option<Vec<String>> {
        let (ssh, used) = (SshSettings::default(), Default::default());
        let target = Target { connection: ConnectionKind::Ssh, ..Target::localhost() };
        let acting = Acting::As("app".parse().expect("a name"));
        let given = ValueTemplate::parse(given).expect("well formed");
        lines(module, &Given(&given), &Shell { target: &target, ssh: &ssh, acting, used: &used })
    }

    #[test]
    fn no_standard_module_is_forgotten() {
        let given = json!({
            "root": "/srv", "source": "app", "unit": "x", "url": "http://x/", "argv": ["/bin/x"], "to": "/x", "archive": "/a",
            "files": [{ "path": "/x", "folder": true }],
            "dir": "/d", "name": "x", "schedule": "@daily", "user": "root", "command": "true",
            "commands": [{ "argv": ["a"] }], "socket": "/s", "script": "/s.php", "repository": "r", "commit": "c",
            "backend": "shop", "file": "/etc/nginx/shop.conf", "server": "10.0.0.1:80", "test": ["/usr/sbin/nginx", "-t"],
            "path": "/srv/up", "leave": ["/opt/lb", "out"], "join": ["/opt/lb", "in"],
            "folder": "/b", "requests": 1, "concurrency": 1,
        });
        for name in standard() {
            assert!(
                KNOWN.contains(&name) || clusters::KNOWN.contains(&name),
                "say in `by_hand` what a person types for `{name}`"
            );
        }
        for name in KNOWN.into_iter().chain(clusters::KNOWN) {
            assert!(typed(name, &given).is_some_and(|lines| !lines.is_empty()), "{name}");
        }
        assert_eq!(typed("unknown", &given), None);
    }

    #[test]
    fn what_a_person_types_acts_as_the_user_of_the_step() {
        let command = json!({
            "argv": ["/bin/x", "two words"], "directory": "/srv/a b", "env": { "A": "$HOME" }, "stdin": "yes",
            "skip-if": ["/bin/done"],
        });
        let lines = typed("command", &command).expect("it is known").join("\n");
        insta::assert_snapshot!(lines, @r#"
        # when this ends well, there is nothing to do:
        ssh localhost 'sudo -n -u app env -C '\''/srv/a b'\'' '\''A=$HOME'\'' /bin/done'
        printf %s yes | ssh localhost 'sudo -n -u app env -C '\''/srv/a b'\'' '\''A=$HOME'\'' /bin/x '\''two words'\'''
        "#);
        let lines = typed("switch", &json!({ "root": "/srv", "release": "previous" })).expect("it is known");
        insta::assert_snapshot!(lines.join("\n"), @r#"
        # RELEASE_ID is the good release before the live one; newest first:
        ssh localhost 'sudo -n -u app ls -1t /srv/releases'
        ssh localhost "sudo -n -u app ln -sfn releases/${RELEASE_ID} /srv/current.new && sudo -n -u app mv -T /srv/current.new /srv/current"
        "#);
        let entries = json!({ "files": [
            { "path": "/etc/a", "content": "it's", "mode": "0600", "owner": "root", "group": "adm" },
            { "path": "/etc/b c", "source": "conf/b" },
            { "path": "/etc/d", "link-to": "${target.name}" },
            { "path": "/etc/e", "absent": true, "recursive": false },
        ] });
        insta::assert_snapshot!(typed("files", &entries).expect("it is known").join("\n"), @r#"
        printf %s 'it'\''s' | ssh localhost 'sudo -n -u app tee /etc/a && sudo -n -u app chmod 0600 /etc/a && sudo -n -u app chown root /etc/a && sudo -n -u app chgrp adm /etc/a'
        cat conf/b | ssh localhost 'sudo -n -u app tee '\''/etc/b c'\'''
        ssh localhost "sudo -n -u app ln -sfn ${TARGET_NAME} /etc/d"
        ssh localhost 'sudo -n -u app rm -df /etc/e'
        "#);
        let request = json!({ "url": "https://x.org/", "connect-to": "${target.address}", "timeout": "5s" });
        insta::assert_snapshot!(typed("smoke-test", &request).expect("it is known").join("\n"), @r#"
        curl -sS -i --max-time 5 --connect-to "::${TARGET_ADDRESS}:" https://x.org/
        # must answer 200
        "#);
    }
}
