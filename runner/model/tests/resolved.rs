//! What a good plan means: where each step runs, in which order, and as whom.

use runner_model::{
    Digest, Gate, Inventory, LoadedModule, Manifest, ModuleRef, Modules, OnFailure, Phase, Plan, Problems,
    Resolved, Runs, TargetName, check,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn resolve(plan: &str) -> Resolved {
    resolve_without(plan, &[]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// For a run that is not for these targets.
fn resolve_without(plan: &str, left_out: &[&str]) -> Result<Resolved, Problems> {
    resolve_in(include_str!("ui/check/inventory/staging.toml"), plan, left_out)
}

fn resolve_in(inventory: &str, plan: &str, left_out: &[&str]) -> Result<Resolved, Problems> {
    let all: Vec<Manifest> = serde_json::from_str(include_str!("ui/modules.json")).expect("manifests");
    let loaded: BTreeMap<_, _> = all
        .into_iter()
        .map(|manifest| {
            let digest = Digest::of(&manifest.name);
            (ModuleRef::Builtin(manifest.name.clone()), LoadedModule { digest, manifest, pinned: None })
        })
        .collect();
    let inventory = Inventory::parse("staging.toml", inventory.as_bytes()).expect("good");
    let plan = Plan::parse("plan.toml", plan.as_bytes()).unwrap_or_else(|problems| panic!("{problems}"));
    let modules = Modules { loaded: &loaded, failed: &BTreeMap::new(), builtin: &[] };
    let inventory = inventory.without(left_out.iter().map(|name| name.parse().expect("a name")).collect());
    check(&plan, &"staging".parse().expect("a name"), &inventory, modules, &BTreeMap::new())
}

fn shown(resolved: &Resolved) -> String {
    let mut out = String::new();
    let schedule = resolved.schedule();
    let _ = writeln!(out, "batches {:?}, release: {}", schedule.batches, schedule.release);
    for step in &resolved.steps {
        let runs = match &step.runs {
            Runs::Once(target) => format!("once on {target:?}"),
            Runs::EachTarget(targets) => format!("each of {targets:?}"),
        };
        let users: Vec<_> = step.all_acted_on().iter().map(|target| resolved.acting(step, target)).collect();
        let _ = writeln!(
            out,
            "{} {}: {runs}, on {:?}, as {:?}, time {}",
            step.phase.word(),
            step.id,
            step.on,
            users.first(),
            step.limits.time
        );
    }
    out
}

#[test]
fn a_plan_says_where_each_step_runs() {
    insta::assert_snapshot!(shown(&resolve(include_str!("ui/check/good.toml"))));
}

const HEAD: &str = r#"
plan = 1
name = "shop"
[modules]
std = "builtin"
[environment.staging]
inventory = "staging.toml"
[limits]
time = "5m"
[strategy]
role = "web"
batches = [1, "50%", "100%"]
"#;

/// A step of a module that would run on each target.
fn step(phase: Phase, keys: &str) -> String {
    format!(
        "{HEAD}\n[[{}]]\nid = \"x\"\nuses = \"std/command\"\nwith = {{ argv = [\"true\"] }}\n{keys}\n",
        phase.word()
    )
}

#[test]
fn on_and_once_choose_the_targets() {
    let mut all = String::new();
    for phase in [Phase::Prepare, Phase::Rollout] {
        for keys in [
            "on = \"web\"",
            "on = \"web-2\"",
            "on = \"db\"",
            "on = \"localhost\"",
            "once = true",
            "once = true\non = \"web\"",
            "once = true\non = \"db\"",
        ] {
            let resolved = resolve(&step(phase, keys));
            let line = shown(&resolved).lines().nth(1).expect("a step").to_owned();
            let _ = writeln!(all, "{:32} {line}", keys.replace('\n', ", "));
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_limit_narrows_the_rollout_and_the_steps_of_a_role() {
    let only_2 = |phase, keys: &str| resolve_without(&step(phase, keys), &["web-1", "web-3"]);
    let runs =
        |phase, keys: &str| only_2(phase, keys).expect("good").steps.first().map(|step| step.runs.clone());
    let two = vec!["web-2".parse().expect("a name")];
    assert_eq!(only_2(Phase::Rollout, "").expect("good").batches, std::slice::from_ref(&two));
    assert_eq!(runs(Phase::Rollout, ""), Some(Runs::EachTarget(two.clone())));
    assert_eq!(runs(Phase::Finish, "on = \"web\""), Some(Runs::EachTarget(two.clone())));
    assert_eq!(
        runs(Phase::Rollout, "on = \"db\""),
        Some(Runs::EachTarget(two.clone())),
        "it acts on another target"
    );
    assert_eq!(runs(Phase::Rollout, "once = true"), Some(Runs::Once(two[0].clone())));
    assert_eq!(runs(Phase::Finish, "on = \"web\"\nonce = true"), Some(Runs::Once(two[0].clone())));
    assert_eq!(runs(Phase::Finish, "on = \"web-1\""), None, "it runs on no target that is left");
    let refused = only_2(Phase::Finish, "on = \"web-1\"\nonce = true").expect_err("it may be needed");
    assert!(
        refused.to_string().contains("the step runs on `web-1`, which `--limit` leaves out"),
        "{refused}"
    );
}

#[test]
fn a_steps_own_timeout_and_limits_win() {
    let time = |keys: &str| resolve(&step(Phase::Rollout, keys)).steps[0].limits.time.to_string();
    assert_eq!(time(""), "5m");
    assert_eq!(time("timeout = \"7s\""), "7s");
    assert_eq!(time("limits = { time = \"8s\" }"), "8s");
}

/// All that keeps a rollout from doing harm; `{on}` is where the cluster is asked.
fn careful(on: &str) -> String {
    format!(
        r#"
plan = 1
name = "shop"
[modules]
std = "builtin"
[environment.staging]
inventory = "staging.toml"
[release]
root = "/srv/shop"
[cluster]
uses = "std/haproxy"
on = "{on}"
with = {{ backend = "shop", server = "${{target.name}}" }}
[strategy]
role = "web"
first = "last"
batches = ["100%"]
pause = "90s"
min-in-service = "50%"
confirm-timeout = "4m"
on-failure = "rollback"
[[rollout]]
id = "migrate"
uses = "std/command"
with = {{ argv = ["true"] }}
once = true
no-return = true
[[rollout]]
id = "restart"
uses = "std/restart"
with = {{ unit = "shop" }}
"#
    )
}

/// `web-1` to `web-4`, of which the last one goes first, behind two load balancers.
const CAREFUL: &str = r#"
inventory = 1
[target.web-1]
roles = ["web"]
[target.web-2]
roles = ["web"]
[target.web-3]
roles = ["web"]
[target.web-4]
roles = ["web"]
labels = ["last"]
[target.lb-1]
roles = ["edge"]
[target.lb-2]
roles = ["edge"]
"#;

fn targets(names: &[&str]) -> Vec<TargetName> {
    names.iter().map(|name| name.parse().expect("a name")).collect()
}

fn careful_without(on: &str, left_out: &[&str]) -> Resolved {
    resolve_in(CAREFUL, &careful(on), left_out).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_schedule_says_all_that_keeps_a_rollout_from_doing_harm() {
    let resolved = careful_without("edge", &[]);
    let schedule = resolved.schedule();
    assert_eq!(schedule.batches, [targets(&["web-4"]), targets(&["web-1", "web-2", "web-3"])]);
    let gate = Gate { fleet: targets(&["web-1", "web-2", "web-3", "web-4"]), in_service: 2 };
    assert_eq!(schedule.cluster, Some(gate));
    let cluster = resolved.cluster.as_ref().expect("it has one");
    assert_eq!(cluster.on, targets(&["lb-1", "lb-2"]), "each load balancer is asked");
    assert_eq!(schedule.pause_ms, 90_000);
    assert_eq!(schedule.on_failure, OnFailure::Rollback);
    assert!(schedule.watched);
    let steps: Vec<_> = schedule.steps.iter().map(|step| (step.id.as_str(), step.no_return)).collect();
    assert_eq!(steps, [("migrate", true), ("restart", false)], "the cluster is no step");
    assert_eq!(
        schedule.steps[0].runs,
        Runs::Once(targets(&["web-4"])[0].clone()),
        "what runs once runs on the target that goes first"
    );
}

#[test]
fn a_plan_that_says_nothing_of_it_stops_waits_for_nobody_and_takes_nobody_out() {
    let schedule = resolve(&step(Phase::Rollout, "")).schedule();
    assert_eq!(schedule.cluster, None);
    assert_eq!(schedule.pause_ms, 0);
    assert_eq!(schedule.on_failure, OnFailure::Stop);
    assert!(!schedule.watched);
    assert!(schedule.steps.iter().all(|step| !step.no_return));
}

#[test]
fn load_balancers_are_asked_about_targets_that_a_limit_leaves_out() {
    let schedule = careful_without("edge", &["web-2", "web-4"]).schedule();
    assert_eq!(
        schedule.batches,
        [targets(&["web-1", "web-3"])],
        "nobody else goes alone where the one with the label is left out"
    );
    let gate = Gate { fleet: targets(&["web-1", "web-2", "web-3", "web-4"]), in_service: 2 };
    assert_eq!(schedule.cluster, Some(gate));
}

#[test]
fn targets_that_are_asked_themselves_are_left_alone_where_a_limit_leaves_them_out() {
    let asked = |left_out: &[&str]| {
        let resolved = careful_without("web", left_out);
        let on = resolved.cluster.as_ref().expect("it has one").on.clone();
        assert_eq!(on, [], "on each target itself");
        resolved.schedule().cluster.expect("it has one")
    };
    let all = asked(&[]);
    assert_eq!(all.fleet.len(), 4);
    assert_eq!(all.in_service, 2);
    assert_eq!(
        asked(&["web-2"]),
        Gate { fleet: targets(&["web-4", "web-1", "web-3"]), in_service: 1 },
        "one of the two is not asked, and counts as in service"
    );
    assert_eq!(
        asked(&["web-1", "web-2", "web-3"]),
        Gate { fleet: targets(&["web-4"]), in_service: 0 },
        "never fewer than none"
    );
}
