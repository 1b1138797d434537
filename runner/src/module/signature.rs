//! Signatures as text, in the words of WIT, from both sides: from the contract that is compiled in, and from the type
//! of a component. Two signatures are the same when their texts are.
//!
//! Records, enums and variants are written out, since a component's type has no names for them; resources are written
//! by name.

use runner_model::manifest::World;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;
use wasmtime::component::ResourceType;
use wasmtime::component::types::{ComponentFunc, Type};
use wit_parser::{Handle, Resolve, SourceMap, TypeDefKind, TypeId, WorldItem};

/// The contract, as it was when this binary was built.
const WIT: &[(&str, &str)] = &[
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("log.wit", include_str!("../../../wit/log.wit")),
    ("run-info.wit", include_str!("../../../wit/run-info.wit")),
    ("targets.wit", include_str!("../../../wit/targets.wit")),
    ("releases.wit", include_str!("../../../wit/releases.wit")),
    ("commands.wit", include_str!("../../../wit/commands.wit")),
    ("sockets.wit", include_str!("../../../wit/sockets.wit")),
    ("workspace.wit", include_str!("../../../wit/workspace.wit")),
    ("artifacts.wit", include_str!("../../../wit/artifacts.wit")),
    ("http.wit", include_str!("../../../wit/http.wit")),
    ("secrets.wit", include_str!("../../../wit/secrets.wit")),
    ("timer.wit", include_str!("../../../wit/timer.wit")),
    ("world.wit", include_str!("../../../wit/world.wit")),
];

/// What an interface of the contract offers: functions with their signatures, and resources.
#[derive(Debug, Default)]
pub(crate) struct Interface {
    pub(crate) functions: BTreeMap<String, String>,
    pub(crate) resources: Vec<String>,
}

/// The contract: interfaces by name (`targets`), and the functions that a module of each world exports.
#[derive(Debug, Default)]
pub(crate) struct Contract {
    pub(crate) version: (u64, u64, u64),
    pub(crate) interfaces: BTreeMap<String, Interface>,
    pub(crate) exports: BTreeMap<World, BTreeMap<String, String>>,
}

/// The contract that this runner speaks.
pub(crate) fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    // The files are compiled in, and a test reads them: an error here cannot depend on anything a user does.
    CONTRACT.get_or_init(|| {
        read(sources()).unwrap_or_else(|error| unreachable!("the contract does not parse: {error}"))
    })
}

fn sources() -> SourceMap {
    let mut sources = SourceMap::new();
    for (name, text) in WIT {
        sources.push_str(name, *text);
    }
    sources
}

/// Reads a contract.
fn read(sources: SourceMap) -> Result<Contract, String> {
    let group = sources.parse().map_err(|(sources, error)| error.render(&sources))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).map_err(|error| error.to_string())?;
    let package = &resolve.packages[package];
    let version = package.name.version.as_ref().map_or((0, 0, 0), |v| (v.major, v.minor, v.patch));
    let mut contract = Contract { version, ..Contract::default() };
    for (name, id) in &package.interfaces {
        let interface = &resolve.interfaces[*id];
        let mut offered = Interface::default();
        for function in interface.functions.values() {
            offered.functions.insert(function.name.clone(), of_wit(&resolve, function));
        }
        for (name, id) in &interface.types {
            if matches!(resolve.types[*id].kind, TypeDefKind::Resource) {
                offered.resources.push(name.clone());
            }
        }
        contract.interfaces.insert(name.clone(), offered);
    }
    for world in [World::Step, World::Cluster] {
        let name = world.word();
        let id = package.worlds.get(name).ok_or_else(|| format!("there is no world `{name}`"))?;
        let exports = resolve.worlds[*id].exports.values().filter_map(|item| match item {
            WorldItem::Function(function) => Some((function.name.clone(), of_wit(&resolve, function))),
            _ => None,
        });
        contract.exports.insert(world, exports.collect());
    }
    Ok(contract)
}

/// A function of the contract.
fn of_wit(resolve: &Resolve, function: &wit_parser::Function) -> String {
    let params = function.params.iter().map(|param| format!("{}: {}", param.name, wit(resolve, &param.ty)));
    text(params, function.result.as_ref().map(|result| wit(resolve, result)))
}

/// A function of a component; `resources` names the resources of its imports.
pub(crate) fn of_component(function: &ComponentFunc, resources: &[(ResourceType, String)]) -> String {
    let params = function.params().map(|(name, ty)| format!("{name}: {}", component(&ty, resources)));
    text(params, function.results().next().map(|result| component(&result, resources)))
}

