//! Whether a component is a step for this runner, told before it is linked: one error with everything that is missing.
//!
//! wasmtime's linker names only the first thing that it misses, and misleads when the module was built for another
//! version of the contract: that is looked at first.

use super::signature::{Contract, contract, of_component};
use runner_model::manifest::World;
use std::collections::BTreeMap;
use std::fmt;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ResourceType};

/// The package of the contract.
pub(super) const PACKAGE: &str = "runner:step/";

/// The interfaces of WASI 0.2 that are there for modules of languages whose runtimes import them; nothing is behind
/// any of them.
const WASI: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// What a module imports, once it is certain that this runner has it all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imports {
    /// Functions of the contract, as `targets.read` and `commands.command.run`; sorted.
    pub functions: Vec<String>,
    /// Whether it imports anything of WASI.
    pub wasi: bool,
    /// The world whose functions it exports.
    pub world: World,
}

/// Why a component is not a step for this runner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAStep {
    /// Built for a contract that this runner does not speak.
    #[error(
        "it was built for `runner:step@{found}`, this runner speaks `runner:step@{spoken}`; rebuild it with this \
         runner's SDK, or use a runner of its time"
    )]
    Version {
        /// The module's.
        found: String,
        /// The runner's.
        spoken: String,
    },
    /// Built for something else.
    #[error(
        "it is a component of another world, not a step: it imports nothing of `runner:step` and exports {}",
        Exports(exports)
    )]
    OtherWorld {
        /// What it exports.
        exports: Vec<String>,
    },
    /// A step that asks for what is not there, or lacks what every step has.
    #[error("{}", Lines(missing))]
    Missing {
        /// One line for each thing, sorted.
        missing: Vec<String>,
    },
}

struct Exports<'a>(&'a [String]);

impl fmt::Display for Exports<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (index, name) in self.0.iter().take(5).enumerate() {
            write!(f, "{}`{}`", if index == 0 { "" } else { ", " }, name.escape_debug())?;
        }
        if self.0.len() > 5 {
            write!(f, " and {} more", self.0.len() - 5)?;
        }
        Ok(())
    }
}

struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [one] => f.write_str(one),
            many => {
                write!(f, "{} things do not fit:", many.len())?;
                many.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
        }
    }
}

/// Checks a component against the contract, version first, then all its imports and exports.
///
/// # Errors
/// It is no step for this runner; the error has everything that does not fit.
pub fn check(engine: &Engine, component: &Component) -> Result<Imports, NotAStep> {
    let ty = component.component_type();
    let contract = contract();
    let imported: Vec<(&str, ComponentItem)> =
        ty.imports(engine).map(|(name, item)| (name, item.ty)).collect();
    let mut exports: Vec<(&str, ComponentItem)> =
        ty.exports(engine).map(|(name, item)| (name, item.ty)).collect();
    exports.sort_by_key(|(name, _)| *name);

    version(contract, &imported)?;
    let is_ours = imported.iter().any(|(name, _)| name.starts_with(PACKAGE))
        || exports.iter().any(|(name, _)| *name == "describe");
    // What exports nothing of either was most likely to be a step.
    let world = world(contract, &exports).or(is_ours.then_some(World::Step));
    let wanted = world.and_then(|world| contract.exports.get(&world));
    let (Some(world), Some(wanted)) = (world, wanted) else {
        let exports = exports.into_iter().map(|(name, _)| name.to_owned()).collect();
        return Err(NotAStep::OtherWorld { exports });
    };

    let resources = resources(engine, &imported);
    let mut found = Imports { world, ..Imports::default() };
    let mut missing = Vec::new();
    for (name, item) in &imported {
        import(engine, contract, name, item, &resources, &mut found, &mut missing);
    }
    for (name, signature) in wanted {
        match exports.iter().find(|(exported, _)| exported == name) {
            Some((_, ComponentItem::ComponentFunc(function))) => {
                let has = of_component(function, &resources);
                if has != *signature {
                    missing.push(format!("it exports `{name}` as `{has}`, and not as `{signature}`"));
                }
            }
            _ => missing.push(format!("it does not export `{name}: {signature}`")),
        }
    }
    if missing.is_empty() {
        found.functions.sort();
        Ok(found)
    } else {
        missing.sort();
        Err(NotAStep::Missing { missing })
    }
}

