//! What is asked of the targets, and what it means for a run.

use super::findings::{Finding, Findings, Level};
use crate::cli::asked::AT_ONCE;
use crate::host::{Connect as _, Connections};
use futures_util::{StreamExt as _, stream};
use runner_model::grant::SshGrant;
use runner_model::{Acting, Failure, FailureKind, Resolved, Target, UserName};
use runner_transport::{ActsAs, BETTER, Examination, Examined, PROGRAMS, Root};
use std::collections::{BTreeMap, BTreeSet};

const MIB: u64 = 1024 * 1024;
/// Below this nothing fits.
const LITTLE: u64 = 64 * MIB;
/// Below this a release may not fit.
const SCARCE: u64 = 512 * MIB;
const FEW_INODES: u64 = 1_000;
/// Seconds.
const SKEWED: u64 = 2;
const FAR_OFF: u64 = 30;
/// Channels that a run may open on a connection.
const CHANNELS: u32 = 8;

/// What the steps of a run do on a target.
#[derive(Default)]
struct Needs {
    /// The login user writes below the release root.
    writes: bool,
    users: BTreeMap<UserName, User>,
}

#[derive(Default)]
struct User {
    /// Verbs on paths, for which sudo must give a shell.
    paths: bool,
    commands: BTreeSet<Vec<String>>,
}

/// How many there are.
pub(super) fn count(resolved: &Resolved) -> usize {
    resolved.machines().len()
}

pub(super) async fn examine(findings: &mut Findings, resolved: &Resolved, connections: &Connections) {
    let targets = resolved.machines();
    findings.of_targets(targets.len());
    let asked = targets.into_iter().filter_map(|name| resolved.target(name)).map(|target| async move {
        let needs = needs(resolved, target);
        (target, ask(resolved, target, &needs, connections).await, needs)
    });
    let mut answers: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
    answers.sort_by(|one, other| one.0.name.cmp(&other.0.name));
    let mut examined = Vec::new();
    for (target, answer, needs) in answers {
        match answer {
            Ok(answer) => {
                judge(findings, target, &answer, &needs);
                examined.push(answer);
            }
            Err(failure) => findings.add(not_reached(target, &failure)),
        }
    }
    all_good(findings, &examined, resolved);
}

fn needs(resolved: &Resolved, target: &Target) -> Needs {
    let mut needs = Needs { writes: resolved.release.is_some(), ..Needs::default() };
    for step in resolved.uses().filter(|step| step.all_acted_on().contains(&target.name)) {
        let root = resolved.root(&target.name);
        let grants: Vec<&SshGrant> = step
            .grants
            .iter()
            .filter(|grants| grants.root.as_ref() == root)
            .flat_map(|grants| &grants.grants.ssh)
            .collect();
        let Acting::As(user) = resolved.acting(step, &target.name) else { continue };
        let user = needs.users.entry(user).or_default();
        user.paths |= grants.iter().any(|grant| grant.is_of_path());
        let services = grants.iter().filter_map(|grant| grant.service());
        user.commands.extend(services.map(|(unit, action)| match &target.service_command {
            Some(command) => command.argv(unit, action),
            None => ["systemctl", action.word(), "--", unit].map(str::to_owned).to_vec(),
        }));
    }
    needs
}

async fn ask(
    resolved: &Resolved,
    target: &Target,
    needs: &Needs,
    connections: &Connections,
) -> Result<Examined, Failure> {
    let users = needs.users.iter();
    let asked = Examination {
        root: resolved.root(&target.name).cloned(),
        users: users
            .map(|(name, user)| ActsAs {
                user: name.clone(),
                commands: user.commands.iter().cloned().collect(),
            })
            .collect(),
    };
    let connection = connections.connect(target).await?;
    let examined = connection.examine(&asked).await;
    connection.close().await;
    examined
}

