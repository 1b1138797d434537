//! Runs whose events have fixed times, for the tests of every view.

use runner_model::{
    Act, Difference, EffectClass, EffectEnd, Effected, End, Event, Failure, FailureKind, Hidden, Level,
    Limited, Phase, ReleaseId, ServiceAction, Stamped, StepId, Tally, TargetEnd, TargetName, Verdict,
};

pub(super) fn at(at: u64, event: Event) -> Stamped {
    Stamped { at, event }
}

fn target(name: &str) -> TargetName {
    name.parse().unwrap()
}

fn step(id: &str) -> StepId {
    id.parse().unwrap()
}

fn release(id: &str) -> Option<ReleaseId> {
    Some(id.parse().unwrap())
}

pub(super) fn started(id: &str, on: &str) -> Event {
    Event::StepStarted { step: step(id), target: target(on), attempt: 1 }
}

pub(super) fn progress(id: &str, on: &str, done: u64) -> Event {
    Event::Progress { step: step(id), target: target(on), done, total: 8 << 20, what: "bytes".into() }
}

fn ended(id: &str, on: &str, milliseconds: u64, end: End, tally: Tally) -> Event {
    Event::StepFinished { step: step(id), target: target(on), attempt: 1, end, milliseconds, tally }
}

fn passed(id: &str, on: &str, milliseconds: u64, bytes_sent: u64) -> Event {
    let tally = Tally { reads: 4, changes: 2, signals: 0, bytes_sent, fuel: 1000 };
    ended(id, on, milliseconds, End::Ok, tally)
}

fn failed_with(failure: &Failure, stderr: &str) -> End {
    End::Failed { failure: failure.clone(), stderr: stderr.into() }
}

fn finished(on: &str, end: TargetEnd, live: Option<ReleaseId>) -> Event {
    let live_known = live.is_some();
    Event::TargetFinished { target: target(on), end, live, live_known }
}

fn start(targets: &[&str]) -> Event {
    Event::RunStarted {
        run: "20261124-153000-k3f9".parse().unwrap(),
        plan: "shop".parse().unwrap(),
        summary: Some("4.2: new checkout".into()),
        environment: "staging".parse().unwrap(),
        limit: None,
        targets: targets.iter().map(|name| target(name)).collect(),
        steps: vec![
            (Phase::Prepare, vec![step("package")]),
            (Phase::Stage, vec![step("distribute")]),
            (Phase::Rollout, vec![step("switch"), step("smoke-test")]),
            (Phase::Always, vec![step("clean")]),
        ],
    }
}

fn end(milliseconds: u64, verdict: Verdict) -> Event {
    Event::RunFinished { run: "20261124-153000-k3f9".parse().unwrap(), verdict, milliseconds }
}

fn up(on: &str) -> Event {
    Event::Connected { target: target(on), milliseconds: 180, live: release("4.1-aaaaaaaaaaaa") }
}

fn batch(number: u32, of: u32, targets: &[&str]) -> Event {
    Event::BatchStarted { number, of, targets: targets.iter().map(|name| target(name)).collect() }
}

/// To the end of the stage, on three targets.
fn staged() -> Vec<Stamped> {
    vec![
        at(0, start(&["web-1", "web-2", "web-3"])),
        at(1, Event::PhaseStarted { phase: Phase::Prepare }),
        at(1, started("package", "localhost")),
        at(181, up("web-1")),
        at(185, up("web-2")),
        at(190, up("web-3")),
        at(1200, passed("package", "localhost", 1199, 0)),
        at(1200, Event::ReleaseNamed { release: "4.2-3f9a27c01b5d".parse().unwrap() }),
        at(1201, Event::PhaseFinished { phase: Phase::Prepare, milliseconds: 1200 }),
        at(1201, Event::PhaseStarted { phase: Phase::Stage }),
        at(1202, started("distribute", "web-1")),
        at(1202, started("distribute", "web-2")),
        at(1202, started("distribute", "web-3")),
        at(1400, progress("distribute", "web-2", 3 << 20)),
        at(1900, passed("distribute", "web-1", 698, 1_258_291)),
        at(2100, passed("distribute", "web-3", 898, 1_258_291)),
        at(66_202, passed("distribute", "web-2", 65_000, 1_258_291)),
        at(66_203, Event::PhaseFinished { phase: Phase::Stage, milliseconds: 65_002 }),
        at(66_203, Event::PhaseStarted { phase: Phase::Rollout }),
    ]
}