fn text(params: impl Iterator<Item = String>, result: Option<String>) -> String {
    let mut text = format!("func({})", params.collect::<Vec<_>>().join(", "));
    if let Some(result) = result {
        let _ = write!(text, " -> {result}");
    }
    text
}

fn result_of(ok: Option<String>, err: Option<String>) -> String {
    format!("result<{}, {}>", ok.as_deref().unwrap_or("_"), err.as_deref().unwrap_or("_"))
}

fn cases(word: &str, cases: impl Iterator<Item = (String, Option<String>)>) -> String {
    let cases = cases.map(|(name, ty)| ty.map_or(name.clone(), |ty| format!("{name}({ty})")));
    format!("{word} {{ {} }}", cases.collect::<Vec<_>>().join(", "))
}

fn wit(resolve: &Resolve, ty: &wit_parser::Type) -> String {
    use wit_parser::Type as T;
    let word = match ty {
        T::Id(id) => return wit_def(resolve, *id),
        T::Bool => "bool",
        T::U8 => "u8",
        T::U16 => "u16",
        T::U32 => "u32",
        T::U64 => "u64",
        T::S8 => "s8",
        T::S16 => "s16",
        T::S32 => "s32",
        T::S64 => "s64",
        T::F32 => "f32",
        T::F64 => "f64",
        T::Char => "char",
        T::String => "string",
        T::ErrorContext => "error-context",
    };
    word.to_owned()
}