/// The message without the target, so that the same trouble is the same; the target's own part is the detail.
fn not_reached(target: &Target, failure: &Failure) -> Finding {
    let start = format!("connect to {} (", target.name);
    let (place, why) = match failure.message.strip_prefix(&start).and_then(|rest| rest.split_once("): ")) {
        Some((place, why)) => (place.to_owned(), why.to_owned()),
        None => (String::new(), failure.message.replace(target.name.as_str(), "the target")),
    };
    let finding = Finding::new(Level::Error, "reach", why, &failure.detail).on(&target.name, place);
    match failure.kind {
        FailureKind::Unreachable | FailureKind::Timeout => finding.unreachable(),
        _ => finding,
    }
}

fn judge(findings: &mut Findings, target: &Target, examined: &Examined, needs: &Needs) {
    let name = &target.name;
    let mut add = |level, area, what: String, mend: String, detail: String| {
        findings.add(Finding::new(level, area, what, mend).on(name, detail));
    };
    for missing in &examined.missing {
        let package = PROGRAMS.iter().find(|(program, _)| program == missing).map(|(_, package)| *package);
        let without = BETTER.iter().find(|(program, _)| program == missing).map(|(_, without)| *without);
        match (package, without) {
            (_, Some(without)) => add(
                Level::Warning,
                "tools",
                format!("there is no `{missing}`: {without}"),
                format!("install it there (package {missing})"),
                String::new(),
            ),
            (package, None) => add(
                Level::Error,
                "tools",
                format!("there is no `{missing}`"),
                format!("install it there (package {})", package.unwrap_or("coreutils")),
                String::new(),
            ),
        }
    }
    for (user, refused, denied) in &examined.users {
        let Some(refused) = refused else { continue };
        let wanted = needs.users.get(user);
        if wanted.is_some_and(|user| user.paths) {
            add(
                Level::Error,
                "sudo",
                format!("steps read and write as `{user}`, and `sudo -n -u {user} -- sh` is refused"),
                format!(
                    "add on the target with `visudo`: {} ALL=({user}) NOPASSWD: /bin/sh, /usr/bin/sh",
                    examined.user
                ),
                String::new(),
            );
        }
        for command in denied {
            let command = shell_words::join(command);
            add(
                Level::Error,
                "sudo",
                format!("a step runs `{command}` as `{user}`, and sudo refuses it"),
                format!(
                    "add on the target with `visudo`, with the full path: {} ALL=({user}) NOPASSWD: {command}",
                    examined.user
                ),
                String::new(),
            );
        }
        let nothing_known = wanted.is_none_or(|user| !user.paths && user.commands.is_empty());
        if nothing_known {
            add(
                Level::Warning,
                "sudo",
                format!("`sudo -n -u {user} -- sh` is refused: only commands that sudoers names will work"),
                refused.detail.clone(),
                String::new(),
            );
        }
    }
    if let Some(root) = &examined.root {
        judge_root(&mut add, examined, root, needs);
    }
    let skew = examined.ahead.unsigned_abs();
    if skew > SKEWED {
        let direction = if examined.ahead > 0 { "ahead" } else { "behind" };
        let level = if skew > FAR_OFF { Level::Error } else { Level::Warning };
        add(
            level,
            "clock",
            "its clock is not that of this machine".to_owned(),
            "let both keep time with NTP: `timedatectl set-ntp true`; locks and certificates are judged by it".to_owned(),
            format!("at least {skew} s {direction}"),
        );
    }
    if let Some(sessions) = examined.sessions.filter(|sessions| *sessions < CHANNELS) {
        add(
            Level::Warning,
            "sshd",
            format!("its sshd allows fewer sessions on a connection than a run may use ({CHANNELS})"),
            "leave `MaxSessions` in its sshd_config at 10".to_owned(),
            format!("MaxSessions {sessions}"),
        );
    }
}