/// All goes well.
pub(super) fn done() -> Vec<Stamped> {
    let mut events = staged();
    events.extend([
        at(66_204, batch(1, 1, &["web-1", "web-2", "web-3"])),
        at(66_205, started("switch", "web-1")),
        at(66_205, started("switch", "web-2")),
        at(66_205, started("switch", "web-3")),
        at(66_300, passed("switch", "web-1", 95, 0)),
        at(66_301, passed("switch", "web-2", 96, 0)),
        at(66_302, passed("switch", "web-3", 97, 0)),
        at(66_400, Event::PhaseFinished { phase: Phase::Rollout, milliseconds: 197 }),
        at(66_400, finished("web-1", TargetEnd::Done, release("4.2-3f9a27c01b5d"))),
        at(66_400, finished("web-2", TargetEnd::Done, release("4.2-3f9a27c01b5d"))),
        at(66_400, finished("web-3", TargetEnd::Done, release("4.2-3f9a27c01b5d"))),
        at(66_401, end(66_401, Verdict::Done)),
    ]);
    events
}

/// The smoke test of the first batch fails, twice.
pub(super) fn failed() -> Vec<Stamped> {
    let failure =
        Failure::new(FailureKind::Conflict, "expected status 200 from http://shop.example.org/, got 502")
            .with_detail(
                "the body begins with: <h1>Bad Gateway</h1>\nhint: see the log of the service on `web-1`",
            );
    let again = Event::StepStarted { step: step("smoke-test"), target: target("web-1"), attempt: 2 };
    let retried = Event::StepRetried {
        step: step("smoke-test"),
        target: target("web-1"),
        attempt: 1,
        failure: failure.clone(),
        delay: 3000,
    };
    let last = Event::StepFinished {
        step: step("smoke-test"),
        target: target("web-1"),
        attempt: 2,
        end: failed_with(&failure, "panicked at src/lib.rs:12:\nthe answer is not 200"),
        milliseconds: 40,
        tally: Tally { reads: 1, ..Tally::default() },
    };
    let warning = Event::Log {
        step: step("smoke-test"),
        target: target("web-1"),
        level: Level::Warn,
        message: "the first answer took 900 ms".into(),
    };
    let note = |level| Event::Log {
        step: step("switch"),
        target: target("web-1"),
        level,
        message: "was 4.1-aaaaaaaaaaaa".into(),
    };
    let mut events = staged();
    events.extend([
        at(66_204, batch(1, 2, &["web-1"])),
        at(66_205, started("switch", "web-1")),
        at(66_220, note(Level::Debug)),
        at(66_221, note(Level::Info)),
        at(66_300, passed("switch", "web-1", 95, 0)),
        at(66_301, started("smoke-test", "web-1")),
        at(67_301, warning),
        at(67_311, ended("smoke-test", "web-1", 1010, failed_with(&failure, ""), Tally::default())),
        at(67_311, retried),
        at(70_311, again),
        at(70_351, last),
        at(70_351, Event::Halted { failures: 1, allowed: 0 }),
        at(70_352, Event::PhaseFinished { phase: Phase::Rollout, milliseconds: 4149 }),
        at(70_352, Event::PhaseStarted { phase: Phase::Always }),
        at(70_353, started("clean", "localhost")),
        at(70_400, ended("clean", "localhost", 47, End::Ok, Tally::default())),
        at(70_401, Event::PhaseFinished { phase: Phase::Always, milliseconds: 49 }),
        at(
            70_410,
            finished(
                "web-1",
                TargetEnd::Failed { step: step("smoke-test"), failure },
                release("4.2-3f9a27c01b5d"),
            ),
        ),
        at(70_410, finished("web-2", TargetEnd::Untouched, release("4.1-aaaaaaaaaaaa"))),
        at(70_410, finished("web-3", TargetEnd::Untouched, release("4.1-aaaaaaaaaaaa"))),
        at(70_411, end(70_411, Verdict::Failed)),
    ]);
    events
}

