//! What a good plan means: where each step runs, in which order, and as whom.

use runner_model::{
    Digest, Inventory, LoadedModule, Manifest, ModuleRef, Modules, Phase, Plan, Resolved, Runs, check,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn resolve(plan: &str) -> Resolved {
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
    check(&plan, &"staging".parse().expect("a name"), &inventory, modules, &BTreeMap::new())
        .unwrap_or_else(|problems| panic!("{problems}"))
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
fn a_steps_own_timeout_and_limits_win() {
    let time = |keys: &str| resolve(&step(Phase::Rollout, keys)).steps[0].limits.time.to_string();
    assert_eq!(time(""), "5m");
    assert_eq!(time("timeout = \"7s\""), "7s");
    assert_eq!(time("limits = { time = \"8s\" }"), "8s");
}