/// The world that a component is of: the one of which it exports more than what all have.
fn world(contract: &Contract, exports: &[(&str, ComponentItem)]) -> Option<World> {
    let all = contract.exports.values();
    let is_own = |name: &str| all.clone().filter(|exports| exports.contains_key(name)).count() == 1;
    let has = |exported: &BTreeMap<String, String>| {
        let own = exported.keys().filter(|name| is_own(name));
        own.filter(|own| exports.iter().any(|(name, _)| name == own)).count()
    };
    let most = contract.exports.iter().map(|(world, exported)| (has(exported), *world));
    most.filter(|(count, _)| *count > 0).max_by_key(|(count, _)| *count).map(|(_, world)| world)
}

/// The version that the module was built for: told by `types`, which every step imports, else by any other interface.
fn version(contract: &Contract, imported: &[(&str, ComponentItem)]) -> Result<(), NotAStep> {
    let versions = || imported.iter().filter_map(|(name, _)| name.strip_prefix(PACKAGE)?.split_once('@'));
    let Some((_, found)) = versions().find(|(name, _)| *name == "types").or_else(|| versions().next()) else {
        return Ok(());
    };
    let (major, minor, patch) = contract.version;
    let mut numbers = found.split(['.', '-', '+']);
    let mut number = || numbers.next().and_then(|number| number.parse::<u64>().ok());
    if (number(), number()) == (Some(major), Some(minor)) {
        return Ok(());
    }
    Err(NotAStep::Version { found: found.to_owned(), spoken: format!("{major}.{minor}.{patch}") })
}

/// The resources of all imports, with their names.
fn resources(engine: &Engine, imported: &[(&str, ComponentItem)]) -> Vec<(ResourceType, String)> {
    let mut resources = Vec::new();
    for (_, item) in imported {
        let ComponentItem::ComponentInstance(instance) = item else { continue };
        for (name, item) in instance.exports(engine) {
            if let ComponentItem::Resource(resource) = item.ty
                && !resources.iter().any(|(known, _)| *known == resource)
            {
                resources.push((resource, name.to_owned()));
            }
        }
    }
    resources
}

/// Compares one import with the contract.
fn import(
    engine: &Engine,
    contract: &Contract,
    name: &str,
    item: &ComponentItem,
    resources: &[(ResourceType, String)],
    found: &mut Imports,
    missing: &mut Vec<String>,
) {
    let unversioned = name.split('@').next().unwrap_or(name);
    if WASI.contains(&unversioned) {
        found.wasi = true;
        return;
    }
    let Some(interface) = unversioned.strip_prefix(PACKAGE) else {
        missing.push(format!("it imports `{}`, which this runner does not have", name.escape_debug()));
        return;
    };
    let Some(offered) = contract.interfaces.get(interface) else {
        missing.push(format!(
            "it imports the interface `{}`, which this runner does not have",
            name.escape_debug()
        ));
        return;
    };
    let ComponentItem::ComponentInstance(instance) = item else {
        missing.push(format!("it imports `{}`, and not as an interface", name.escape_debug()));
        return;
    };
    for (item_name, item) in instance.exports(engine) {
        let readable = readable(interface, item_name);
        match item.ty {
            ComponentItem::ComponentFunc(function) => {
                match difference(offered.functions.get(item_name), &function, resources) {
                    None => found.functions.push(readable),
                    Some(Difference::Unknown) => missing.push(format!(
                        "it imports the function `{}`, which this runner does not have",
                        readable.escape_debug()
                    )),
                    Some(Difference::Signature { asked, has }) => missing.push(format!(
                        "it imports `{}` as `{asked}`, and this runner has `{has}`",
                        readable.escape_debug()
                    )),
                }
            }
            ComponentItem::Resource(_) => {
                // A resource that comes through `use` belongs to another interface.
                let known = contract
                    .interfaces
                    .values()
                    .any(|offered| offered.resources.iter().any(|r| r == item_name));
                if !known {
                    missing.push(format!(
                        "it imports the resource `{}`, which this runner does not have",
                        readable.escape_debug()
                    ));
                }
            }
            // Types have no names of their own: they are compared where a function uses them.
            ComponentItem::Type(_) => {}
            _ => missing
                .push(format!("it imports `{}`, and this runner has no such thing", readable.escape_debug())),
        }
    }
}

enum Difference {
    Unknown,
    Signature { asked: String, has: String },
}