fn judge_root(
    add: &mut impl FnMut(Level, &'static str, String, String, String),
    examined: &Examined,
    root: &Root,
    needs: &Needs,
) {
    if let Some(blocked) = &root.blocked {
        add(
            Level::Error,
            "root",
            "something that is no folder is in the way of the release root".to_owned(),
            "move it away, or choose another `root`".to_owned(),
            blocked.clone(),
        );
        return;
    }
    if let Some(failure) = &root.unsafe_way {
        // `ask for the free space at … on …: why`
        let why = failure.message.split_once(": ").map_or(failure.message.as_str(), |(_, why)| why);
        let mend = failure.detail.clone();
        add(
            Level::Error,
            "root",
            format!("the way to the release root is not safe: {why}"),
            mend,
            String::new(),
        );
    }
    if !root.writable && needs.writes {
        add(
            Level::Error,
            "root",
            format!("`{}` may not write where the release root is, or would be made", examined.user),
            format!("on the target, as root: `install -d -o {} ROOT`", examined.user),
            root.near.clone(),
        );
    }
    if let Some(elsewhere) = &root.elsewhere {
        add(
            Level::Error,
            "root",
            "a folder of the release root is on another file system: nothing can be renamed into it"
                .to_owned(),
            "keep the whole release root on one file system".to_owned(),
            elsewhere.clone(),
        );
    }
    let free = |bytes: u64| format!("{} MiB free", bytes / MIB);
    match root.free {
        Some(bytes) if bytes < LITTLE => add(
            Level::Error,
            "disk",
            format!("less than {} MiB are free where the release root is", LITTLE / MIB),
            "make room there: `std/prune` removes old releases".to_owned(),
            free(bytes),
        ),
        Some(bytes) if bytes < SCARCE => add(
            Level::Warning,
            "disk",
            format!("less than {} MiB are free where the release root is", SCARCE / MIB),
            "make room there: `std/prune` removes old releases".to_owned(),
            free(bytes),
        ),
        Some(_) => {}
        None => add(
            Level::Warning,
            "disk",
            "the free space where the release root is cannot be told".to_owned(),
            "try `df -Pk` there".to_owned(),
            root.near.clone(),
        ),
    }
    if let Some(inodes) = root.inodes.filter(|inodes| *inodes < FEW_INODES) {
        add(
            Level::Error,
            "disk",
            format!("fewer than {FEW_INODES} inodes are free where the release root is"),
            "remove small files there".to_owned(),
            format!("{inodes} free"),
        );
    }
}

/// What is well on all that answered.
fn all_good(findings: &mut Findings, examined: &[Examined], resolved: &Resolved) {
    let count = examined.len();
    if count == 0 {
        return;
    }
    let all = count == 1;
    let of = |what: &str| if all { what.to_owned() } else { format!("{count} targets: {what}") };
    let mut systems: BTreeMap<String, usize> = BTreeMap::new();
    for one in examined {
        *systems.entry(format!("{}, sh is {}", one.system, one.shell)).or_default() += 1;
    }
    let systems: Vec<String> = systems
        .into_iter()
        .map(|(system, count)| if count == examined.len() { system } else { format!("{count} × {system}") })
        .collect();
    let users: BTreeSet<&str> = examined.iter().map(|one| one.user.as_str()).collect();
    let users = users.into_iter().map(|user| format!("`{user}`")).collect::<Vec<_>>().join(", ");
    findings.good("reach", &of(&systems.join("; ")));
    findings.good("user", &of(&format!("logs in as {users}")));
    let mut good = |area, what: &str| {
        if !findings.has(area) {
            findings.good(area, &of(what));
        }
    };
    good("tools", "all that a run uses");
    if examined.iter().any(|one| !one.users.is_empty()) {
        good("sudo", "lets the login user act as the plan says");
    }
    if resolved.release.is_some() {
        good("root", "the release root can be written, and nobody else can change the way to it");
        good("disk", "there is room");
    }
    good("clock", "as on this machine");
}
