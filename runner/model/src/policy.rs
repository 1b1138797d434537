//! The operator's policy: a file outside every repository that narrows what any plan may do. It cannot widen anything.
//!
//! ```toml
//! policy = 1
//!
//! [environment.production]
//! allow = { ssh = ["read:/srv", "write:/srv", "service:* reload"], http = ["GET https://shop.example.org/"] }
//! deny  = { ssh = ["write:/srv/shop/shared/keys"] }
//!
//! [environment."*"]                # environments without a section of their own
//! deny = { ssh = ["exec-opaque:**"] }
//! ```
//!
//! - Where there is no file, nothing is narrowed. Where there is one, an environment that it does not speak of is refused:
//!   a misspelled name must not lift the rules.
//! - `allow` left out narrows nothing. Where it is given, a list that is left out in it is empty and denies.
//! - `deny` wins over every `allow`, and the one of `"*"` holds in every environment. It is read more widely than a grant:
//!   the class of an effect, the variables of a command, the folder of its program and where a request is sent from do
//!   not matter, and acting on a whole folder is denied when something below it is.
//!
//! ```
//! use runner_model::policy::Policy;
//!
//! let text = "policy = 1\n[environment.production]\ndeny = { ssh = [\"write:/etc\"] }\n";
//! let policy = Policy::parse("policy.toml", text.as_bytes()).unwrap();
//! assert!(policy.environment(&"production".parse().unwrap()).is_ok());
//! assert!(policy.environment(&"staging".parse().unwrap()).is_err());
//! ```

use crate::diagnostic::{Code, Problems};
use crate::grant::{GrantError, GrantSet, Lost, lost};
use crate::lock::{LockedEnvironment, LockedStep};
use crate::plan::InventoryCommand;
use crate::read::{Item, Reader, Table, text_of};
use crate::resolved::Resolved;
use crate::source::Spanned;
use crate::{EnvironmentName, Failure, FailureKind, StepId};
use std::collections::BTreeMap;
use std::str::FromStr;

/// The version of the language that this runner knows.
const VERSION: i64 = 1;

/// The section of environments that have none of their own.
const ANY: &str = "*";

/// A policy's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    file: String,
    sections: BTreeMap<String, Section>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Section {
    allow: Option<GrantSet>,
    deny: GrantSet,
    inventory_commands: Option<bool>,
}

/// What a policy says of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentPolicy {
    /// The environment.
    pub environment: EnvironmentName,
    /// The policy's file, for messages.
    pub file: String,
    /// What is allowed at most; `None`: `deny` alone counts.
    pub allow: Option<GrantSet>,
    /// What is denied, whatever allows it.
    pub deny: GrantSet,
    /// Whether the inventory may come from a program that runs on this machine.
    pub inventory_commands: bool,
}

/// A policy that does not speak of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operator's policy in {file} does not speak of the environment `{environment}`")]
pub struct NoSection {
    /// The environment.
    pub environment: EnvironmentName,
    /// The policy's file.
    pub file: String,
}

impl NoSection {
    /// What mends it.
    pub fn hint(&self) -> String {
        let name = self.environment.as_str();
        format!(
            "the operator would have to add `[environment.{name}]`, or `[environment.\"*\"]` for all others"
        )
    }
}

/// A grant of a step of which a policy leaves nothing: the step could only fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The step.
    pub step: StepId,
    /// The grant, and why.
    pub lost: Lost,
}

impl EnvironmentPolicy {
    /// Why the inventory may not come from this program, and what mends it; `None`: it may.
    pub fn refuses_command(&self, command: &InventoryCommand) -> Option<Failure> {
        if self.inventory_commands {
            return None;
        }
        let what = format!("run `{command}` for the inventory of `{}`", self.environment);
        let why = format!("{what}: the operator's policy in {} has `inventory-commands = false`", self.file);
        Some(Failure::new(FailureKind::Denied, why).with_detail(
            "name a file: `inventory = \"hosts.json\"`, and let whoever may run the program write it",
        ))
    }

    /// The grants of a locked plan of which this policy leaves nothing, in the order of the plan. What depends on the
    /// run, or is denied in part, is left to the run.
    pub fn refuses(&self, resolved: &Resolved, locked: &LockedEnvironment) -> Vec<Refused> {
        let of = |step: &LockedStep| {
            let narrowed = resolved.step(&step.id).and_then(|step| step.allow.as_ref());
            let id = step.id.clone();
            lost(&step.grants, narrowed, self).into_iter().map(move |lost| Refused { step: id.clone(), lost })
        };
        locked.steps.iter().flat_map(of).collect()
    }
}