fn difference(
    has: Option<&String>,
    function: &ComponentFunc,
    resources: &[(ResourceType, String)],
) -> Option<Difference> {
    let Some(has) = has else { return Some(Difference::Unknown) };
    let asked = of_component(function, resources);
    (asked != *has).then(|| Difference::Signature { asked, has: has.clone() })
}

/// `[method]target.read` of `targets` as people write it: `targets.target.read`.
pub(crate) fn readable(interface: &str, item: &str) -> String {
    let item = match item.split_once(']') {
        Some(("[constructor", resource)) => return format!("{interface}.{resource}.new"),
        Some((_, rest)) => rest,
        None => item,
    };
    format!("{interface}.{item}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Imports, NotAStep> {
        let engine = crate::sandbox::engine::engine().expect("an engine");
        let bytes = wat::parse_str(format!("(component {text})")).expect(text);
        check(&engine, &Component::new(&engine, bytes).expect("it is valid"))
    }

    fn refused(text: &str) -> String {
        checked(text).expect_err(text).to_string()
    }

    /// What every component here lacks, since none of them exports anything.
    const NO_EXPORTS: [&str; 2] = ["it does not export `describe: ", "it does not export `run: "];

    #[test]
    fn another_version_is_said_before_all_else() {
        for (import, found) in [
            (r#"(import "runner:step/types@0.2.0" (instance))"#, "0.2.0"),
            (r#"(import "runner:step/log@1.0.0-rc1" (instance))"#, "1.0.0-rc1"),
            (r#"(import "evil:x/y" (instance)) (import "runner:step/types@9.9.9" (instance))"#, "9.9.9"),
        ] {
            let refused = checked(import).expect_err(import);
            assert_eq!(refused, NotAStep::Version { found: found.to_owned(), spoken: "0.1.0".to_owned() });
            assert!(refused.to_string().contains("rebuild it"), "{refused}");
        }
        // A later patch asks for nothing that is not looked at one by one.
        let refused = refused(r#"(import "runner:step/types@0.1.7" (instance))"#);
        assert!(NO_EXPORTS.iter().all(|line| refused.contains(line)), "{refused}");
    }

    #[test]
    fn a_component_of_another_world_is_no_step() {
        for (text, exports) in [
            ("", "nothing"),
            (r#"(import "wasi:cli/stdin@0.2.0" (instance))"#, "nothing"),
            (r#"(import "a:b/c" (instance $i)) (export "x:y/z" (instance $i))"#, "`x:y/z`"),
        ] {
            let said = refused(text);
            assert!(said.starts_with("it is a component of another world"), "{said}");
            assert!(said.ends_with(&format!("exports {exports}")), "{said}");
        }
    }

    #[test]
    fn everything_that_is_missing_is_in_one_error() {
        let said = refused(
            r#"(import "runner:step/log@0.1.0" (instance
                   (export "info" (func (param "message" u32)))
                   (export "shout" (func (param "message" string)))
                   (export "door" (type (sub resource)))))
               (import "runner:step/teleport@0.1.0" (instance))
               (import "runner:step/timer@0.1.0" (func))
               (import "wasi:http/types@0.2.0" (instance))
               (import "evil:thing/x" (instance))"#,
        );
        let expected = [
            "it imports `log.info` as `func(message: u32)`, and this runner has `func(message: string)`",
            "it imports the function `log.shout`, which this runner does not have",
            "it imports the resource `log.door`, which this runner does not have",
            "it imports the interface `runner:step/teleport@0.1.0`, which this runner does not have",
            "it imports `runner:step/timer@0.1.0`, and not as an interface",
            "it imports `wasi:http/types@0.2.0`, which this runner does not have",
            "it imports `evil:thing/x`, which this runner does not have",
        ];
        for line in expected.into_iter().chain(NO_EXPORTS) {
            assert!(said.contains(line), "{line}\n\n{said}");
        }
        assert!(said.starts_with("9 things do not fit:\n"), "{said}");
    }

    #[test]
    fn functions_that_fit_are_named_as_people_write_them() {
        assert_eq!(readable("targets", "[method]target.read"), "targets.target.read");
        assert_eq!(readable("commands", "[constructor]command"), "commands.command.new");
        assert_eq!(readable("artifacts", "[static]artifact.open"), "artifacts.artifact.open");
        assert_eq!(readable("log", "info"), "log.info");
    }
}
