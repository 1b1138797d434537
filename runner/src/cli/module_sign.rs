//! `runner module sign`, `vet`, `revoke` and `verify`: who answers for a module.

use super::args::{Revoke, Sign, Verify, Vet};
use super::fail::Fail;
use super::files::write_whole;
use super::inspect::reference;
use super::load::{loader, policy, registries};
use super::module_share::unusable;
use super::{out, talk};
use crate::module::beside::with;
use crate::module::fetch::Registries;
use crate::module::find::{evidence, source_of};
use crate::module::judge::Judge;
use crate::module::source::{Origin, Source};
use crate::written::shown;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use runner_model::grant::GrantSet;
use runner_model::oci::{OciModule, Repository, Wanted};
use runner_model::text::shown as shown_text;
use runner_model::{Digest, ModuleRef};
use runner_trust::{MODULE_NAMESPACE, Revocation, Signed, VETTING_NAMESPACE, Vetting};
use std::path::Path;

fn signed(namespace: &str, message: &[u8], key: &Path) -> Result<String, Fail> {
    let mut say = |line: &str| talk(&format!("ssh-keygen: {}\n", shown_text(line)));
    runner_trust::sign(namespace, message, key, &mut say)
        .map_err(|error| Fail::usage(&error).hint(error.hint()))
}

/// Signs a component, and attaches that to what the registry has.
pub(super) fn attach_signature(
    registries: &Registries,
    repository: &Repository,
    manifest: &Digest,
    component: &[u8],
    key: &Path,
) -> Result<(), Fail> {
    let armored = signed(MODULE_NAMESPACE, component, key)?;
    let attached = registries
        .attach_signature(repository, manifest, armored)
        .map_err(|error| unusable(&repository.to_string(), &error.into()))?;
    talk(&format!("signed with {}: {repository}@{attached}\n", shown(key)));
    Ok(())
}

/// A module that somebody names, and where it comes from.
fn named(text: &str, registries: &Registries) -> Result<Source, Fail> {
    source_of(&reference(text)?, registries).map_err(|error| unusable(text, &error))
}

/// The same of one that somebody answers for. What a tag names is the registry's word, and could be something else than what
/// was built or read: of a registry it is named by its digest. Which component that is, is said before anything is signed.
fn answered_for(text: &str, registries: &Registries) -> Result<Source, Fail> {
    let source = named(text, registries)?;
    let what = format!("component {}", source.digest);
    if let (Origin::Registry { repository, pinned }, ModuleRef::Oci(OciModule { wanted, .. })) =
        (&source.origin, reference(text)?)
        && !matches!(wanted, Wanted::Manifest(_))
    {
        return Err(Fail::usage("who answers for a module of a registry names it by its digest")
            .detail(format!("`{}` is {what}", shown_text(text)))
            .hint(format_args!(
                "if that is the component which you have built or read, it is `oci:{repository}@{}`",
                pinned.manifest
            )));
    }
    talk(&format!("{what}\n"));
    Ok(source)
}

/// To the millisecond: of two statements within a second, one is the newer one.
fn now() -> Result<Timestamp, Fail> {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).map_err(Fail::internal)
}

fn of_the_runner() -> Fail {
    Fail::usage("the standard modules are a part of the runner, and go with it")
        .hint("`runner module verify builtin` holds them against what a release has published")
}

fn written(file: &Path, content: &[u8]) -> Result<(), Fail> {
    write_whole(file, content)
        .map_err(|error| Fail::internal(format_args!("cannot write `{}`: {error}", shown(file))))
}

pub(crate) fn sign(args: &Sign) -> Result<(), Fail> {
    let registries = registries();
    let source = answered_for(&args.module, &registries)?;
    match &source.origin {
        Origin::Builtin => Err(of_the_runner()),
        Origin::File(file) => {
            let to = with(file, ".sig");
            written(&to, signed(MODULE_NAMESPACE, &source.bytes, &args.key)?.as_bytes())?;
            out(&format!("{}\n", to.display()))
        }
        Origin::Registry { repository, pinned } => {
            attach_signature(&registries, repository, &pinned.manifest, &source.bytes, &args.key)
        }
    }
}

