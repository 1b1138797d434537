//! The plan language: what `plan.toml` may say. The doc comment of each key is what the plan reference and the JSON
//! Schema say about it, so they are written for users.

mod cluster;
mod gaps;
mod inventory;
mod module;
mod read;
mod read_modules;
mod read_secrets;
mod secrets;
mod strategy;

pub(crate) use gaps::Gaps;
pub(crate) use read::{allow, below, limits, part_of, with};
pub(crate) use strategy::batches;

pub use inventory::{AskedFor, BadInventoryCommand, InventoryCommand, InventorySource};
pub use module::{ModuleRef, ModuleSource};
pub use secrets::{GivenSecret, SecretEntry, SecretSource, SecretTable};
pub use strategy::{BadGoal, Goal, OnFailure};

use crate::quantity::{ByteSize, Period};
use crate::source::{Source, Span, Spanned};
use crate::template::{Template, ValueTemplate};
use crate::{
    EnvironmentName, LabelName, ModuleName, Phase, PlanName, RoleName, SecretName, StepId, UserName, VarName,
};
use schemars::JsonSchema;
use serde_json::Value;
use std::collections::BTreeMap;

/// A plan: what to release, where and how.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// The file.
    #[schemars(skip)]
    pub source: Source,
    /// The version of the plan language. Always 1, in the first line.
    #[schemars(extend("const" = 1))]
    pub plan: u32,
    /// What is released. It names the folder of runs and, without a release root, the folder on targets.
    pub name: Spanned<PlanName>,
    /// One line about this version of the plan: `"4.2: new checkout"`. Shown while it runs and in reports.
    pub summary: Option<Spanned<String>>,
    /// Variables for `${var.NAME}`, with their values. `--var NAME=VALUE` gives another value of the same type for one
    /// run; a name that is not here cannot be given.
    #[schemars(default)]
    pub vars: BTreeMap<VarName, Variable>,
    /// Where the values of secrets come from, by the names that steps are given them by. An environment may have sources of
    /// its own.
    #[schemars(default, with = "BTreeMap<SecretName, SecretTable>")]
    pub secrets: BTreeMap<SecretName, SecretEntry>,
    /// The modules that steps use, by the name that `uses` begins with.
    #[schemars(default)]
    pub modules: BTreeMap<ModuleName, Spanned<ModuleSource>>,
    /// The places that the plan can release to, by the name that `--environment` takes.
    pub environment: BTreeMap<EnvironmentName, Environment>,
    /// What becomes of the artifact on targets. Left out: the plan lays out no release.
    pub release: Option<Spanned<ReleaseTable>>,
    /// Who knows which targets are in service, and takes each of them out around its rollout. Left out: no target is taken
    /// out of service.
    #[schemars(with = "Option<cluster::ClusterTable>")]
    pub cluster: Option<Step>,
    /// On which targets, how many at a time, and what failures do. Needed by `[[stage]]` and `[[rollout]]`.
    pub strategy: Option<Spanned<Strategy>>,
    /// What each step may use of the runner's machine. A step's own `limits` win.
    #[schemars(default)]
    pub limits: LimitsTable,
    /// Steps that run once, in this order, before any target is touched.
    #[schemars(default)]
    pub prepare: Vec<Step>,
    /// Steps that run on all targets at once, before the first one is rolled out.
    #[schemars(default)]
    pub stage: Vec<Step>,
    /// Steps that run for each target, in this order, batch by batch.
    #[schemars(default)]
    pub rollout: Vec<Step>,
    /// Steps that run once, in this order, after the last batch.
    #[schemars(default)]
    pub finish: Vec<Step>,
    /// Steps that run at the end, whatever happened before. They cannot use outputs of steps that may not have run.
    #[schemars(default)]
    pub always: Vec<Step>,
    /// What is in the file and could not be read.
    #[schemars(skip)]
    pub(crate) gaps: Gaps,
}

/// A variable and its value, unless `--var` gives another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// The value; its type is the type of every other value that can be given.
    pub value: Value,
    /// Where its name is written.
    pub name: Span,
    /// Where its value is written.
    pub span: Span,
}

impl JsonSchema for Variable {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Variable".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "number", "boolean", "array", "object"],
            "description": "A value. Strings in it cannot refer to anything.",
        })
    }
}

/// A place to release to.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Environment {
    /// Where its targets are.
    #[schemars(with = "InventorySource")]
    pub inventory: InventorySource,
    /// Sources of secrets in this environment. They win over those of the plan, by name.
    #[schemars(default, with = "BTreeMap<SecretName, SecretTable>")]
    pub secrets: BTreeMap<SecretName, SecretEntry>,
    /// Where its name is written.
    #[schemars(skip)]
    pub span: Span,
}