/// Ctrl-C in the first batch: one target between two steps, one amid a step, one not begun.
pub(super) fn cancelled() -> Vec<Stamped> {
    let mut events = staged();
    events.extend([
        at(66_204, batch(1, 2, &["web-1", "web-2"])),
        at(66_205, started("switch", "web-1")),
        at(66_205, started("switch", "web-2")),
        at(66_210, Event::Cancelling),
        at(66_300, passed("switch", "web-1", 95, 0)),
        at(96_211, ended("switch", "web-2", 30_006, End::Cancelled, Tally::default())),
        at(96_212, Event::PhaseFinished { phase: Phase::Rollout, milliseconds: 30_009 }),
        at(96_220, finished("web-1", TargetEnd::Stopped { step: None }, release("4.2-3f9a27c01b5d"))),
        at(96_220, finished("web-2", TargetEnd::Stopped { step: Some(step("switch")) }, None)),
        at(96_220, finished("web-3", TargetEnd::Untouched, release("4.1-aaaaaaaaaaaa"))),
        at(96_221, end(96_221, Verdict::Interrupted)),
    ]);
    events
}

/// Two of three targets do not answer, for the same reason.
pub(super) fn unreachable() -> Vec<Stamped> {
    let failure = Failure::new(FailureKind::Unreachable, "connection refused")
        .with_detail("hint: is sshd running, and is the port right?");
    let down = |on: &str| Event::Unreachable { target: target(on), failure: failure.clone() };
    let lost = || TargetEnd::Unreachable { failure: failure.clone() };
    vec![
        at(0, start(&["web-1", "web-2", "web-3"])),
        at(1, Event::PhaseStarted { phase: Phase::Prepare }),
        at(1, started("package", "localhost")),
        at(20, down("web-1")),
        at(20, Event::Halted { failures: 1, allowed: 0 }),
        at(21, down("web-3")),
        at(181, up("web-2")),
        at(1200, passed("package", "localhost", 1199, 0)),
        at(1201, Event::PhaseFinished { phase: Phase::Prepare, milliseconds: 1200 }),
        at(1300, finished("web-1", lost(), None)),
        at(1300, finished("web-2", TargetEnd::Untouched, release("4.1-aaaaaaaaaaaa"))),
        at(1300, finished("web-3", lost(), None)),
        at(1301, end(1301, Verdict::Unreachable)),
    ]
}

