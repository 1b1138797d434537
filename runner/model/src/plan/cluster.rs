//! What `[cluster]` may say. It is read as a step: this is the shape of the table, for the schema and the reference.

use super::{AllowTable, GivenSecret, LimitsTable, With, secrets};
use crate::UserName;
use crate::quantity::Period;
use schemars::JsonSchema;
use serde_json::Value;
use std::collections::BTreeMap;

/// Who knows which targets are in service. The runner asks it before the first batch, at every batch and after the last
/// one, has it take each target out before its rollout, and has it put back those that it found in service.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "its fields are what the schema says")]
pub(super) struct ClusterTable {
    /// The module: `"std/haproxy"`, or the name of a module that `[modules]` has by its path. It must be one for
    /// clusters.
    uses: String,
    /// Where it acts: the role or the target of the load balancer. Of a role with several targets each is asked, and a
    /// target is out of service when it is at all of them. The role of `[strategy]`: on each target itself.
    on: String,
    /// The parameters. `${target.name}` and the other references to a target mean the one whose service it is about.
    #[schemars(default, with = "BTreeMap<String, Value>")]
    with: With,
    /// How long taking one target out, or putting it back, may take. Left out: what `limits` say.
    timeout: Option<Period>,
    /// The user that it acts as, through `sudo -n`. It is a grant: the lock records it.
    #[schemars(rename = "become")]
    acts_as: Option<UserName>,
    /// The secrets that it is given, as for a step.
    #[schemars(default, schema_with = "secrets::given_schema")]
    secrets: Vec<GivenSecret>,
    /// Narrows what the module may do to these grants.
    allow: Option<AllowTable>,
    /// What it may use, where it differs from `[limits]`.
    #[schemars(default)]
    limits: LimitsTable,
}
