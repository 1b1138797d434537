//! Data and rules of `runner`: what is in a plan, what a grant allows, what happened in a run.
//!
//! No input or output, no wasm, no ssh: everything here is a plain value or a plain function, tested in a second.

pub mod check;
pub mod diagnostic;
pub mod fields;
pub mod format;
pub mod grant;
pub mod inventory;
pub mod limit;
pub mod lock;
pub mod manifest;
pub mod oci;
pub mod pattern;
pub mod plan;
pub mod policy;
pub mod quantity;
pub mod schema;
pub mod source;
pub mod suggest;
pub mod template;
pub mod text;
pub mod trial;
pub mod words;

mod act;
mod digest;
mod effect;
mod event;
mod fact;
mod failure;
mod name;
mod path;
mod read;
mod release;
mod resolved;
mod schedule;
mod secret;
mod shape;
mod standing;

pub use act::{Act, Difference, EffectEnd, Effected, Hidden};
pub use check::{LoadedModule, Modules, Pinned, check};
pub use diagnostic::{Problem, Problems};
pub use digest::{Digest, NotADigest};
pub use effect::{
    Attributes, Change, Command, Content, EffectClass, EffectKey, Entry, EntryKind, Exchange, HIDDEN, Link,
    Mark, Release, Request, ServiceAction, State,
};
pub use event::{End, Event, Level, Limited, Phase, Stamped, Tally, TargetEnd, Verdict};
pub use fact::{BadAnswer, Fact, NoFact, TargetFacts};
pub use failure::{Failure, FailureKind};
pub use inventory::{Inventory, Target};
pub use limit::Limit;
pub use lock::{Lock, LockedEnvironment, LockedStep, Stale};
pub use manifest::{Manifest, ManifestError, Occurs};
pub use name::{
    Acting, BadName, EnvironmentName, GroupName, LabelName, ModuleName, PlanName, ReleaseId, RoleName, RunId,
    SecretName, StepId, TargetName, UndoKey, UserName, VarName,
};
pub use path::{BadPath, RemotePath};
pub use plan::{ModuleRef, OnFailure, Plan};
pub use quantity::{ByteSize, Period};
pub use release::{ArtifactOutput, ReleaseSpec, release_id};
pub use resolved::{Facts, Limits, Resolved, ResolvedStep, RootGrants, StepScope};
pub use schedule::{Gate, Retry, Runs, Schedule, ScheduledStep};
pub use secret::{Secret, SecretPart};
pub use shape::{BadShape, Misfit, Shape, Why};
pub use standing::{Service, Standing};
