//! What to type after a run: the command that was given, for all of its targets or for some.

use runner_model::{RunId, TargetName};

/// How the run was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Again {
    /// The plan, the environment and the variables, as they were given.
    pub which: Vec<String>,
    /// What `--limit` said.
    pub limit: Option<String>,
    /// The targets that it is for, in the order of the inventory.
    pub rollout: Vec<TargetName>,
}

/// With more names than this in it, a command is not worth typing.
const NAMES_MAX: usize = 40;

impl Again {
    /// The same again.
    pub(crate) fn all(&self) -> String {
        self.line("exec", self.limit.as_deref().map(|limit| ["--limit", limit]))
    }

    /// Only these targets of those that it was for; `None` where that is all of them, none, or too many to name.
    pub(crate) fn only(&self, targets: &[&TargetName]) -> Option<String> {
        let wanted = |name: &&TargetName| targets.contains(name);
        let rest: Vec<&str> = self.rollout.iter().filter(wanted).map(TargetName::as_str).collect();
        if rest.is_empty() || rest.len() == self.rollout.len() || rest.len() > NAMES_MAX {
            return None;
        }
        Some(self.line("exec", Some(["--limit", &rest.join(",")])))
    }

    /// What does the same by hand on a target.
    pub(crate) fn by_hand(&self, target: Option<&TargetName>) -> String {
        let target = target.filter(|target| self.rollout.contains(target));
        self.line("explain", target.map(|target| ["--target", target.as_str()]))
    }

    /// Going on with a run, or undoing it.
    pub(crate) fn resume(&self, run: &RunId, undo: bool) -> String {
        let plan = self.which.first().map(String::as_str).filter(|plan| *plan != "plan.toml");
        let plan = plan.into_iter().flat_map(|plan| ["--plan", plan]);
        let words = ["runner", "resume", run.as_str()].into_iter().chain(undo.then_some("--undo"));
        shell_words::join(words.chain(plan))
    }

    fn line(&self, command: &str, more: Option<[&str; 2]>) -> String {
        let words = ["runner", command].into_iter().chain(self.which.iter().map(String::as_str));
        shell_words::join(words.chain(more.into_iter().flatten()))
    }
}

/// What views know of a run beside its events.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// What the closed journal is known by.
    pub seal: super::Seal,
    /// How it was asked for.
    pub again: Option<Again>,
    /// Its trace, where one is sent.
    pub trace: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(limit: Option<&str>) -> Again {
        Again {
            which: ["plan.toml", "--environment", "staging", "--var", "note=a b"].map(str::to_owned).to_vec(),
            limit: limit.map(str::to_owned),
            rollout: ["web-1", "web-2", "web-3"].map(|name| name.parse().unwrap()).to_vec(),
        }
    }

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let all = again(Some("web-[1-3],!x")).all();
        assert_eq!(
            all,
            "runner exec plan.toml --environment staging --var 'note=a b' --limit 'web-[1-3],!x'"
        );
        assert_eq!(shell_words::split(&all).unwrap().last().unwrap(), "web-[1-3],!x");
    }

    #[test]
    fn some_targets_replace_the_limit_and_others_are_left_out() {
        let name = |name: &str| name.parse::<TargetName>().unwrap();
        let (one, lb, two, three) = (name("web-1"), name("lb"), name("web-2"), name("web-3"));
        let again = again(Some("web"));
        let only = again.only(&[&three, &lb, &one]).unwrap();
        assert!(only.ends_with(" --limit web-1,web-3"), "{only}");
        assert_eq!(again.only(&[&one, &two, &three]), None);
        assert_eq!(again.only(&[&lb]), None);
        assert!(again.by_hand(Some(&two)).ends_with(" --target web-2"));
        assert!(again.by_hand(Some(&lb)).ends_with("'note=a b'"));
    }
}