/// Many targets; every seventh one fails in the same way.
pub(super) fn fleet(size: usize) -> Vec<Stamped> {
    let names: Vec<String> = (1..=size).map(|number| format!("web-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let failure = Failure::new(FailureKind::Conflict, "no space left on device");
    let mut events = vec![at(0, start(&names)), at(0, Event::PhaseStarted { phase: Phase::Rollout })];
    events.push(at(0, batch(1, 1, &names)));
    events.extend(names.iter().map(|name| at(10, started("switch", name))));
    for (number, name) in names.iter().enumerate() {
        events.push(if number % 7 == 0 {
            at(2000, ended("switch", name, 1990, failed_with(&failure, ""), Tally::default()))
        } else {
            at(2000, passed("switch", name, 1990, 1000))
        });
    }
    for (number, name) in names.iter().enumerate() {
        events.push(at(
            3000,
            if number % 7 == 0 {
                let end = TargetEnd::Failed { step: step("switch"), failure: failure.clone() };
                finished(name, end, release("4.1-aaaaaaaaaaaa"))
            } else {
                finished(name, TargetEnd::Done, release("4.2-3f9a27c01b5d"))
            },
        ));
    }
    events.push(at(3000, end(3000, Verdict::Failed)));
    events
}

/// A step that tries to reach the terminal with everything that it may write.
pub(super) fn hostile() -> Vec<Stamped> {
    let evil = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\u{9b}31mweb-1 ok\u{202e}\u{200b}\nline 2";
    let failure = Failure::new(FailureKind::Other, evil).with_detail(evil);
    let log = Event::Log {
        step: step("switch"),
        target: target("web-1"),
        level: Level::Error,
        message: evil.into(),
    };
    let progress = Event::Progress {
        step: step("switch"),
        target: target("web-1"),
        done: 1,
        total: 2,
        what: evil.into(),
    };
    vec![
        at(0, start(&["web-1"])),
        at(1, started("switch", "web-1")),
        at(2, log),
        at(20_000, progress),
        at(20_001, ended("switch", "web-1", 20_000, failed_with(&failure, evil), Tally::default())),
        at(20_002, finished("web-1", TargetEnd::Failed { step: step("switch"), failure }, None)),
        at(20_003, end(20_003, Verdict::Failed)),
    ]
}

fn effect(id: &str, on: &str, act: Act, end: EffectEnd, difference: Option<Difference>) -> Event {
    Event::Effect(Box::new(Effected {
        step: step(id),
        target: target(on),
        attempt: 1,
        number: 1,
        on: Some(target(on)),
        class: EffectClass::Change,
        act,
        end,
        milliseconds: 12,
        difference,
    }))
}

fn verb(verb: &str, path: &str, made: bool) -> Act {
    Act::Change { verb: verb.into(), path: path.into(), to: None, made }
}

/// One target is lost in the middle of an effect, of two that the run was limited to; one was not begun.
pub(super) fn left_behind() -> Vec<Stamped> {
    let mut events = vec![];
    for Stamped { at: time, mut event } in staged() {
        if let Event::RunStarted { limit, .. } = &mut event {
            *limit = Some(Limited { pattern: "web-[1-3]".into(), chosen: 3, of: 10 });
        }
        if let Event::StepFinished { step, target, .. } = &event
            && step.as_str() == "distribute"
        {
            let laid = verb("unpack", "/srv/shop/releases/4.2-3f9a27c01b5d", true);
            events.push(at(time, effect("distribute", target.as_str(), laid, EffectEnd::Done, None)));
        }
        events.push(at(time, event));
    }
    let failure = Failure::new(FailureKind::Unreachable, "the connection to `web-2` was lost")
        .with_detail("hint: is the machine up?");
    let lost = EffectEnd::Failed { failure: failure.clone() };
    let current = || verb("symlink", "/srv/shop/current", false);
    let stopped = Act::Service { unit: "php-fpm".into(), action: ServiceAction::Stop };
    events.extend([
        at(66_204, batch(1, 2, &["web-1", "web-2"])),
        at(66_205, started("switch", "web-1")),
        at(66_205, started("switch", "web-2")),
        at(66_290, effect("switch", "web-1", current(), EffectEnd::Done, None)),
        at(66_300, passed("switch", "web-1", 95, 0)),
        at(66_310, effect("switch", "web-2", stopped, EffectEnd::Done, None)),
        at(66_320, effect("switch", "web-2", current(), lost, None)),
        at(66_330, ended("switch", "web-2", 125, failed_with(&failure, ""), Tally::default())),
        at(66_331, Event::Halted { failures: 1, allowed: 0 }),
        at(66_340, Event::PhaseFinished { phase: Phase::Rollout, milliseconds: 137 }),
        at(66_350, finished("web-1", TargetEnd::Done, release("4.2-3f9a27c01b5d"))),
        at(66_350, finished("web-2", TargetEnd::Failed { step: step("switch"), failure }, None)),
        at(66_350, finished("web-3", TargetEnd::Untouched, release("4.1-aaaaaaaaaaaa"))),
        at(66_351, end(66_351, Verdict::Failed)),
    ]);
    events
}

/// Files, links and secrets that change, with `--diff`.
pub(super) fn changed() -> Vec<Stamped> {
    let text = Difference::Text {
        unified: "--- /etc/shop.conf\n+++ /etc/shop.conf\n@@ -1,2 +1,2 @@\n name = shop\n-\u{1b}[31m port = 80\n+port = 8080\n"
            .into(),
        added: 1,
        removed: 1,
        left_out: 7,
    };
    let link = Difference::Line { line: "a link to releases/4.1 became a link to releases/4.2".into() };
    let hidden = Difference::Hidden { why: Hidden::Private, before: None, after: 1_300 };
    let change = |on, act, difference| at(5, effect("config", on, act, EffectEnd::Done, Some(difference)));
    let mut events = vec![at(0, start(&["web-1", "web-2"]))];
    for on in ["web-1", "web-2"] {
        events.push(change(on, verb("write", "/etc/shop.conf", false), text.clone()));
        events.push(change(on, verb("symlink", "/srv/shop/current", false), link.clone()));
    }
    events.push(change("web-1", verb("write", "/etc/shop.key", true), hidden));
    events.push(change("web-2", verb("write", "/etc/shop.token", false), Difference::Secret));
    events.extend(["web-1", "web-2"].map(|on| at(9, finished(on, TargetEnd::Done, None))));
    events.push(at(10, end(10, Verdict::Done)));
    events
}