fn wit_def(resolve: &Resolve, id: TypeId) -> String {
    let of = |ty: &wit_parser::Type| wit(resolve, ty);
    match &resolve.types[id].kind {
        TypeDefKind::Type(ty) => of(ty),
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::Result(result) => result_of(result.ok.as_ref().map(of), result.err.as_ref().map(of)),
        TypeDefKind::Tuple(tuple) => {
            format!("tuple<{}>", tuple.types.iter().map(of).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Record(record) => {
            cases("record", record.fields.iter().map(|field| (field.name.clone(), Some(of(&field.ty)))))
        }
        TypeDefKind::Enum(cases_) => cases("enum", cases_.cases.iter().map(|case| (case.name.clone(), None))),
        TypeDefKind::Flags(flags) => cases("flags", flags.flags.iter().map(|flag| (flag.name.clone(), None))),
        TypeDefKind::Variant(variant) => {
            cases("variant", variant.cases.iter().map(|case| (case.name.clone(), case.ty.as_ref().map(of))))
        }
        TypeDefKind::Handle(Handle::Own(id)) => format!("own<{}>", resource_name(resolve, *id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", resource_name(resolve, *id)),
        TypeDefKind::Resource => format!("own<{}>", resource_name(resolve, id)),
        other => other.as_str().to_owned(),
    }
}

/// The name of a resource, through the `use`s that lead to it.
fn resource_name(resolve: &Resolve, id: TypeId) -> &str {
    match &resolve.types[id].kind {
        TypeDefKind::Type(wit_parser::Type::Id(inner)) => resource_name(resolve, *inner),
        _ => resolve.types[id].name.as_deref().unwrap_or("?"),
    }
}

fn component(ty: &Type, resources: &[(ResourceType, String)]) -> String {
    let of = |ty: Type| component(&ty, resources);
    let resource = |wanted: &ResourceType| {
        resources.iter().find(|(known, _)| known == wanted).map_or("?", |(_, name)| name.as_str())
    };
    let word = match ty {
        Type::Bool => "bool",
        Type::S8 => "s8",
        Type::U8 => "u8",
        Type::S16 => "s16",
        Type::U16 => "u16",
        Type::S32 => "s32",
        Type::U32 => "u32",
        Type::S64 => "s64",
        Type::U64 => "u64",
        Type::Float32 => "f32",
        Type::Float64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::List(list) => return format!("list<{}>", of(list.ty())),
        Type::Option(option) => return format!("option<{}>", of(option.ty())),
        Type::Result(result) => return result_of(result.ok().map(of), result.err().map(of)),
        Type::Tuple(tuple) => {
            return format!("tuple<{}>", tuple.types().map(of).collect::<Vec<_>>().join(", "));
        }
        Type::Record(record) => {
            return cases("record", record.fields().map(|field| (field.name.to_owned(), Some(of(field.ty)))));
        }
        Type::Enum(names) => return cases("enum", names.names().map(|name| (name.to_owned(), None))),
        Type::Flags(names) => return cases("flags", names.names().map(|name| (name.to_owned(), None))),
        Type::Variant(variant) => {
            return cases("variant", variant.cases().map(|case| (case.name.to_owned(), case.ty.map(of))));
        }
        Type::Own(wanted) => return format!("own<{}>", resource(wanted)),
        Type::Borrow(wanted) => return format!("borrow<{}>", resource(wanted)),
        Type::Map(_) => "map",
        Type::Future(_) => "future",
        Type::Stream(_) => "stream",
        Type::ErrorContext => "error-context",
        Type::FixedLengthList(_) => "fixed-length list",
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_reads_and_has_every_file() {
        let contract = read(sources()).expect("the WIT parses");
        assert_eq!(contract.version, (0, 1, 0));
        let files =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).expect("the WIT's folder");
        let files = files.filter(|file| {
            file.as_ref().expect("an entry").path().extension().is_some_and(|extension| extension == "wit")
        });
        assert_eq!(files.count(), WIT.len());
        assert_eq!(contract.exports[&World::Step]["describe"], "func() -> string");
        assert_eq!(
            contract.interfaces["targets"].functions["[method]target.read"],
            "func(self: borrow<target>, path: string) -> result<string, record { kind(enum { denied, unreachable, \
             timeout, not-found, conflict, command-failed, invalid, cancelled, other }), message(string), \
             detail(string) }>"
        );
        assert_eq!(contract.interfaces["artifacts"].resources, ["artifact"]);
    }

    /// One line for each function, sorted.
    fn lines(contract: &Contract) -> Vec<String> {
        let functions = contract.interfaces.iter().flat_map(|(interface, offered)| {
            offered.functions.iter().map(move |(name, signature)| format!("{interface} {name}: {signature}"))
        });
        let exports = contract.exports.iter().flat_map(|(world, exports)| {
            exports
                .iter()
                .map(move |(name, signature)| format!("export of {} {name}: {signature}", world.word()))
        });
        let mut lines: Vec<String> = functions.chain(exports).collect();
        lines.sort();
        lines
    }

    /// The contract of the next patch, with more in one of its files.
    fn extended(file: &str, from: &str, to: &str) -> Contract {
        let mut sources = SourceMap::new();
        for (name, text) in WIT {
            let more = text.replacen(from, to, 1);
            assert!(*name != file || more != *text, "`{file}` has no `{from}`");
            let text = if *name == file { &more } else { *text };
            sources.push_str(name, text.replace("runner:step@0.1.0", "runner:step@0.1.1"));
        }
        read(sources).expect("it parses")
    }

    /// What 0.1.0 had when it was frozen. Nobody edits this file: modules that were built then ask for just this.
    const FROZEN: &str = include_str!("frozen-0.1.0.txt");

    #[test]
    fn what_was_frozen_is_there_as_it_was() {
        let now = lines(contract());
        for line in FROZEN.lines() {
            assert!(
                now.iter().any(|has| has == line),
                "contract 0.1 is frozen, and modules that were built for it need\n  {line}\nadd a function, or another \
                 version beside it"
            );
        }
        // What is new is in a later patch of 0.1, so that whoever uses it can say which runner it needs.
        let added: Vec<_> = now.iter().filter(|line| !FROZEN.lines().any(|frozen| frozen == *line)).collect();
        assert!(added.is_empty() || contract().version > (0, 1, 0), "not in 0.1.0: {added:#?}");
    }

    #[test]
    fn a_function_more_takes_nothing_from_who_does_not_know_it() {
        let later = extended(
            "timer.wit",
            "  /// Waits.",
            "  /// [read] Since the run began.\n  @since(version = 0.1.1)\n  elapsed: func() -> u64;\n\n  /// Waits.",
        );
        let has = lines(&later);
        assert!(FROZEN.lines().all(|line| has.iter().any(|has| has == line)));
        assert_eq!(has.len(), FROZEN.lines().count() + 1);
        assert_eq!(later.interfaces["timer"].functions["elapsed"], "func() -> u64");
        // Another type for what is there already is what the first test refuses.
        let other = extended("timer.wit", "sleep: func(milliseconds: u32)", "sleep: func(milliseconds: u64)");
        assert!(!FROZEN.lines().all(|line| lines(&other).iter().any(|has| has == line)));
    }
}
