//! What a policy leaves of grants, as far as that is known before the run.

use super::ask::Ask;
use super::bound::Choice;
use super::denial::{Denial, Layer};
use super::layers::{ban, covers};
use super::set::{GrantSet, List};
use super::ssh::{Actions, Verb};
use crate::policy::{Ceiling, EnvironmentPolicy};
use crate::{RemotePath, ServiceAction};

/// A grant of which a policy leaves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The list that it is in.
    pub list: List,
    /// The grant.
    pub grant: String,
    /// Which part of the policy refuses it, and what mends it there.
    pub denial: Denial,
}

/// The grants of which the policy leaves nothing: `deny` covers them as a whole, or nothing in `allow`, or in a ceiling of
/// the module, overlaps with them. What has references of the run or stars in it is left to the run. `narrowed`: the step's own `allow`; what it
/// leaves out is not the policy's doing.
pub(crate) fn lost(
    grants: &GrantSet,
    narrowed: Option<&GrantSet>,
    policy: &EnvironmentPolicy,
    ceilings: &[Ceiling],
) -> Vec<Lost> {
    let mut lost = Vec::new();
    let mut look = |list: List, grant: String, single: &GrantSet| {
        let of_the_step = |asks: &[Ask<'_>]| {
            narrowed.is_none_or(|narrowed| overlap(single, narrowed, asks))
                // Whom a step becomes is not up to its `allow`.
                || asks.iter().any(|ask| matches!(ask, Ask::As(_)))
        };
        let denial = with_asks(single, |asks| {
            if asks.is_empty() || !of_the_step(asks) { None } else { refused(single, asks, policy, ceilings) }
        });
        lost.extend(denial.map(|denial| Lost { list, grant, denial }));
    };
    for grant in &grants.ssh {
        let single = GrantSet { ssh: vec![grant.clone()], ..GrantSet::default() };
        look(List::Ssh, grant.to_string(), &single);
    }
    for grant in &grants.files {
        let single = GrantSet { files: vec![grant.clone()], ..GrantSet::default() };
        look(List::Files, grant.to_string(), &single);
    }
    for grant in &grants.http {
        let single = GrantSet { http: vec![grant.clone()], ..GrantSet::default() };
        look(List::Http, grant.to_string(), &single);
    }
    for grant in &grants.secrets {
        let single = GrantSet { secrets: vec![grant.clone()], ..GrantSet::default() };
        look(List::Secrets, grant.to_string(), &single);
    }
    lost
}

