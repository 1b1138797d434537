//! What no step may do to a target while requests are sent to it, whatever it is granted: that is decided where it is
//! known who is in service.

use runner_model::{Change, EffectClass, Failure, RemotePath, ServiceAction, TargetName};

/// Whoever knows which targets are in service.
pub trait Gate: Send + Sync {
    /// Whether this may be done to a machine now.
    ///
    /// # Errors
    /// `denied`: it is in service.
    fn allows(&self, on: &TargetName, touch: Touch<'_>) -> Result<(), Failure>;
    /// What nothing that is done to it may lead to now, by whatever name; the machine itself finds out where links lead.
    fn spared(&self, on: &TargetName) -> Vec<RemotePath>;
    /// Something led there.
    fn led_there(&self);
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
