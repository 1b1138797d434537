//! Which modules a plan uses, and where they come from.

use super::{Plan, Step};
use crate::oci::{BadModule, OciModule};
use crate::suggest::closest;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// An entry of `[modules]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModuleSource {
    /// The standard modules, which are part of the runner: `std = "builtin"` gives `std/NAME`.
    Builtin,
    /// A component in a file, relative to the plan: `check = { path = "steps/check.wasm" }`.
    Path(String),
    /// A component in an OCI registry: `greet = { oci = "registry.example.org/team/greet", version = "1.2" }`. The lock
    /// says which version that is; it is fetched once, and verified by its digest.
    Oci(OciModule),
}

impl JsonSchema for ModuleSource {
    fn schema_name() -> Cow<'static, str> {
        "ModuleSource".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`\"builtin\"` for the standard modules, which are then used as `std/NAME` when the entry is \
                            named `std`; `{ path = \"steps/check.wasm\" }`, relative to the plan; or `{ oci = \
                            \"registry.example.org/team/greet\", version = \"1.2\" }`, of which the lock says which \
                            version it is.",
            "oneOf": [
                { "const": "builtin" },
                {
                    "type": "object",
                    "properties": {
                        "path": { "type": "string", "description": "The component's file, relative to the plan." }
                    },
                    "required": ["path"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "oci": {
                            "type": "string",
                            "description": "Registry and path; with `:TAG` or `@sha256:…` there is no `version`."
                        },
                        "version": {
                            "type": "string",
                            "description": "Which versions fit: `1.2` is every 1.x from 1.2.0 on, `=1.2.0` is that one. \
                                            `runner lock` takes the newest, and keeps it until `--update`."
                        }
                    },
                    "required": ["oci"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// One module, wherever a plan's `[modules]` gets it from. Printed as `builtin:switch`, `path:steps/check.wasm` or
/// `oci:registry.example.org/team/greet@1.2`, as the lock names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ModuleRef {
    /// A standard module, by its name.
    Builtin(String),
    /// A component in a file, relative to the plan.
    Path(String),
    /// A component in a registry.
    Oci(OciModule),
}

impl fmt::Display for ModuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::Path(path) => write!(f, "path:{path}"),
            Self::Oci(module) => write!(f, "oci:{module}"),
        }
    }
}

/// Text that names no module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadModuleRef {
    /// It has none of the forms.
    #[error("`{}` is not a module: `builtin:NAME`, `path:FILE` or `oci:REGISTRY/PATH:TAG`", .0.escape_debug())]
    Form(String),
    /// It is to be one of a registry.
    #[error(transparent)]
    Oci(#[from] BadModule),
}

impl FromStr for ModuleRef {
    type Err = BadModuleRef;
    fn from_str(text: &str) -> Result<Self, BadModuleRef> {
        match text.split_once(':') {
            Some(("builtin", name)) if !name.is_empty() => Ok(Self::Builtin(name.to_owned())),
            Some(("path", path)) if !path.is_empty() => Ok(Self::Path(path.to_owned())),
            Some(("oci", module)) => Ok(Self::Oci(module.parse()?)),
            _ => Err(BadModuleRef::Form(text.to_owned())),
        }
    }
}

impl TryFrom<String> for ModuleRef {
    type Error = BadModuleRef;
    fn try_from(text: String) -> Result<Self, BadModuleRef> {
        text.parse()
    }
}

impl From<ModuleRef> for String {
    fn from(module: ModuleRef) -> Self {
        module.to_string()
    }
}

/// A `uses` that names no module of `[modules]`, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoModule {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Plan {
    /// The module that a step uses; `None` when `uses` names none of `[modules]`, which `check` reports.
    pub fn module_of(&self, step: &Step) -> Option<ModuleRef> {
        self.find_module(&step.uses).ok()
    }

    /// Every module that a step uses, with where the first such `uses` is written.
    pub fn module_refs(&self) -> BTreeMap<ModuleRef, crate::source::Span> {
        let mut modules = BTreeMap::new();
        for step in self.uses() {
            if let Some(module) = self.module_of(step) {
                modules.entry(module).or_insert(step.uses.span);
            }
        }
        modules
    }

    pub(crate) fn find_module(&self, uses: &str) -> Result<ModuleRef, NoModule> {
        let (entry, name) = match uses.split_once('/') {
            Some((entry, name)) => (entry, Some(name)),
            None => (uses, None),
        };
        let source =
            self.modules.iter().find(|(key, _)| key.as_str() == entry).map(|(_, source)| &source.value);
        match (source, name) {
            (Some(ModuleSource::Builtin), Some(name)) if !name.is_empty() => {
                Ok(ModuleRef::Builtin(name.to_owned()))
            }
            (Some(ModuleSource::Path(path)), None) => Ok(ModuleRef::Path(path.clone())),
            (Some(ModuleSource::Oci(module)), None) => Ok(ModuleRef::Oci(module.clone())),
            (Some(ModuleSource::Builtin), _) => Err(NoModule {
                message: format!("`{entry}` is not one module but all the standard ones"),
                hint: format!("name one of them, as in `uses = \"{entry}/switch\"`"),
            }),
            (Some(ModuleSource::Path(_) | ModuleSource::Oci(_)), Some(_)) => Err(NoModule {
                message: format!("`{entry}` is one module and has none below it"),
                hint: format!("write `uses = \"{entry}\"`"),
            }),
            (None, name) => {
                let near = closest(entry, self.modules.keys().map(|key| key.as_str()));
                let hint = match (near, entry, name) {
                    (Some(near), _, Some(name)) => format!("did you mean `{near}/{name}`?"),
                    (Some(near), _, None) => format!("did you mean `{near}`?"),
                    (None, "std", _) => "add `std = \"builtin\"` to `[modules]`".to_owned(),
                    (None, ..) => {
                        format!(
                            "add `{entry} = {{ path = \"{entry}.wasm\" }}` to `[modules]`",
                            entry = entry.escape_debug()
                        )
                    }
                };
                Err(NoModule { message: format!("`[modules]` has no `{}`", entry.escape_debug()), hint })
            }
        }
    }
}
