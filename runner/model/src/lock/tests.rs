use super::*;
use crate::template::Scope as _;
use crate::{Facts, Inventory, Manifest, Modules, Pinned, Plan, RunId, check};
use serde_json::json;

const PLAN: &str = r#"
plan = 1
name = "shop"

[vars]
unit = "php-fpm"
host = "shop.example.org"

[modules]
std = "builtin"

[environment.staging]
inventory = "staging.toml"

[release]
root = "/srv/shop"
artifact = "${package.artifact}"

[strategy]
role = "web"

[[prepare]]
id = "package"
uses = "std/package"
with = { source = "." }

[[rollout]]
id = "switch"
uses = "std/switch"
with = { root = "${release.root}", release = "${release.id}" }

[[rollout]]
id = "restart"
uses = "std/restart"
with = { unit = "${var.unit}" }
become = "root"

[[rollout]]
id = "command"
uses = "std/command"
with = { argv = ["/usr/bin/printf", "--to=${target.name}", "${package.artifact}"], directory = "${release.root}" }
allow = { ssh = ["exec-opaque:/usr/bin/printf --to=* *", "write:${release.root}/x"] }

[[rollout]]
id = "smoke-test"
uses = "std/smoke-test"
with = { url = "http://${var.host}/" }
"#;

const INVENTORY: &str = r#"
inventory = 1
[target.web-1]
roles = ["web"]
[target.web-2]
roles = ["web"]
root = "/srv/other"
service-command = ["/srv/app/bin/appctl", "${action}", "${unit}"]
[target.web-3]
roles = ["web"]
root = "/srv/other"
address = "10.0.0.3"
"#;

fn modules() -> BTreeMap<ModuleRef, LoadedModule> {
    let all: Vec<Manifest> =
        serde_json::from_str(include_str!("../../tests/ui/modules.json")).expect("manifests");
    all.into_iter()
        .map(|manifest| {
            let digest = Digest::of(&manifest.name);
            (ModuleRef::Builtin(manifest.name.clone()), LoadedModule { digest, manifest, pinned: None })
        })
        .collect()
}

fn resolve(
    plan: &str,
    inventory: &str,
    loaded: &BTreeMap<ModuleRef, LoadedModule>,
    given: &[(&str, &str)],
) -> Resolved {
    let plan = Plan::parse("plan.toml", plan.as_bytes()).expect("a good plan");
    let inventory = Inventory::parse("staging.toml", inventory.as_bytes()).expect("a good inventory");
    let modules = Modules { loaded, failed: &BTreeMap::new(), builtin: &[] };
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    match check(&plan, &"staging".parse().expect("a name"), &inventory, modules, &given) {
        Ok(resolved) => resolved,
        Err(problems) => panic!("{problems}"),
    }
}

fn lock_of(resolved: &Resolved) -> Lock {
    let mut lock = Lock::default();
    lock.set(resolved.environment.clone(), LockedEnvironment::build(resolved));
    lock
}

fn stale(lock: &Lock, resolved: &Resolved) -> String {
    let stale = Lock::verify(Some(lock), resolved, "plan.lock").expect_err("stale");
    format!("{stale}\n{}hint: {}", stale.details(), stale.hint())
}

#[test]
fn a_lock_reads_well_and_reads_back() {
    let resolved = resolve(PLAN, INVENTORY, &modules(), &[]);
    let lock = lock_of(&resolved);
    let text = lock.to_toml();
    let (steps, _) = text.split_once("\n[environment.staging.module.").expect("modules");
    insta::assert_snapshot!(steps);
    let back = match Lock::parse("plan.lock", text.as_bytes()) {
        Ok(back) => back,
        Err(problems) => panic!("{problems}\n{text}"),
    };
    assert_eq!(back.to_toml(), text);
    assert!(Lock::verify(Some(&back), &resolved, "plan.lock").is_ok());
}

#[test]
fn a_plan_that_asks_for_more_is_refused_with_what_it_asks_for() {
    let lock = lock_of(&resolve(PLAN, INVENTORY, &modules(), &[]));
    let more = PLAN
        .replace("id = \"smoke-test\"", "id = \"smoke\"")
        .replace("become = \"root\"", "become = \"admin\"");
    insta::assert_snapshot!(stale(&lock, &resolve(&more, INVENTORY, &modules(), &[])));
}

#[test]
fn a_variable_that_changes_a_grant_makes_the_lock_stale() {
    let lock = lock_of(&resolve(PLAN, INVENTORY, &modules(), &[]));
    let other = resolve(PLAN, INVENTORY, &modules(), &[("unit", "nginx"), ("host", "it's")]);
    insta::assert_snapshot!(stale(&lock, &other));
    assert!(
        Lock::verify(Some(&lock), &resolve(PLAN, INVENTORY, &modules(), &[("unit", "php-fpm")]), "x").is_ok()
    );
}

