//! What no step may do to a target while requests are sent to it, whatever it is granted: that is decided where it is
//! known who is in service.

use runner_model::{Change, EffectClass, Failure, ServiceAction, TargetName};

/// Whoever knows which targets are in service.
pub trait Gate: Send + Sync {
    /// Whether this may be done to a machine now.
    ///
    /// # Errors
    /// `denied`: it is in service.
    fn allows(&self, on: &TargetName, touch: Touch<'_>) -> Result<(), Failure>;
    /// A change was made: what is live may be something else now.
    fn changed(&self, on: &TargetName, change: &Change);
}

/// Something that is about to be done to a machine.
#[derive(Debug, Clone, Copy)]
pub enum Touch<'a> {
    /// A file, a folder or a link becomes another one.
    Change(&'a Change),
    /// The init system is asked.
    Service(&'a str, ServiceAction),
    /// A command is run.
    Command(&'a str, EffectClass),
}
