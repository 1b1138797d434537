//! What the imports of a module prove: what it can do at all, and above all what it cannot.
//!
//! A component calls nothing that it does not import, and unused functions are left out one by one when it is built.
//! So this holds whatever its code does, and before any grant.

use super::imports::Imports;

/// What a module could do with every grant there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Changes files of targets.
    pub writes: bool,
    /// Reads files of targets, or copies them to the runner.
    pub reads: bool,
    /// Runs commands.
    pub runs_commands: bool,
    /// Asks the init system.
    pub asks_services: bool,
    /// Speaks to sockets on targets.
    pub speaks_to_sockets: bool,
    /// Speaks HTTP.
    pub speaks_http: bool,
    /// Reads files beside the plan.
    pub reads_workspace: bool,
    /// Writes files beside the plan.
    pub writes_workspace: bool,
    /// Uses other targets than its own.
    pub names_targets: bool,
    /// Uses secrets, without seeing them.
    pub uses_secrets: bool,
    /// Its language's runtime imports WASI, with nothing behind it.
    pub wasi: bool,
}

impl Reach {
    /// What these imports prove.
    pub fn of(imports: &Imports) -> Self {
        let any = |names: &[&str]| imports.functions.iter().any(|has| names.contains(&has.as_str()));
        Self {
            writes: any(&[
                "targets.target.write",
                "targets.target.write-secret",
                "targets.target.put",
                "targets.target.mkdir",
                "targets.target.symlink",
                "targets.target.rename",
                "targets.target.remove",
                "targets.target.remove-tree",
                "targets.target.set-attributes",
                "targets.target.unpack",
                "targets.target.archive",
                "targets.target.unarchive",
                "commands.command.stdout-to",
            ]),
            reads: any(&[
                "targets.target.stat",
                "targets.target.read-dir",
                "targets.target.read-link",
                "targets.target.read",
                "targets.target.digest",
                "targets.target.fetch",
                "targets.target.archive",
                "targets.target.unarchive",
                "commands.command.stdin-file",
                "releases.all",
                "releases.previous",
            ]),
            runs_commands: any(&["commands.command.run"]),
            asks_services: any(&["targets.target.service"]),
            speaks_to_sockets: any(&["sockets.exchange"]),
            speaks_http: any(&["http.request.send", "http.request.download"]),
            reads_workspace: any(&[
                "workspace.stat",
                "workspace.read-dir",
                "workspace.read",
                "workspace.digest",
                "artifacts.pack",
            ]),
            writes_workspace: any(&["workspace.write", "artifacts.artifact.save"]),
            names_targets: any(&["targets.named"]),
            uses_secrets: any(&["secrets.get"]),
            wasi: imports.wasi,
        }
    }

    /// Each ability and whether the module has it, in the order in which people care.
    pub fn abilities(&self) -> [(&'static str, bool); 10] {
        [
            ("write files on targets", self.writes),
            ("run commands", self.runs_commands),
            ("speak to sockets on targets", self.speaks_to_sockets),
            ("speak HTTP", self.speaks_http),
            ("control services", self.asks_services),
            ("read files on targets", self.reads),
            ("write files beside the plan", self.writes_workspace),
            ("read files beside the plan", self.reads_workspace),
            ("use other targets", self.names_targets),
            ("use secrets", self.uses_secrets),
        ]
    }

    /// "cannot write files on targets, cannot run commands"; `None` when it can do everything.
    pub fn cannot(&self) -> Option<String> {
        let cannot: Vec<_> = self
            .abilities()
            .into_iter()
            .filter(|(_, can)| !can)
            .map(|(ability, _)| format!("cannot {ability}"))
            .collect();
        (!cannot.is_empty()).then(|| cannot.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::signature::contract;

    #[test]
    fn what_is_not_imported_cannot_be_done() {
        let imports = Imports {
            functions: vec!["log.info".to_owned(), "targets.target.read".to_owned()],
            wasi: false,
            ..Imports::default()
        };
        let reach = Reach::of(&imports);
        assert!(reach.reads && !reach.writes);
        let cannot = reach.cannot().expect("it cannot do much");
        assert!(
            cannot.starts_with(
                "cannot write files on targets, cannot run commands, cannot speak to sockets on targets"
            ),
            "{cannot}"
        );
    }

    #[test]
    fn every_function_of_the_contract_is_an_ability_or_free() {
        // What is free: the step's own surroundings, builders, and what only narrows.
        let free = |name: &str| {
            name.starts_with("log.")
                || name.starts_with("run-info.")
                || name.starts_with("timer.")
                || name.starts_with("secrets.secret.")
                || (name.starts_with("commands.command.") && name != "commands.command.run")
                || (name.starts_with("http.request.")
                    && !name.ends_with(".send")
                    && !name.ends_with(".download"))
                || [
                    "targets.current",
                    "targets.target.name",
                    "targets.target.fact",
                    "targets.target.disk-free",
                    "targets.target.service-is-active",
                    "artifacts.open",
                    "artifacts.from-bytes",
                    "artifacts.artifact.digest",
                    "artifacts.artifact.size",
                    "artifacts.artifact.bytes",
                ]
                .contains(&name)
        };
        for (interface, offered) in &contract().interfaces {
            for function in offered.functions.keys() {
                let name = crate::module::imports::readable(interface, function);
                let alone =
                    Reach::of(&Imports { functions: vec![name.clone()], wasi: false, ..Imports::default() });
                let can = alone.abilities().iter().any(|(_, can)| *can);
                assert!(can || free(&name), "nobody says what `{name}` lets a module do");
            }
        }
    }
}