/// What becomes of the artifact on targets: `ROOT/releases/ID`, `ROOT/shared` and `ROOT/current`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReleaseTable {
    /// The release root on targets, an absolute path. A target's `root` in the inventory wins over it.
    #[schemars(with = "String")]
    pub root: Spanned<Template>,
    /// The artifact, as a step of `[[prepare]]` gives it out: `"${package.artifact}"`. Left out: the plan makes no
    /// release of its own, as when it goes back to an older one.
    #[schemars(with = "Option<String>")]
    pub artifact: Option<Spanned<Template>>,
    /// Files and folders that all releases share, relative to the release: each becomes a link into `ROOT/shared`.
    /// With a slash at the end (`"uploads/"`) it is a folder, which is made when it is missing.
    #[schemars(default, with = "Vec<String>")]
    pub shared: Vec<Spanned<Template>>,
    /// How many good releases are kept on a target. Left out: 5.
    #[schemars(range(min = 1, max = 1000))]
    pub keep: Option<Spanned<u32>>,
    /// Goes in front of the release's id, for people: `"4.2"` makes `4.2-0123456789ab`.
    #[schemars(with = "Option<String>")]
    pub version: Option<Spanned<Template>>,
}

/// On which targets, how many at a time, and what failures do.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Strategy {
    /// The targets of the rollout: those that have this role in the inventory.
    pub role: Spanned<RoleName>,
    /// A label: the target that has it goes first, in a batch of its own. Left out: the order of the inventory.
    pub first: Option<Spanned<LabelName>>,
    /// How many targets are done when each batch ends, as numbers or shares of all: `[1, "25%", "100%"]` is one
    /// target, then up to a quarter of them, then all. Shares are rounded up. The last must reach all of them; a batch
    /// that adds nothing, since there are few targets, is left out. Left out: `[1, "100%"]`.
    pub batches: Option<Spanned<Vec<Spanned<Goal>>>>,
    /// How long to wait between two batches. Left out: not at all.
    pub pause: Option<Spanned<Period>>,
    /// How many targets are in service at least, as a number or a share of all of the role, rounded up: a target is taken
    /// out only when so many are left, also within a batch. Needs `[cluster]`. Left out: any number may leave.
    pub min_in_service: Option<Spanned<Goal>>,
    /// How long a target waits for the end of its rollout. When the runner is lost meanwhile, the target takes itself back:
    /// `current` points to what it pointed to before, and the services of the rollout are asked again. Left out: it
    /// stays as it is.
    pub confirm_timeout: Option<Spanned<Period>>,
    /// How many targets may fail before no further batch begins. An unreachable target counts. Left out: 0.
    pub max_failures: Option<Spanned<u32>>,
    /// What happens when more fail: `"stop"` begins no further batch and leaves each target as it is; `"rollback"` undoes
    /// what the run did, from the last batch to the first. Left out: `"stop"`.
    pub on_failure: Option<Spanned<OnFailure>>,
}

/// What a step may use of the runner's machine. Whoever exceeds it is ended, alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LimitsTable {
    /// Memory of one invocation. Left out: `"256MiB"`.
    pub memory: Option<Spanned<ByteSize>>,
    /// Instructions of one invocation, roughly: the limit that is the same on every machine. Left out: 20,000,000,000.
    pub fuel: Option<Spanned<u64>>,
    /// Time of one attempt, with all that it waits for. A step's `timeout` is the same. Left out: `"30m"`.
    pub time: Option<Spanned<Period>>,
    /// Log lines of one invocation; what is longer is cut. Left out: `"1MiB"`.
    pub log: Option<Spanned<ByteSize>>,
    /// Elements of all tables of one invocation. Left out: 1,000,000.
    pub table_elements: Option<Spanned<u32>>,
    /// Core instances that one component may be made of. Left out: 64.
    pub instances: Option<Spanned<u32>>,
}

