//! What a good plan means: where each step runs, in which order, and as whom.

use runner_model::{
    Digest, Inventory, LoadedModule, Manifest, ModuleRef, Modules, Phase, Plan, Problems, Resolved, Runs,
    check,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn resolve(plan: &str) -> Resolved {
    resolve_without(plan, &[]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// For a run that is not for these targets.
fn resolve_without(plan: &str, left_out: &[&str]) -> Result<Resolved, Problems> {
    let all: Vec<Manifest> = serde_json::from_str(include_str!("ui/modules.json")).expect("manifests");
    let loaded: BTreeMap<_, _> = all
        .into_iter()
        .map(|manifest| {
            let digest = Digest::of(&manifest.name);
            (ModuleRef::Builtin(manifest.name.clone()), LoadedModule { digest, manifest })
        })
        .collect();
    let inventory =
        Inventory::parse("staging.toml", include_bytes!("ui/check/inventory/staging.toml")).expect("good");
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
