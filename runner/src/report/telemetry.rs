//! Telemetry among the reporters: what is sent is not talk, and nothing that it does fails a run.

use super::Reporter;
use runner_model::Stamped;
use runner_telemetry::Telemetry;
use std::io;

/// Hands events to what sends them.
pub struct Sent(pub Telemetry);

impl Reporter for Sent {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        self.0.event(stamped);
        Ok(())
    }
}
