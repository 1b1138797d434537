//! What one invocation may use up. Everything that a guest can make the host keep or do has a limit here.

use runner_model::words;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// The limits of one invocation. The defaults are far above what the standard modules need, and far below what hurts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Limits {
    /// Bytes of linear memory, all memories of the invocation together.
    pub memory: usize,
    /// How many memories: a component of several core modules has one for each.
    pub memories: usize,
    /// How many tables.
    pub tables: usize,
    /// Elements of tables, all tables together.
    pub table_elements: usize,
    /// Core instances inside the component.
    pub instances: usize,
    /// Instructions, roughly: the same on every machine.
    pub fuel: u64,
    /// Wall time of the whole invocation, waiting included.
    pub time: Duration,
    /// Bytes of log lines and progress, together.
    pub log: usize,
    /// Bytes of one log line; the rest of a longer one is cut.
    pub log_line: usize,
    /// Bytes of stderr that are kept: the last ones.
    pub stderr: usize,
    /// Handles that are held at the same time: targets, commands, requests, artifacts.
    pub handles: usize,
    /// Calls that are recorded: each is a line of the journal.
    pub calls: u32,
    /// Bytes of the arguments of one call.
    pub argument: usize,
    /// Bytes that commands and requests in the making keep in the host, together.
    pub held: usize,
    /// Bytes of the outputs.
    pub output: usize,
}

/// The most that a record from elsewhere is given of what plans can raise.
const BOUNDED_MEMORY: usize = 4096 * MIB;
const BOUNDED_LOG: usize = 256 * MIB;

/// One MiB.
const MIB: usize = 1024 * 1024;

impl Limits {
    /// The same, with no more than a machine can spare for a record that comes from anybody.
    pub(crate) fn bounded(self) -> Self {
        let most = Self::default();
        Self {
            memory: self.memory.min(BOUNDED_MEMORY),
            memories: self.memories.min(most.memories),
            tables: self.tables.min(most.tables),
            table_elements: self.table_elements.min(most.table_elements),
            instances: self.instances.min(most.instances),
            // The time bounds it.
            fuel: self.fuel,
            time: self.time.min(most.time),
            log: self.log.min(BOUNDED_LOG),
            log_line: self.log_line.min(most.log_line),
            stderr: self.stderr.min(most.stderr),
            handles: self.handles.min(most.handles),
            calls: self.calls.min(most.calls),
            argument: self.argument.min(most.argument),
            held: self.held.min(most.held),
            output: self.output.min(most.output),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 * MIB,
            memories: 8,
            tables: 64,
            table_elements: 1_000_000,
            instances: 64,
            fuel: 20_000_000_000,
            time: Duration::from_secs(30 * 60),
            log: MIB,
            log_line: 8 * 1024,
            stderr: 16 * 1024,
            handles: 1024,
            calls: 100_000,
            // Room for the 16 MiB that `artifacts.from-bytes` takes.
            argument: 17 * MIB,
            held: 64 * MIB,
            output: MIB,
        }
    }
}

impl Limits {
    /// What `describe` gets: it is pure, so it needs next to nothing.
    pub fn for_describe() -> Self {
        Self {
            memory: 64 * MIB,
            fuel: 500_000_000,
            time: Duration::from_secs(10),
            output: MIB,
            ..Self::default()
        }
    }
}

/// The limit that an invocation ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It asked for this many bytes of memory.
    Memory(usize),
    /// It asked for this many table elements.
    TableElements(usize),
    /// Its log.
    Log,
    /// Its handles.
    Handles,
    /// Its recorded calls.
    Calls,
    /// What its commands and requests in the making keep in the host.
    Held,
    /// Its wall time.
    Time,
    /// Its instructions.
    Fuel,
}

impl Reached {
    /// The key of the plan's `[limits]` that raises it; `None` where it is fixed.
    pub fn key(self) -> Option<&'static str> {
        match self {
            Self::Memory(_) => Some("memory"),
            Self::Log => Some("log"),
            Self::Time => Some("time"),
            Self::Fuel => Some("fuel"),
            Self::TableElements(_) | Self::Handles | Self::Calls | Self::Held => None,
        }
    }

    /// What happened, as a fragment that fits after the name of the step and the module.
    pub fn describe(self, limits: &Limits) -> String {
        match self {
            Self::Memory(asked) => {
                format!("asked for {} of memory, its limit is {}", Bytes(asked), Bytes(limits.memory))
            }
            Self::TableElements(asked) => {
                format!("asked for {asked} table elements, its limit is {}", limits.table_elements)
            }
            Self::Log => format!("wrote more than {} of log, its limit", Bytes(limits.log)),
            Self::Handles => format!("held more than {} handles, its limit", limits.handles),
            Self::Calls => format!("made more than {} calls, its limit", limits.calls),
            Self::Held => {
                format!("put more than {} into commands and requests, its limit", Bytes(limits.held))
            }
            Self::Time => format!("took longer than {}, its limit", Seconds(limits.time)),
            Self::Fuel => {
                format!("ran more than {} instructions, its limit: an endless loop?", limits.fuel)
            }
        }
    }
}

/// A number of bytes for people.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::size(u64::try_from(self.0).unwrap_or(u64::MAX)))
    }
}

/// A duration for people.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::duration(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Counts what a store's memories and tables use, all together. wasmtime's own `StoreLimits` counts each memory by
/// itself, so that eight memories would have eight times the limit.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    memory: usize,
    table_elements: usize,
    reached: Option<Reached>,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, memory: 0, table_elements: 0, reached: None }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The first limit that was run into. A guest may go on after a refused `memory.grow`; where it does not, this
    /// is why it trapped.
    pub(crate) fn reached(&self) -> Option<Reached> {
        self.reached
    }

    pub(crate) fn reach(&mut self, limit: Reached) {
        self.reached.get_or_insert(limit);
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let sum = self.memory.saturating_add(desired.saturating_sub(current));
        if sum > self.limits.memory {
            self.reach(Reached::Memory(sum));
            return Ok(false);
        }
        // What the module's own maximum refuses is not used, so it is not counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory = sum;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let sum = self.table_elements.saturating_add(desired.saturating_sub(current));
        if sum > self.limits.table_elements {
            self.reach(Reached::TableElements(sum));
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table_elements = sum;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let mut meter = Meter::new(Limits { memory: 100, ..Limits::default() });
        assert!(meter.memory_growing(0, 60, None).expect("counts"));
        assert!(!meter.memory_growing(0, 60, None).expect("counts"));
        assert!(meter.memory_growing(0, 40, None).expect("counts"));
        assert_eq!(meter.reached(), Some(Reached::Memory(120)));
    }

    #[test]
    fn what_the_modules_own_maximum_refuses_is_not_counted() {
        let mut meter = Meter::new(Limits { memory: 100, ..Limits::default() });
        assert!(!meter.memory_growing(0, 60, Some(50)).expect("counts"));
        assert!(meter.memory_growing(0, 100, None).expect("counts"));
        assert_eq!(meter.reached(), None);
    }

    #[test]
    fn a_reached_limit_says_which_and_how_much() {
        let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
        assert_eq!(
            Reached::Memory(300 * MIB).describe(&limits),
            "asked for 300 MiB of memory, its limit is 256 MiB"
        );
        assert_eq!(Reached::Time.describe(&limits), "took longer than 300 ms, its limit");
        assert_eq!(Reached::Log.describe(&limits), "wrote more than 1 MiB of log, its limit");
    }
}
