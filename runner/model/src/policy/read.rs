//! Reads a policy's file.

use super::{ANY, ModuleRules, RegistryPrefix, Section, SigstoreIdentity, Trust, VERSION};
use crate::diagnostic::Code;
use crate::grant::{GrantError, GrantSet};
use crate::pattern::NamePattern;
use crate::read::{Item, Reader, Table};
use crate::source::Spanned;
use crate::{Digest, EnvironmentName};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What the file says: whom to believe, and each environment.
pub(super) fn file(reader: &Reader, table: Table<'_>) -> (Trust, BTreeMap<String, Section>) {
    reader.version(&table, "policy", VERSION);
    let own = table.take("trust");
    let given = own.as_ref().map(|item| trust(reader, item)).unwrap_or_default();
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
                    modules: table
                        .take("modules")
                        .and_then(|item| modules(reader, &item, entry.name, &given)),
                };
                table.finish(reader, &[]);
                sections.insert(entry.name.to_owned(), section);
            }
        }
    }
    if let Some(item) = own {
        is_used(reader, &item, &given, &sections);
    }
    table.finish(reader, &[]);
    (given, sections)
}

fn trust(reader: &Reader, item: &Item<'_>) -> Trust {
    let Some(table) = reader.table(item, "`[trust]`") else { return Trust::default() };
    let file = |key| table.take(key).and_then(|item| reader.line(&item)).map(|file| file.value);
    let given = Trust {
        allowed_signers: file("allowed-signers"),
        sigstore_root: file("sigstore-root"),
        revoked: table
            .take("revoked")
            .and_then(|item| reader.list::<Digest>(&item, "a list of digests"))
            .unwrap_or_default()
            .into_iter()
            .map(|digest| digest.value)
            .collect(),
    };
    table.finish(reader, &[]);
    given
}

fn modules(reader: &Reader, item: &Item<'_>, section: &str, trust: &Trust) -> Option<ModuleRules> {
    let table = reader.table(item, "`modules`")?;
    // Whom to believe is said once: a list of names without it could be fulfilled by nobody.
    let believed = |key, file: &Option<String>, needs: &str, since: &str| {
        let item = table.take(key)?;
        if file.is_none() {
            let message = format!("`{}` needs `{needs}` in `[trust]`", item.name);
            reader.push(
                reader
                    .problem(Code::Missing, item.key, message)
                    .because(since)
                    .hint(format!("write `[trust]` with `{needs} = \"FILE\"`, relative to this file")),
            );
        }
        Some(item)
    };
    let signers =
        |key| believed(key, &trust.allowed_signers, "allowed-signers", "it says whose keys are whose");
    let roots = believed(
        "sigstore",
        &trust.sigstore_root,
        "sigstore-root",
        "it says whose certificates and logs are believed",
    );
    let names = |item: Item<'_>| -> Option<Vec<NamePattern>> {
        let listed = reader.list::<NamePattern>(&item, "a list of names of signers")?;
        Some(listed.into_iter().map(|name| name.value).collect())
    };
    let rules = ModuleRules {
        section: section.to_owned(),
        registries: table
            .take("registries")
            .and_then(|item| reader.list::<RegistryPrefix>(&item, "a list of registries"))
            .map(|listed| listed.into_iter().map(|prefix| prefix.value).collect()),
        files: table.take("files").and_then(|item| reader.boolean(&item)).map(|said| said.value),
        signed_by: signers("signed-by").and_then(names),
        sigstore: roots.and_then(|item| identities(reader, &item)),
        vetted_by: signers("vetted-by").and_then(names),
    };
    table.finish(reader, &[]);
    Some(rules)
}

fn identities(reader: &Reader, item: &Item<'_>) -> Option<Vec<SigstoreIdentity>> {
    let listed = reader.array(item, "a list of identities")?;
    let identity = |element: &Item<'_>| {
        let table = reader.table(element, "an identity")?;
        let issuer = table
            .require(reader, "issuer", "\"https://accounts.example.org\"")
            .and_then(|item| reader.line(&item));
        let identity = table
            .require(reader, "identity", "\"*@example.org\"")
            .and_then(|item| reader.parsed::<NamePattern>(&item, "a name"));
        table.finish(reader, &[]);
        Some(SigstoreIdentity { issuer: issuer?.value, identity: identity?.value })
    };
    Some(listed.iter().filter_map(identity).collect())
}

/// Reports what was named and is never asked: whoever wrote it believes that it holds.
fn is_used(reader: &Reader, item: &Item<'_>, trust: &Trust, sections: &BTreeMap<String, Section>) {
    let asked = |asks: fn(&ModuleRules) -> bool| {
        sections.values().any(|section| section.modules.as_ref().is_some_and(asks))
    };
    let signers = asked(|rules| rules.signed_by.is_some() || rules.vetted_by.is_some());
    let roots = asked(|rules| rules.sigstore.is_some());
    for (named, asked, key, by) in [
        (&trust.allowed_signers, signers, "allowed-signers", "`signed-by` or `vetted-by`"),
        (&trust.sigstore_root, roots, "sigstore-root", "`sigstore`"),
    ] {
        if named.is_some() && !asked {
            reader.push(
                reader
                    .problem(Code::Unused, item.key, format!("nothing uses `{key}`"))
                    .because("by itself it asks nothing of any module")
                    .hint(format!("write {by} in `modules` of an environment, or take it out")),
            );
        }
    }
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