#[test]
fn another_component_another_root_or_another_service_command_makes_the_lock_stale() {
    let mut modules = modules();
    let lock = lock_of(&resolve(PLAN, INVENTORY, &modules, &[]));
    let switch = modules.get_mut(&ModuleRef::Builtin("switch".to_owned())).expect("there");
    switch.digest = Digest::of("another");
    let inventory = INVENTORY.replace("/srv/other", "/srv/elsewhere").replace("appctl", "ctl");
    insta::assert_snapshot!(stale(&lock, &resolve(PLAN, &inventory, &modules, &[])));
}

#[test]
fn a_further_target_of_the_same_kind_leaves_the_lock_as_it_is() {
    let lock = lock_of(&resolve(PLAN, INVENTORY, &modules(), &[]));
    let more = format!("{INVENTORY}\n[target.web-4]\nroles = [\"web\"]\n");
    assert!(Lock::verify(Some(&lock), &resolve(PLAN, &more, &modules(), &[]), "plan.lock").is_ok());
}

#[test]
fn without_a_lock_nothing_runs() {
    let resolved = resolve(PLAN, INVENTORY, &modules(), &[]);
    let said = |lock: Option<&Lock>| {
        let stale = Lock::verify(lock, &resolved, "plan.lock").expect_err("missing");
        assert!(stale.missing);
        format!("{stale}\nhint: {}", stale.hint())
    };
    insta::assert_snapshot!("without_a_lock", said(None));
    insta::assert_snapshot!("without_the_environment", said(Some(&Lock::default())));
}

#[test]
fn a_lock_that_cannot_be_trusted_is_refused_with_the_place() {
    let text = lock_of(&resolve(PLAN, INVENTORY, &modules(), &[])).to_toml();
    let problems = |text: String| Lock::parse("plan.lock", text.as_bytes()).expect_err("refused").plain();
    insta::assert_snapshot!(problems(text.replace("write:/srv/shop\"", "write:/srv\"")));
    insta::assert_snapshot!(problems(text.replace("lock = 1", "lock = 2")));
    insta::assert_snapshot!(problems(
        text.replace("uses = \"builtin:switch\"", "uses = \"swich\"\nextra = 1")
    ));
    insta::assert_snapshot!(problems(text.replace("write:/srv/shop\"", "wriet:/srv/shop\"")));
    insta::assert_snapshot!(problems(text.replacen("digest = \"sha256:", "digest = \"md5:", 1)));
    insta::assert_snapshot!(problems("<<<<<<< HEAD\n".to_owned() + &text));
}

#[test]
fn what_the_run_knows_fills_one_argument_of_the_targets_own_grants() {
    use crate::grant::Ask;
    let resolved = resolve(PLAN, INVENTORY, &modules(), &[]);
    let lock = lock_of(&resolved);
    let locked = lock.environment(&resolved.environment).expect("there");
    let run: RunId = "r1".parse().expect("an id");
    let outputs = BTreeMap::from([("package".parse().expect("an id"), json!({ "artifact": "sha256:abc" }))]);
    let facts =
        Facts { run: &run, release: None, artifact: None, outputs: &outputs, target: &Default::default() };
    let target = "web-2".parse().expect("a name");
    let step = resolved.steps.iter().find(|step| step.id.as_str() == "command").expect("there");

    let parameters = resolved.parameters(step, &target, facts).expect("all is known");
    assert_eq!(
        parameters,
        json!({ "argv": ["/usr/bin/printf", "--to=web-2", "sha256:abc"], "directory": "/srv/other" })
    );
    let layers =
        resolved.layers(step, &target, facts, locked.step(&step.id).expect("there"), None).expect("grants");
    let argv = ["/usr/bin/printf", "--to=web-2", "sha256:abc"].map(str::to_owned);
    let ask = |argv: &[String]| {
        let command: crate::Command = serde_json::from_value(json!({
            "argv": argv, "effect": "opaque", "timeout": 1000,
        }))
        .expect("a command");
        Ask::of_command(&command).iter().all(|ask| layers.check(ask).is_ok())
    };
    assert!(ask(&argv));
    assert!(!ask(&["/usr/bin/printf".to_owned(), "--to=web-1".to_owned(), "sha256:abc".to_owned()]));

    let switch = resolved.steps.iter().find(|step| step.id.as_str() == "switch").expect("there");
    let layers = resolved
        .layers(switch, &target, facts, locked.step(&switch.id).expect("there"), None)
        .expect("grants");
    let write = |path: &str| layers.check(&Ask::Write(&path.parse().expect("a path"))).is_ok();
    assert!(write("/srv/other/current"));
    assert!(!write("/srv/shop/current"), "another target's root");
    assert!(!write("/srv/other/.runner/x"));

    // An output that would be more than one argument is refused, and is not known before it is there.
    let outputs = BTreeMap::from([("package".parse().expect("an id"), json!({ "artifact": "a b" }))]);
    let facts = Facts { outputs: &outputs, ..facts };
    assert!(resolved.layers(step, &target, facts, locked.step(&step.id).expect("there"), None).is_err());
    let nothing = BTreeMap::new();
    let facts = Facts { outputs: &nothing, ..facts };
    assert!(resolved.parameters(step, &target, facts).is_err());
    let scope = resolved.scope(step, Some(&target), Some(facts));
    assert_eq!(scope.lookup(&"package.artifact".parse().expect("fine")), crate::template::Lookup::Symbolic);
}