/// One use of a module.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// Names the step, in the plan only once: in references (`${package.artifact}`), on the terminal, in the journal.
    pub id: Spanned<StepId>,
    /// The module: `"std/switch"`, or the name of a module that `[modules]` has by its path.
    pub uses: Spanned<String>,
    /// The parameters. What a module takes is in its documentation and is checked before the run.
    #[schemars(default, with = "BTreeMap<String, Value>")]
    pub with: With,
    /// Where the step runs: a role, a target, or `"localhost"`. In `[[stage]]` and `[[rollout]]`, a target outside the
    /// rollout is acted on once for each target of it. Left out: on each target of the rollout, and `localhost` for a
    /// step that runs once.
    pub on: Option<Spanned<String>>,
    /// Runs a step once that would run on each target: on the first one.
    pub once: Option<Spanned<bool>>,
    /// How long one attempt may take. Left out: what `limits` say.
    pub timeout: Option<Spanned<Period>>,
    /// Tries again after a failure.
    pub retry: Option<Spanned<RetryTable>>,
    /// The user that the step acts as on the target, through `sudo -n`. Wins over the inventory's. It is a grant: the
    /// lock records it.
    #[schemars(rename = "become")]
    pub acts_as: Option<Spanned<UserName>>,
    /// The secrets that the step is given, by their names in `[secrets]`: `["db-password"]`. A table gives them the names
    /// that the module knows them by: `{ password = "db-password" }`. It is a grant: the lock records the names and the
    /// sources.
    #[schemars(default, schema_with = "secrets::given_schema")]
    pub secrets: Vec<GivenSecret>,
    /// Narrows what the module may do to these grants.
    pub allow: Option<Spanned<AllowTable>>,
    /// Once this step has begun anywhere, nothing is rolled back by itself: it cannot be undone, as a migration of a
    /// database cannot. A failure then stops the run, and no target takes itself back.
    pub no_return: Option<Spanned<bool>>,
    /// This step holds of every release: it also tests a target whose changes were undone, before that is put back into
    /// service. Where it fails, the target stays out. Only for steps of `[[rollout]]` that change nothing.
    pub after_undo: Option<Spanned<bool>>,
    /// What this step may use, where it differs from `[limits]`.
    #[schemars(default)]
    pub limits: LimitsTable,
    /// Where the step begins.
    #[schemars(skip)]
    pub span: Span,
}

/// How a step is tried again after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RetryTable {
    /// How often, after the first attempt.
    #[schemars(range(min = 1, max = 100))]
    pub times: Spanned<u32>,
    /// How long to wait in between. Left out: `"1s"`.
    pub delay: Option<Spanned<Period>>,
}

/// Grants: what a step may do at most. A kind that is left out allows nothing of that kind.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AllowTable {
    /// On targets: `"read:/srv/shop"`, `"service:nginx reload"`, `"exec-read:uptime"`.
    #[schemars(default)]
    pub ssh: Vec<Spanned<String>>,
    /// Beside the plan: `"read:src"`.
    #[schemars(default)]
    pub files: Vec<Spanned<String>>,
    /// Over HTTP: `"GET https://shop.example.org/health"`.
    #[schemars(default)]
    pub http: Vec<Spanned<String>>,
    /// Secrets, by their names in `[secrets]`: `"db-password"`.
    #[schemars(default)]
    pub secrets: Vec<Spanned<String>>,
}

/// Parameters, and where each value in them was written.
#[derive(Debug, Clone, PartialEq)]
pub struct With {
    /// The parameters, an object.
    pub value: ValueTemplate,
    /// The place of each value, by its JSON pointer; the empty one is the whole.
    pub places: BTreeMap<String, Span>,
    /// The place of the key of each value that has one, by the JSON pointer of the value.
    pub keys: BTreeMap<String, Span>,
}

impl Default for With {
    fn default() -> Self {
        Self { value: ValueTemplate::Object(BTreeMap::new()), places: BTreeMap::new(), keys: BTreeMap::new() }
    }
}

impl With {
    /// Where the value at a JSON pointer was written: itself, or what it is in.
    pub fn place(&self, pointer: &str) -> Option<Span> {
        let mut at = pointer;
        loop {
            if let Some(span) = self.places.get(at) {
                return Some(*span);
            }
            at = &at[..at.rfind('/')?];
        }
    }
}

impl Plan {
    /// Every use of a module: the steps, and the cluster.
    pub fn uses(&self) -> impl Iterator<Item = &Step> {
        self.steps().map(|(_, step)| step).chain(&self.cluster)
    }

    /// All steps with their phases, in the order in which they run.
    pub fn steps(&self) -> impl Iterator<Item = (Phase, &Step)> {
        Phase::ALL.into_iter().flat_map(|phase| self.phase(phase).iter().map(move |step| (phase, step)))
    }

    /// The steps of one phase.
    pub fn phase(&self, phase: Phase) -> &[Step] {
        match phase {
            Phase::Prepare => &self.prepare,
            Phase::Stage => &self.stage,
            Phase::Rollout => &self.rollout,
            Phase::Finish => &self.finish,
            Phase::Always => &self.always,
        }
    }
}
