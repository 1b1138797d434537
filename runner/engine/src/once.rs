//! A step that runs once amid steps that run on each target: one flow runs it, the others wait for its end.

use runner_model::StepId;
use tokio::sync::watch;

/// The one invocation of such a step.
#[derive(Debug)]
pub(crate) struct Once {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unclaimed,
    Claimed,
    Ended(OnceEnd),
}

/// How it ended, for those who waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnceEnd {
    Passed,
    Failed,
    Stopped,
}

impl Default for Once {
    fn default() -> Self {
        Self { state: watch::Sender::new(State::Unclaimed) }
    }
}

impl Once {
    /// Whether the caller is the one that runs it; it must say how it ended.
    pub(crate) fn claim(&self) -> bool {
        self.state.send_if_modified(|state| {
            let free = *state == State::Unclaimed;
            if free {
                *state = State::Claimed;
            }
            free
        })
    }

    /// Tells those who wait.
    pub(crate) fn end(&self, end: OnceEnd) {
        self.state.send_replace(State::Ended(end));
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> OnceEnd {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`: an error cannot come.
        match state.wait_for(|state| matches!(state, State::Ended(_))).await.map(|state| *state) {
            Ok(State::Ended(end)) => end,
            Ok(_) | Err(_) => OnceEnd::Stopped,
        }
    }
}

/// What a target is told that cannot go on because of such a step.
pub(crate) fn barred(step: &StepId) -> String {
    format!("step `{}`, which runs once for all targets, did not pass", step.as_str())
}
