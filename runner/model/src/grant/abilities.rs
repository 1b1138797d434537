//! What a module asks for, in words: for `inspect`, before any plan binds it.

use super::capability::{Capabilities, Capability, Shape};
use super::parameter::Parameter;
use super::words::{Atom, Word};
use super::{files, shell, ssh};

/// What a module asks for, and what it does without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Abilities {
    /// For each capability: what it lets the module do.
    pub can: Vec<String>,
    /// What no capability is about: "run commands".
    pub cannot: Vec<&'static str>,
}

/// Kinds of things that a module can do.
const KINDS: [&str; 10] = [
    "read on targets",
    "write on targets",
    "ask services",
    "run commands",
    "speak to sockets",
    "use other targets",
    "read files beside the plan",
    "write files beside the plan",
    "speak HTTP",
    "use secrets",
];

impl Capabilities {
    /// What the module asks for, in words.
    ///
    /// ```
    /// use runner_model::grant::{Capabilities, Capability, List};
    ///
    /// let capability = Capability::parse(List::Ssh, "exec-${effect}:${argv...}").unwrap();
    /// let abilities = Capabilities::new([capability]).abilities();
    /// assert_eq!(abilities.can, ["runs whatever command the plan names: `exec-${effect}:${argv...}` (equals a shell)"]);
    /// assert!(abilities.cannot.contains(&"speak HTTP"));
    /// ```
    pub fn abilities(&self) -> Abilities {
        let can = self.iter().map(ability).collect();
        let kinds: Vec<&str> = self.iter().map(kind).collect();
        Abilities { can, cannot: KINDS.into_iter().filter(|kind| !kinds.contains(kind)).collect() }
    }
}

fn kind(capability: &Capability) -> &'static str {
    match &capability.shape {
        Shape::Ssh(ssh::Shape::Path { write: false, .. }) => "read on targets",
        Shape::Ssh(ssh::Shape::Path { write: true, .. }) => "write on targets",
        Shape::Ssh(ssh::Shape::Service { .. }) => "ask services",
        Shape::Ssh(ssh::Shape::Exec { .. }) => "run commands",
        Shape::Ssh(ssh::Shape::Socket { .. }) => "speak to sockets",
        Shape::Ssh(ssh::Shape::Target(_) | ssh::Shape::As(_)) => "use other targets",
        Shape::Files(files::Shape { write: false, .. }) => "read files beside the plan",
        Shape::Files(files::Shape { write: true, .. }) => "write files beside the plan",
        Shape::Http(_) => "speak HTTP",
        Shape::Secrets(_) => "use secrets",
    }
}

fn ability(capability: &Capability) -> String {
    let does = match &capability.shape {
        Shape::Ssh(ssh::Shape::Path { write: false, .. }) => "reads on targets",
        Shape::Ssh(ssh::Shape::Path { write: true, .. }) => "writes on targets",
        Shape::Ssh(ssh::Shape::Service { .. }) => "asks services",
        Shape::Ssh(ssh::Shape::Target(_) | ssh::Shape::As(_)) => "uses other targets",
        Shape::Ssh(ssh::Shape::Socket { .. }) => "speaks to sockets on targets",
        Shape::Ssh(ssh::Shape::Exec { argv, .. }) => match program(argv) {
            Program::OfThePlan => {
                return format!("runs whatever command the plan names: `{capability}` (equals a shell)");
            }
            Program::RunsOthers => return format!("runs commands: `{capability}` (equals a shell)"),
            Program::Plain => "runs commands",
        },
        Shape::Files(files::Shape { write: false, .. }) => "reads files beside the plan",
        Shape::Files(files::Shape { write: true, .. }) => "writes files beside the plan",
        Shape::Http(_) => "sends requests",
        Shape::Secrets(_) => "uses secrets that the plan gives it, without seeing them",
    };
    format!("{does}: `{capability}`")
}

enum Program {
    /// A parameter names it.
    OfThePlan,
    /// It runs what it is told, or what follows it is open.
    RunsOthers,
    /// Neither.
    Plain,
}

fn program(argv: &[Word<Parameter>]) -> Program {
    let open = argv.last().is_some_and(|last| matches!(last.as_slice(), [Atom::Star, Atom::Star]));
    match argv.first().map(Vec::as_slice) {
        Some([Atom::Text(program)]) if open || shell::runs_programs(program) => Program::RunsOthers,
        Some([Atom::Text(_)]) => Program::Plain,
        Some([Atom::Star, Atom::Star]) => Program::RunsOthers,
        _ => Program::OfThePlan,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::List;

    #[test]
    fn a_module_says_what_it_can_and_what_it_cannot() {
        let declared = [
            (List::Ssh, "read:${root}"),
            (List::Ssh, "write:${root}/current"),
            (List::Ssh, "service:${unit} ${action}"),
            (List::Ssh, "exec-read:df -P ${root}"),
            (List::Ssh, "exec-read:${env...} df"),
            (List::Ssh, "exec-read:sh -c 'true'"),
            (List::Ssh, "exec-read:df **"),
            (List::Http, "GET ${url}"),
        ];
        let capabilities = declared.map(|(list, text)| Capability::parse(list, text).expect(text));
        let abilities = Capabilities::new(capabilities).abilities();
        insta::assert_snapshot!(abilities.can.join("\n"), @r"
        reads on targets: `read:${root}`
        writes on targets: `write:${root}/current`
        asks services: `service:${unit} ${action}`
        runs commands: `exec-read:df -P ${root}`
        runs whatever command the plan names: `exec-read:${env...} df` (equals a shell)
        runs commands: `exec-read:sh -c 'true'` (equals a shell)
        runs commands: `exec-read:df **` (equals a shell)
        sends requests: `GET ${url}`
        ");
        insta::assert_snapshot!(abilities.cannot.join("\n"), @r"
        speak to sockets
        use other targets
        read files beside the plan
        write files beside the plan
        use secrets
        ");
        assert_eq!(Capabilities::default().abilities().cannot.len(), KINDS.len());
    }
}
