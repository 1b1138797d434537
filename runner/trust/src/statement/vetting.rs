//! A vetting: reviewed by somebody, with a ceiling, until some day.

use super::{StatementError, VETTING, read};
use jiff::Timestamp;
use runner_model::Digest;
use runner_model::grant::{FileGrant, GrantError, GrantSet, HttpGrant, SecretGrant, SshGrant};
use runner_model::pattern::NamePattern;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Somebody reviewed a module.
#[derive(Debug, Clone, PartialEq)]
pub struct Vetting {
    /// The component.
    pub component: Digest,
    /// What people call it: its name and version, for whoever reads the statement. Nothing is decided by it.
    pub name: Option<String>,
    /// Who reviewed it: a name that the signing key stands for.
    pub reviewer: String,
    /// When.
    pub reviewed_at: Timestamp,
    /// From when on the review does not count.
    pub expires: Timestamp,
    /// What a step of it may be granted at most.
    pub ceiling: GrantSet,
    /// What the reviewer has to say.
    pub note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Predicate {
    reviewer: String,
    reviewed_at: Timestamp,
    expires: Timestamp,
    ceiling: Lists,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Texts of grants. All four lists are there, so that an empty one was meant.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    ssh: Vec<String>,
    files: Vec<String>,
    http: Vec<String>,
    secrets: Vec<String>,
}

impl Vetting {
    /// Reads a vetting.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let (subject, predicate) = read::of_kind::<Predicate>(bytes, VETTING)?;
        let vetting = Self {
            component: subject.digest,
            name: subject.name,
            reviewer: predicate.reviewer,
            reviewed_at: predicate.reviewed_at,
            expires: predicate.expires,
            ceiling: predicate.ceiling.read()?,
            note: predicate.note,
        };
        vetting.check()?;
        Ok(vetting)
    }

    /// The text to sign, and to keep as it is.
    ///
    /// # Errors
    /// What could not be read again.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StatementError> {
        self.check()?;
        let predicate = Predicate {
            reviewer: self.reviewer.clone(),
            reviewed_at: self.reviewed_at,
            expires: self.expires,
            ceiling: Lists::of(&self.ceiling),
            note: self.note.clone(),
        };
        let bytes = read::write((self.name.as_deref(), &self.component), VETTING, predicate);
        Self::parse(&bytes).map(|_| bytes)
    }

    fn check(&self) -> Result<(), StatementError> {
        check_name("reviewer", &self.reviewer)?;
        for (field, text) in [("name", &self.name), ("note", &self.note)] {
            text.as_deref().map_or(Ok(()), |text| read::text(field, text))?;
        }
        if self.expires <= self.reviewed_at {
            return Err(StatementError::NeverValid { reviewed: self.reviewed_at, expires: self.expires });
        }
        Ok(())
    }
}

/// Refuses what is not the name of one person.
fn check_name(field: &'static str, name: &str) -> Result<(), StatementError> {
    match name.parse::<NamePattern>() {
        Ok(pattern) if pattern.is_literal() => Ok(()),
        Ok(_) => Err(StatementError::Text { field, why: "is a pattern, and must be one name".to_owned() }),
        Err(error) => Err(StatementError::Text { field, why: format!("is no name: {error}") }),
    }
}

impl Lists {
    fn of(grants: &GrantSet) -> Self {
        fn texts(grants: &[impl ToString]) -> Vec<String> {
            grants.iter().map(ToString::to_string).collect()
        }
        Self {
            ssh: texts(&grants.ssh),
            files: texts(&grants.files),
            http: texts(&grants.http),
            secrets: texts(&grants.secrets),
        }
    }

    fn read(self) -> Result<GrantSet, StatementError> {
        Ok(GrantSet {
            ssh: list(self.ssh, SshGrant::is_symbolic)?,
            files: list(self.files, FileGrant::is_symbolic)?,
            http: list(self.http, HttpGrant::is_symbolic)?,
            secrets: list(self.secrets, SecretGrant::is_symbolic)?,
        })
    }
}

fn list<T: FromStr<Err = GrantError>>(
    texts: Vec<String>,
    is_symbolic: fn(&T) -> bool,
) -> Result<Vec<T>, StatementError> {
    let one = |text: String| match text.parse::<T>() {
        Ok(grant) if is_symbolic(&grant) => Err(StatementError::Symbolic(text)),
        Ok(grant) => Ok(grant),
        Err(error) => Err(StatementError::Grant(error)),
    };
    texts.into_iter().map(one).collect()
}
