//! The same step in every language does the same: its manifest, its calls in their order, its errors and its outputs,
//! in real runs of the real program against a real server; and it can be done again from its record.
//!
//! The components of contract 0.1 are kept in `kept/`: every later runner must run them. What is built from
//! `examples/steps` today goes through the same suite.

mod built;
mod kept;
mod manifest;
mod place;
mod probes;
mod suite;

use std::collections::BTreeMap;

/// A component of the reference step.
pub(crate) struct Candidate {
    /// What it is written in, and whether it is a kept one.
    pub(crate) name: String,
    /// The component.
    pub(crate) bytes: Vec<u8>,
}

/// What every candidate said, held against the first one: a difference is told with both.
pub(crate) fn all_the_same<T: PartialEq + std::fmt::Debug>(of: BTreeMap<String, T>) {
    let mut all = of.into_iter();
    let Some((first, said)) = all.next() else { panic!("there are no candidates") };
    for (other, also) in all {
        assert!(also == said, "{first} and {other} differ:\n{said:#?}\n\n{also:#?}");
    }
}
