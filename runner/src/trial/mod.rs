//! Tests of one step in the real sandbox: the engine, the grants and the limits of a run, and nothing behind them but what
//! the test says. Nothing here prints, and nothing here reaches a machine, the network, the clock or a file of the user's.
//!
//! | module | why it exists |
//! | --- | --- |
//! | `world` | what the step acts in, made for one test |
//! | `machine` | the target: an overlay over an empty machine |
//! | `script`, `requests` | what commands, sockets, units and requests answer |
//! | `account` | what the step called, and where something goes wrong on purpose |
//! | `judge` | what was expected, held against what is |
//! | `sweep` | each call of a good run fails once, and the step must come to the same end afterwards |
//! | `recorded` | a run that was recorded, with this component in the place of its own |

mod account;
mod judge;
mod machine;
pub mod recorded;
mod requests;
mod script;
pub mod sweep;
#[cfg(test)]
mod tests;
mod world;

pub use account::{Made, Went};
pub use judge::Wrong;

use crate::host::schema::Schemas;
use crate::module::load::Module;
use crate::sandbox::{Prepared, Sandbox};
use account::{At, Planned};
use runner_model::trial::Trial;
use runner_model::{Failure, FailureKind, Problems};
use world::World;

/// A module that is ready to be tested.
pub struct Bench {
    sandbox: Sandbox,
    prepared: Prepared,
    module: Module,
    schemas: Schemas,
}

/// What came of a test.
#[derive(Debug)]
pub struct Verdict {
    /// What is not as expected; nothing: it passed.
    pub wrong: Vec<Wrong>,
    /// What the step called.
    pub calls: Vec<Made>,
    /// What it said.
    pub log: Vec<String>,
}

impl Bench {
    /// Links a module.
    ///
    /// # Errors
    /// The sandbox cannot start, or the module does not fit it.
    pub fn new(engine: &wasmtime::Engine, module: Module) -> Result<Self, Failure> {
        let other = |error: &dyn std::fmt::Display| Failure::new(FailureKind::Other, error);
        let sandbox = Sandbox::new(engine).map_err(|error| other(&format_args!("{error:#}")))?;
        let prepared = sandbox.prepare(&module.component, module.imports.wasi, module.manifest.world);
        let prepared = prepared.map_err(|error| other(&format_args!("{error:#}")))?;
        let schemas = Schemas::of(&module.manifest)?;
        Ok(Self { sandbox, prepared, module, schemas })
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Runs a test.
    ///
    /// # Errors
    /// What is wrong with the test itself: nothing ran.
    pub async fn run(&self, trial: &Trial) -> Result<Verdict, Problems> {
        let mut world = World::new(trial, self).await?;
        let planned = trial
            .faults
            .iter()
            .map(|fault| Planned { at: At::Name(fault.call.clone(), fault.nth), goes: fault.what.clone() });
        let attempt = world.attempt(self, trial.attempt, planned.collect()).await;
        let mut wrong = judge::attempt(trial, &world, &attempt).await;
        if wrong.is_empty() && trial.expect.again.is_some() {
            world.forget();
            let again = world.attempt(self, 1, vec![]).await;
            wrong.extend(judge::again(trial, &world, &again));
        }
        if wrong.is_empty() {
            wrong.extend(judge::unused(&world));
        }
        let log = attempt.log.into_iter().map(|(_, line)| line).collect();
        Ok(Verdict { wrong, calls: attempt.calls, log })
    }
}
