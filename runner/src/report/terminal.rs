//! The live view for people: what every target does at this moment, at the bottom of the terminal. What must not be
//! missed (failures, warnings, a halt) is written above it and stays.

use super::live::Live;
use super::paint::Paint;
use super::plain::{halted, tag};
use super::{Reporter, service};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use runner_model::words::duration;
use runner_model::{End, Event, Level, Stamped, text};
use std::io;
use std::time::Instant;

/// Draws the view.
pub struct Terminal {
    bar: ProgressBar,
    /// Height and width, asked at every drawing: it follows when the window is resized.
    size: Box<dyn Fn() -> (u16, u16) + Send>,
    live: Live,
    paint: Paint,
    debug: bool,
    /// The time of the last event, and when it came here.
    seen: (u64, Instant),
    begun: bool,
}

impl Terminal {
    pub(super) fn on_stderr(paint: Paint, debug: bool) -> Self {
        let term = Term::stderr();
        Self::new(ProgressDrawTarget::stderr(), Box::new(move || term.size()), paint, debug)
    }

    fn new(
        target: ProgressDrawTarget,
        size: Box<dyn Fn() -> (u16, u16) + Send>,
        paint: Paint,
        debug: bool,
    ) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        // Text of the view never goes through the template language: it is put in by key.
        bar.set_style(
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        let seen = (0, Instant::now());
        Self { bar, size, live: Live::default(), paint, debug, seen, begun: false }
    }

    fn draw(&self, now: u64) {
        let (height, width) = (self.size)();
        let lines = self.live.lines(now, height.into(), width.into(), self.paint);
        self.bar.set_message(lines.join("\n"));
    }

    /// The line that stays, for those events that have one.
    fn lasting(&self, event: &Event) -> Option<String> {
        let paint = self.paint;
        let at = |target: &str, step: &str| format!("{} {step}", paint.strong(target));
        Some(match event {
            Event::RunStarted { summary: Some(summary), .. } => paint.strong(summary),
            Event::ReleaseNamed { release } => format!("release {}", paint.strong(release.as_str())),
            Event::Unreachable { target, failure } => {
                format!(
                    "{} {}: {}",
                    paint.strong(target.as_str()),
                    paint.bad("unreachable"),
                    text::shown(&failure.message)
                )
            }
            Event::StepFinished { step, target, end: End::Failed { failure, .. }, .. } => {
                let failed = paint.bad("failed");
                format!("{} {failed}: {}", at(target.as_str(), step.as_str()), text::shown(&failure.message))
            }
            Event::StepRetried { step, target, delay, .. } => {
                format!("{} tries again in {}", at(target.as_str(), step.as_str()), duration(*delay))
            }
            Event::Log { step, target, level, message } => {
                let shown = match level {
                    Level::Debug => self.debug,
                    // In the target's own line, as long as the step runs.
                    Level::Info => false,
                    Level::Warn | Level::Error => true,
                };
                if !shown {
                    return None;
                }
                let tag =
                    if *level == Level::Error { paint.bad(tag(*level)) } else { paint.doubtful(tag(*level)) };
                format!("{} {tag}{}", at(target.as_str(), step.as_str()), text::shown(message))
            }
            Event::Halted { failures, allowed } => paint.bad(&halted(*failures, *allowed)),
            Event::Cancelling => paint
                .doubtful("cancelling: what runs may end, nothing new begins; Ctrl-C once more to stop now"),
            // The view has what targets do; these stay.
            Event::ServiceObserved { .. }
            | Event::ClusterLost { .. }
            | Event::ServiceLeft { .. }
            | Event::ServiceJoined { .. } => {
                return None;
            }
            event => {
                let words = service::words(event)?;
                let words = text::shown(&words);
                if service::is_bad(event) { paint.bad(&words) } else { words.into_owned() }
            }
        })
    }
}

impl Reporter for Terminal {
    fn event(&mut self, stamped: &Stamped) -> io::Result<()> {
        self.seen = (stamped.at, Instant::now());
        self.live.add(stamped.at, &stamped.event);
        self.begun = true;
        if let Some(line) = self.lasting(&stamped.event) {
            self.bar.println(line);
        }
        if matches!(stamped.event, Event::RunFinished { .. }) {
            self.begun = false;
            self.bar.finish_and_clear();
        }
        Ok(())
    }

    fn tick(&mut self) {
        if self.begun {
            let since = u64::try_from(self.seen.1.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.draw(self.seen.0.saturating_add(since));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Whatever ends the run, its last words are not drawn over.
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;
    use indicatif::InMemoryTerm;

    fn view(height: u16, width: u16) -> (InMemoryTerm, Terminal) {
        let term = InMemoryTerm::new(height, width);
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        (term, Terminal::new(target, Box::new(move || (height, width)), Paint::NONE, false))
    }

    #[test]
    fn the_view_moves_and_what_matters_stays_above_it() {
        let (term, mut terminal) = view(24, 100);
        let mut screens = Vec::new();
        for event in fixtures::failed() {
            terminal.event(&event).unwrap();
            if matches!(event.at, 1200 | 2100 | 67_311 | 70_351) {
                terminal.draw(event.at + 100);
                screens.push(term.contents());
            }
        }
        // Nothing of the live part is left for the summary to begin under.
        screens.push(term.contents());
        insta::assert_snapshot!(screens.join("\n---\n"));
    }

    #[test]
    fn escapes_of_a_hostile_step_do_not_reach_the_terminal() {
        let (term, mut terminal) = view(24, 200);
        for event in fixtures::hostile() {
            terminal.event(&event).unwrap();
            terminal.draw(event.at);
        }
        insta::assert_snapshot!(term.contents());
    }

    #[test]
    fn five_hundred_targets_fit_on_a_small_screen() {
        let (term, mut terminal) = view(10, 60);
        for event in fixtures::fleet(500).into_iter().filter(|event| event.at < 2000) {
            terminal.event(&event).unwrap();
        }
        terminal.draw(1000);
        insta::assert_snapshot!(term.contents(), @r"
        4.2: new checkout
        shop to staging  rollout, batch 1 of 1  1.0 s
          switch      500 running, web-1 for 1.0 s
        ");
    }
}
