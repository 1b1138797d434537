//! What of a plan could not be read. Each gap has been reported; whoever checks the rest asks here, so that what
//! follows from a gap is not blamed a second time.

use crate::StepId;
use std::collections::BTreeSet;

/// The gaps of a plan; none when the plan was read as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Gaps {
    pub(crate) vars: Names,
    pub(crate) modules: Names,
    /// Secrets, whatever environment they are for.
    pub(crate) secrets: Names,
    pub(crate) environments: Names,
    /// `[release]`, or a part of it.
    pub(crate) release: bool,
    /// `[strategy]`, or the role in it.
    pub(crate) strategy: bool,
    /// `[cluster]`, or the module in it.
    pub(crate) cluster: bool,
    /// Steps that are not in the plan: their ids, or all where an id itself was not read.
    pub(crate) steps: Names,
    /// Steps whose parameters are not all there.
    pub(crate) parameters: BTreeSet<StepId>,
    /// Steps whose `secrets` are not all there.
    pub(crate) given_secrets: BTreeSet<StepId>,
    /// Steps of which it is not clear where they run.
    pub(crate) places: BTreeSet<StepId>,
}

impl Gaps {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The names of things that were not read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Names {
    /// It is not even known how they are called.
    all: bool,
    names: BTreeSet<String>,
}

impl Names {
    /// One that is called like this.
    pub(crate) fn add(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    /// Any number of them, whatever they are called.
    pub(crate) fn add_all(&mut self) {
        self.all = true;
    }

    /// Whether this may be one of them.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all || self.names.contains(name)
    }
}