impl From<NoSection> for Failure {
    fn from(error: NoSection) -> Self {
        Self::new(FailureKind::Denied, &error).with_detail(error.hint())
    }
}

impl Policy {
    /// Reads a policy. `name`: the file as messages name it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        let reader = Reader::new(text_of(name, bytes)?);
        let sections = reader.document("a policy", file);
        let policy = sections.map(|sections| Self { file: name.to_owned(), sections });
        reader.into_problems().or(policy).map(|(policy, _)| policy)
    }

    /// What it says of an environment.
    ///
    /// # Errors
    /// Nothing at all.
    pub fn environment(&self, environment: &EnvironmentName) -> Result<EnvironmentPolicy, NoSection> {
        let any = self.sections.get(ANY);
        let Some(own) = self.sections.get(environment.as_str()).or(any) else {
            return Err(NoSection { environment: environment.clone(), file: self.file.clone() });
        };
        let mut deny = own.deny.clone();
        if let Some(any) = any {
            deny.ssh.extend(any.deny.ssh.iter().cloned());
            deny.files.extend(any.deny.files.iter().cloned());
            deny.http.extend(any.deny.http.iter().cloned());
            deny.secrets.extend(any.deny.secrets.iter().cloned());
        }
        Ok(EnvironmentPolicy {
            environment: environment.clone(),
            file: self.file.clone(),
            allow: own.allow.clone(),
            deny,
            inventory_commands: own.inventory_commands != Some(false)
                && any.is_none_or(|any| any.inventory_commands != Some(false)),
        })
    }
}

fn file(reader: &Reader, table: Table<'_>) -> BTreeMap<String, Section> {
    reader.version(&table, "policy", VERSION);
    let mut sections = BTreeMap::new();
    if let Some(item) = table.take("environment") {
        for entry in reader.entries(&item) {
            if entry.name != ANY && reader.named::<EnvironmentName>(&entry).is_none() {
                continue;
            }
            if let Some(table) = reader.table(&entry, "an environment") {
                let section = Section {
                    allow: table.take("allow").and_then(|item| grants(reader, &item)),
                    deny: table.take("deny").and_then(|item| grants(reader, &item)).unwrap_or_default(),
                    inventory_commands: table
                        .take("inventory-commands")
                        .and_then(|item| reader.boolean(&item))
                        .map(|said| said.value),
                };
                table.finish(reader, &[]);
                sections.insert(entry.name.to_owned(), section);
            }
        }
    }
    table.finish(reader, &[]);
    sections
}

fn grants(reader: &Reader, item: &Item<'_>) -> Option<GrantSet> {
    let table = reader.table(item, "a list of grants")?;
    let set = GrantSet {
        ssh: list(reader, &table, "ssh", crate::grant::SshGrant::is_symbolic),
        files: list(reader, &table, "files", crate::grant::FileGrant::is_symbolic),
        http: list(reader, &table, "http", crate::grant::HttpGrant::is_symbolic),
        secrets: list(reader, &table, "secrets", crate::grant::SecretGrant::is_symbolic),
    };
    table.finish(reader, &[]);
    Some(set)
}

fn list<T: FromStr<Err = GrantError>>(
    reader: &Reader,
    table: &Table<'_>,
    key: &'static str,
    is_symbolic: fn(&T) -> bool,
) -> Vec<T> {
    let Some(item) = table.take(key) else { return Vec::new() };
    let elements = reader.array(&item, "a list of grants").unwrap_or_default();
    elements.iter().filter_map(|element| grant(reader, &reader.string(element)?, is_symbolic)).collect()
}