#[test]
fn what_an_update_of_a_module_asks_for_is_told_apart_from_what_the_plan_asks_for() {
    let mut modules = modules();
    let before = LockedEnvironment::build(&resolve(PLAN, INVENTORY, &modules, &[]));
    let gained = |modules: &BTreeMap<_, _>, plan: &str| {
        let now = LockedEnvironment::build(&resolve(plan, INVENTORY, modules, &[]));
        before.gained(&now).iter().map(Difference::to_string).collect::<String>()
    };
    // The plan itself asks for more, by the same modules: that is in the plan's own difference.
    let more = PLAN.replace("http://${var.host}/", "http://other.example.org/")
        + "[[rollout]]\nid = \"again\"\nuses = \"std/restart\"\nwith = { unit = \"nginx\" }\n";
    assert_eq!(gained(&modules, &more), "");

    // The same capabilities in other bytes are no gain, and fewer are none.
    let smoke = modules.get_mut(&ModuleRef::Builtin("smoke-test".to_owned())).expect("there");
    smoke.digest = Digest::of("rebuilt");
    assert_eq!(gained(&modules, PLAN), "");
    let restart = modules.get_mut(&ModuleRef::Builtin("restart".to_owned())).expect("there");
    restart.digest = Digest::of("less");
    restart.manifest.capabilities = crate::grant::Capabilities::default();
    assert_eq!(gained(&modules, PLAN), "");

    let mut manifest: serde_json::Value =
        modules[&ModuleRef::Builtin("smoke-test".to_owned())].manifest.clone().into();
    manifest["version"] = json!("0.2.0");
    manifest["capabilities"]["http"]
        .as_array_mut()
        .expect("a list")
        .push(json!("GET http://api.example.com/"));
    manifest["capabilities"]["ssh"] = json!(["read:/etc/shop"]);
    let smoke = modules.get_mut(&ModuleRef::Builtin("smoke-test".to_owned())).expect("there");
    smoke.manifest = Manifest::parse(&manifest.to_string()).expect("a manifest");
    insta::assert_snapshot!(gained(&modules, PLAN), @r"
    step `smoke-test`: `builtin:smoke-test` 0.1.0 -> 0.2.0
      + http GET http://api.example.com/
      + read:/etc/shop
    ");
}

#[test]
fn a_module_of_a_registry_is_pinned_with_what_the_registry_had() {
    let mut modules = modules();
    let own = modules[&ModuleRef::Builtin("restart".to_owned())].clone();
    let reference: ModuleRef = "oci:registry.example.org/team/restart@1.2".parse().expect("a module");
    let pinned = Pinned { tag: "1.2.3".to_owned(), manifest: Digest::of("manifest") };
    modules.insert(reference.clone(), LoadedModule { pinned: Some(pinned), ..own });
    let plan = PLAN
        .replace(
            "std = \"builtin\"",
            "std = \"builtin\"\nteam = { oci = \"registry.example.org/team/restart\", version = \"1.2\" }",
        )
        .replace("uses = \"std/restart\"", "uses = \"team\"");
    let resolved = resolve(&plan, INVENTORY, &modules, &[]);
    let lock = lock_of(&resolved);
    let text = lock.to_toml();
    let back = Lock::parse("plan.lock", text.as_bytes()).expect("it reads back");
    assert_eq!(back, lock);
    let section = &text[text.find("[environment.staging.module.\"oci:").expect("the module")..];
    insta::assert_snapshot!(section.split("manifest = '''").next().expect("the head"));

    // Another manifest of the registry is another module, also where the component says that it is the same.
    let other = Pinned { tag: "1.2.3".to_owned(), manifest: Digest::of("swapped") };
    modules.get_mut(&reference).expect("there").pinned = Some(other);
    insta::assert_snapshot!(stale(&lock, &resolve(&plan, INVENTORY, &modules, &[])));

    let without = text.replacen("oci-manifest = ", "oci-manifets = ", 1);
    insta::assert_snapshot!(Lock::parse("plan.lock", without.as_bytes()).expect_err("refused").plain());
}