pub(crate) fn vet(args: &Vet) -> Result<(), Fail> {
    let registries = registries();
    let source = answered_for(&args.module, &registries)?;
    let module = loader()?.load(&source).map_err(|error| unusable(&args.module, &error))?;
    let expires = TimeZone::UTC.to_timestamp(args.expires.at(0, 0, 0, 0)).map_err(Fail::usage)?;
    let vetting = Vetting {
        component: source.digest,
        name: Some(format!("{} {}", module.manifest.name, module.manifest.version)),
        reviewer: args.reviewer.clone(),
        reviewed_at: now()?,
        expires,
        ceiling: GrantSet {
            ssh: args.ssh.clone(),
            files: args.files.clone(),
            http: args.http.clone(),
            secrets: args.secrets.clone(),
        },
        note: args.note.clone(),
    };
    let statement = vetting.to_bytes().map_err(Fail::usage)?;
    let signature = signed(VETTING_NAMESPACE, &statement, &args.key)?;
    publish(&args.module, &source, &registries, Signed { statement, signature: signature.into_bytes() })
}

/// Puts a statement where the module is. What it is called goes to stdout: that is what a revocation names.
fn publish(name: &str, source: &Source, registries: &Registries, signed: Signed) -> Result<(), Fail> {
    let id = signed.id();
    match &source.origin {
        Origin::Builtin => return Err(of_the_runner()),
        Origin::File(file) => {
            let statement = with(file, ".vetting.json");
            written(&statement, &signed.statement)?;
            written(&with(&statement, ".sig"), &signed.signature)?;
            talk(&format!("wrote `{}` and its signature\n", shown(&statement)));
        }
        Origin::Registry { repository, pinned } => {
            let attached = registries
                .attach_statement(repository, &pinned.manifest, signed)
                .map_err(|error| unusable(name, &error.into()))?;
            talk(&format!("attached to `{repository}@{}`: {attached}\n", pinned.manifest));
        }
    }
    out(&format!("{id}\n"))
}

pub(crate) fn revoke(args: &Revoke) -> Result<(), Fail> {
    let registries = registries();
    // Of a vetting the digest says which one; the module says only where that is.
    let source = match args.vetting {
        Some(_) => named(&args.module, &registries)?,
        None => answered_for(&args.module, &registries)?,
    };
    if !matches!(source.origin, Origin::Registry { .. }) {
        return Err(Fail::usage("a revocation is attached to a module in a registry").hint(
            "for a file, remove its vetting, and put the digest into `revoked` of the policy's `[trust]`",
        ));
    }
    let of = args.vetting.unwrap_or(source.digest);
    let statement =
        Revocation { of, reason: args.reason.clone(), revoked_at: now()? }.to_bytes().map_err(Fail::usage)?;
    let signature = signed(VETTING_NAMESPACE, &statement, &args.key)?;
    publish(&args.module, &source, &registries, Signed { statement, signature: signature.into_bytes() })
}

/// Whether the operator's policy of an environment lets a module be used, and why.
pub(crate) fn verify(args: &Verify) -> Result<(), Fail> {
    if args.against.is_some() {
        return Err(Fail::usage("what a release has published is about the standard modules")
            .hint("write `runner module verify builtin --against FILE`"));
    }
    let Some(environment) = &args.environment else {
        return Err(Fail::usage(
            "by whose rules? a module is verified for an environment of the operator's policy",
        )
        .hint("name it with `--environment`"));
    };
    let registries = registries();
    let source = named(&args.what, &registries)?;
    let Some(policy) = policy(environment)? else {
        return Err(Fail::refused("there is no policy of an operator that says whom to believe")
            .hint("`RUNNER_POLICY` names it, or it is runner/policy.toml in ~/.config or /etc"));
    };
    let judge = Judge::new(Some(&policy))?;
    let trusted = evidence(&source, &registries, true)
        .and_then(|evidence| judge.trusted(&source, &evidence))
        .map_err(|error| unusable(&args.what, &error))?
        .unwrap_or_default();
    let mut text = format!("{} may be used in `{environment}`, by {}\n", source.digest, policy.file);
    for signer in &trusted.signers {
        text.push_str(&format!("  signed by {}\n", shown_text(&signer.to_string())));
    }
    for identity in &trusted.identities {
        text.push_str(&format!("  signed with Sigstore by {identity}\n"));
    }
    for (id, vetting) in &trusted.vettings {
        let who = shown_text(&vetting.reviewer);
        text.push_str(&format!("  reviewed by {who} until {}, vetting {id}\n", vetting.expires));
        for (list, grant) in vetting.ceiling.texts() {
            text.push_str(&format!("    at most {} {}\n", list.key(), shown_text(&grant)));
        }
    }
    out(&text)
}