fn grant<T: FromStr<Err = GrantError>>(
    reader: &Reader,
    text: &Spanned<String>,
    is_symbolic: fn(&T) -> bool,
) -> Option<T> {
    match text.value.parse::<T>() {
        Ok(grant) if is_symbolic(&grant) => {
            let problem = reader.problem(Code::BadReference, text.span, "a policy has no references");
            reader.push(problem.because("it holds for every plan").hint("spell the value out"));
            None
        }
        Ok(grant) => Some(grant),
        Err(error) => {
            reader.push(reader.problem(Code::BadValue, text.span, error.to_string()).maybe_hint(error.hint));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        Policy::parse("policy.toml", text.as_bytes()).expect_err(text).plain()
    }

    #[test]
    fn everything_wrong_is_reported_together_with_what_helps() {
        insta::assert_snapshot!(problems(
            r#"
policy = 1
[environment.production]
alow = { ssh = [] }
deny = { shh = [], ssh = ["wriet:/etc", "write:${release.root}", 5], http = ["GET ftp://x"] }
[environment."a b"]
[enviroment.staging]
"#
        ), @r"
        policy.toml:4:1: unknown key `alow` (not a key of an environment)
          hint: did you mean `allow`?
        policy.toml:5:10: unknown key `shh` (not a key of a list of grants)
          hint: did you mean `ssh`?
        policy.toml:5:27: `wriet:/etc` is not a grant: there is no verb `wriet`
          hint: did you mean `write:`?
        policy.toml:5:41: a policy has no references (it holds for every plan)
          hint: spell the value out
        policy.toml:5:66: `ssh` must be a string, not a whole number
        policy.toml:5:78: `GET ftp://x` is not a grant: `ftp://x` is not a URL for a request: it must begin with `http://` or `https://`
        policy.toml:6:14: `a b` cannot be the name of an environment: only letters, digits, `-` and `_` are allowed
        policy.toml:7:2: unknown key `enviroment` (not a key of a policy)
          hint: did you mean `environment`?
        ");
        insta::assert_snapshot!(problems("[environment.production]"), @r"
        policy.toml:1:1: `policy = 1` is missing (it says in which version of the language the file is written)
          hint: write `policy = 1` as the first line
        ");
        insta::assert_snapshot!(problems("policy = 2"), @r"
        policy.toml:1:10: this runner knows version 1 of `policy` only
          hint: the file was written for a newer runner: install that one
        ");
    }

    #[test]
    fn what_is_for_all_is_a_fallback_except_for_what_it_denies() {
        let policy = Policy::parse(
            "policy.toml",
            br#"
policy = 1
[environment.production]
allow = { ssh = ["write:/srv"] }
deny = { ssh = ["write:/srv/keys"] }
[environment."*"]
allow = { ssh = ["write:/"] }
deny = { ssh = ["write:/etc"], http = ["POST http://x/"] }
"#,
        )
        .expect("well formed");
        let say = |name: &str| {
            let said = policy.environment(&name.parse().expect(name)).expect(name);
            (said.allow.expect("given").texts().len(), said.deny.texts().len(), said.environment.to_string())
        };
        assert_eq!(say("production"), (1, 3, "production".to_owned()));
        assert_eq!(say("staging"), (1, 4, "staging".to_owned()));
    }

    #[test]
    fn programs_for_inventories_can_be_denied_in_one_environment_or_in_all() {
        let command = InventoryCommand::new(vec!["./hosts.sh".to_owned()], Vec::new()).expect("fine");
        let refused = |text: &str, name: &str| {
            let policy =
                Policy::parse("policy.toml", format!("policy = 1\n{text}").as_bytes()).expect("fine");
            policy.environment(&name.parse().expect(name)).expect(name).refuses_command(&command)
        };
        assert_eq!(refused("[environment.staging]", "staging"), None);
        assert_eq!(refused("[environment.staging]\ninventory-commands = true", "staging"), None);
        let own = refused("[environment.staging]\ninventory-commands = false", "staging").expect("refused");
        insta::assert_snapshot!(own.message);
        let all = "[environment.staging]\ninventory-commands = true\n[environment.\"*\"]\ninventory-commands = false";
        assert!(refused(all, "staging").is_some() && refused(all, "production").is_some());
    }

    #[test]
    fn an_environment_that_is_not_spoken_of_is_refused() {
        let policy =
            Policy::parse("/etc/runner/policy.toml", b"policy = 1\n[environment.prodution]\n").expect("fine");
        let error = policy.environment(&"production".parse().expect("a name")).expect_err("misspelled");
        let failure = Failure::from(error);
        assert_eq!(failure.kind, FailureKind::Denied);
        insta::assert_snapshot!(format!("{}\n{}", failure.message, failure.detail), @r#"
        the operator's policy in /etc/runner/policy.toml does not speak of the environment `production`
        the operator would have to add `[environment.production]`, or `[environment."*"]` for all others
        "#);
        // An empty section says that nothing is narrowed.
        let said = policy.environment(&"prodution".parse().expect("a name")).expect("spoken of");
        assert_eq!((said.allow, said.deny.is_empty()), (None, true));
    }
}