/// Why the policy, or a ceiling, refuses every one of the asks.
fn refused(
    grant: &GrantSet,
    asks: &[Ask<'_>],
    policy: &EnvironmentPolicy,
    ceilings: &[Ceiling],
) -> Option<Denial> {
    let bans: Option<Vec<String>> = asks.iter().map(|ask| ban(&policy.deny, ask)).collect();
    let first = asks.first()?;
    if let Some(ban) = bans.as_ref().and_then(|bans| bans.first()) {
        return Some(Denial::banned(first, &policy.environment, &policy.file, ban));
    }
    let allow = policy.allow.iter().map(|allow| {
        (Layer::Policy { environment: policy.environment.clone(), file: policy.file.clone() }, allow)
    });
    let ceilings = ceilings.iter().map(|ceiling| (Layer::ceiling(ceiling), &ceiling.grants));
    let (layer, _) = allow.chain(ceilings).find(|(_, allowed)| !overlap(grant, allowed, asks))?;
    Some(Denial::not_granted(first, layer, None))
}

/// Whether a single grant and others have something in common. A grant of others that is not known yet counts as if.
fn overlap(single: &GrantSet, others: &GrantSet, asks: &[Ask<'_>]) -> bool {
    let either = |a: &RemotePath, b: &RemotePath| a.is_within(b) || b.is_within(a);
    let later = others.ssh.iter().any(super::SshGrant::is_symbolic)
        || others.files.iter().any(super::FileGrant::is_symbolic)
        || others.http.iter().any(super::HttpGrant::is_symbolic);
    later
        || asks.iter().any(|ask| covers(others, ask))
        || single.ssh.iter().any(|grant| {
            let others = &others.ssh;
            grant.reads().is_some_and(|path| {
                others.iter().filter_map(super::SshGrant::reads).any(|other| either(path, other))
            }) || grant.writes().is_some_and(|path| {
                others.iter().filter_map(super::SshGrant::writes).any(|other| either(path, other))
            })
        })
        || single.files.iter().any(|grant| {
            let same = |other: &&super::FileGrant| other.0.write == grant.0.write;
            others.files.iter().filter(same).any(|other| match (grant.0.path.now(), other.0.path.now()) {
                (Some(a), Some(b)) => a.is_within(b) || b.is_within(a),
                _ => true,
            })
        })
        || single.http.iter().any(|grant| others.http.iter().any(|other| grant.0.overlaps(&other.0)))
}

/// Calls with the asks that stand for all that a single grant covers: of a prefix, the prefix itself. None where that
/// is known in the run only.
fn with_asks<T>(single: &GrantSet, call: impl FnOnce(&[Ask<'_>]) -> T) -> T {
    if let [grant] = single.ssh.as_slice() {
        return match &grant.0 {
            Verb::Read(path) => match path.now() {
                Some(path) => call(&[Ask::Read(path)]),
                None => call(&[]),
            },
            Verb::Write(path) => match path.now() {
                Some(path) => call(&[Ask::Write(path)]),
                None => call(&[]),
            },
            Verb::Socket { class, path } => match path.now() {
                Some(path) => call(&[Ask::Socket { class: *class, path }]),
                None => call(&[]),
            },
            Verb::Service { unit: Choice::Is(unit), actions } => match unit.now().map(ToString::to_string) {
                Some(unit) => call(&services(&unit, *actions)),
                None => call(&[]),
            },
            Verb::Target(Choice::Is(name)) => match name.now() {
                Some(name) => call(&[Ask::Target(name)]),
                None => call(&[]),
            },
            Verb::As(Choice::Is(user)) => match user.now() {
                Some(user) => call(&[Ask::As(user)]),
                None => call(&[]),
            },
            Verb::Exec(exec) => match exec.only_command() {
                Some((argv, env)) => call(&[Ask::Exec { class: exec.class, argv: &argv, env: &env }]),
                None => call(&[]),
            },
            Verb::Service { .. } | Verb::Target(_) | Verb::As(_) => call(&[]),
        };
    }
    if let [grant] = single.files.as_slice() {
        return match grant.0.path.now() {
            Some(path) => call(&[Ask::File { write: grant.0.write, path: path.as_str() }]),
            None => call(&[]),
        };
    }
    if let [grant] = single.secrets.as_slice() {
        return match grant.0.spelled_out() {
            Some((name, source)) => call(&[Ask::Secret { name, source }]),
            None => call(&[]),
        };
    }
    match single.http.as_slice() {
        [grant] => grant.0.with_ask(call),
        _ => call(&[]),
    }
}

fn services(unit: &str, actions: Actions) -> Vec<Ask<'_>> {
    const ALL: [ServiceAction; 5] = [
        ServiceAction::Start,
        ServiceAction::Stop,
        ServiceAction::Restart,
        ServiceAction::Reload,
        ServiceAction::ReloadOrRestart,
    ];
    match actions {
        Actions::Any => ALL.map(|action| Ask::Service { unit, action }).to_vec(),
        Actions::IsActive => vec![Ask::ServiceState { unit }],
        Actions::Is(action) => vec![Ask::Service { unit, action }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ssh: &[&str], files: &[&str], http: &[&str]) -> GrantSet {
        GrantSet::from_lists(ssh.iter().copied(), files.iter().copied(), http.iter().copied())
            .expect("grants")
    }

    fn policy(allow: Option<GrantSet>, deny: GrantSet) -> EnvironmentPolicy {
        let environment = "staging".parse().expect("a name");
        EnvironmentPolicy { allow, deny, ..EnvironmentPolicy::open(environment, "policy.toml") }
    }

    fn names(lost: &[Lost]) -> Vec<&str> {
        lost.iter().map(|lost| lost.grant.as_str()).collect()
    }

    #[test]
    fn what_deny_covers_as_a_whole_is_lost() {
        let grants = set(
            &[
                "write:/srv/shop/current",
                "read:/srv",
                "service:nginx restart",
                "service:php-fpm *",
                "as:root",
                "exec-read:df -P /srv",
                "exec-read:du *",
            ],
            &["read:src", "write:out"],
            &["GET http://shop.example.org/health", "GET http://other.example.org/"],
        );
        let deny = set(
            &[
                "write:/srv/shop",
                "read:/srv/shop",
                "service:nginx *",
                "service:php-fpm stop",
                "as:root",
                "exec-opaque:/bin/df **",
                "exec-read:du **",
            ],
            &["read:."],
            &["GET http://shop.example.org/"],
        );
        let lost = lost(&grants, None, &policy(None, deny), &[]);
        // A part of `/srv`, most of what php-fpm may be asked, and whatever `du` gets to see are left to the run.
        assert_eq!(
            names(&lost),
            [
                "write:/srv/shop/current",
                "service:nginx restart",
                "as:root",
                "exec-read:df -P /srv",
                "read:src",
                "GET http://shop.example.org/health",
            ]
        );
        assert!(lost[1].denial.to_string().contains("denies `service:nginx *`"), "{}", lost[1].denial);
        assert!(lost[1].denial.mend.contains("policy.toml"));
    }

    #[test]
    fn what_overlaps_with_nothing_in_allow_is_lost() {
        let grants = set(
            &["write:/srv/shop", "read:/srv/shop", "service:nginx restart", "as:root"],
            &[],
            &["GET http://shop.example.org/", "POST http://shop.example.org/"],
        );
        let allow = set(
            &["write:/srv/shop/releases", "read:/etc", "service:nginx *"],
            &[],
            &["GET http://shop.example.org/health"],
        );
        let lost = lost(&grants, None, &policy(Some(allow), GrantSet::default()), &[]);
        assert_eq!(names(&lost), ["read:/srv/shop", "as:root", "POST http://shop.example.org/"]);
        assert!(lost[0].denial.mend.contains("[environment.staging]"), "{}", lost[0].denial.mend);
    }

    #[test]
    fn what_is_known_in_the_run_only_is_left_to_it() {
        let grants = set(
            &["write:/srv/${target.name}", "service:* restart", "exec-read:ls ${copy.path}"],
            &[],
            &["GET http://${target.address}/"],
        );
        let none = policy(Some(GrantSet::default()), GrantSet::default());
        assert!(lost(&grants, None, &none, &[]).is_empty());
    }

    #[test]
    fn what_the_step_left_out_itself_is_not_the_doing_of_the_policy() {
        let grants = set(&["service:nginx restart", "service:nginx reload", "as:root"], &[], &[]);
        let narrowed = set(&["service:nginx reload"], &[], &[]);
        let deny = set(&["service:nginx restart", "as:root"], &[], &[]);
        let lost = lost(&grants, Some(&narrowed), &policy(None, deny), &[]);
        assert_eq!(names(&lost), ["as:root"]);
    }

    #[test]
    fn what_a_ceiling_leaves_out_is_lost_and_names_the_reviewer() {
        let grants = set(&["write:/srv/shop", "service:nginx restart", "as:root"], &[], &[]);
        let ceiling = |ssh: &[&str]| Ceiling {
            grants: set(ssh, &[], &[]),
            vetting: crate::Digest::of("a vetting"),
            reviewer: "security@example.org".to_owned(),
        };
        let open = policy(None, GrantSet::default());
        let wide = ceiling(&["write:/srv", "service:* *", "as:root"]);
        assert!(lost(&grants, None, &open, std::slice::from_ref(&wide)).is_empty());
        // With two of them, both count.
        let lost = lost(&grants, None, &open, &[wide, ceiling(&["write:/srv/shop/releases", "as:root"])]);
        assert_eq!(names(&lost), ["service:nginx restart"]);
        insta::assert_snapshot!(format!("{}\n{}", lost[0].denial, lost[0].denial.mend));
    }
}
