//! A journal with one of everything, for the tests of this crate.

use crate::chain::{Chain, encode};
use crate::{Answer, Engine, Entry, FORMAT, Header, Payload};
use runner_model::{
    Digest, EffectClass, EffectKey, Event, Failure, FailureKind, Level, Mark, Stamped, State, StepId,
    TargetName, Verdict,
};
use serde_json::json;
use std::str::FromStr;

fn name<T: FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect(text)
}

pub(crate) fn header() -> Header {
    Header {
        format: FORMAT,
        run: name("20260131-235959-0a1b2c3d"),
        started: name("2026-01-31T23:59:59.123Z"),
        plan: name("shop"),
        environment: name("staging"),
        plan_digest: Digest::of("plan"),
        lock_digest: Digest::of("lock"),
        grants_digest: Digest::of("grants"),
        inventory_digest: Digest::of("inventory"),
        inventory_answer: None,
        limit: None,
        vars: [].into(),
        engine: Engine { wasmtime: "48.0.0".to_owned(), configuration: Digest::of("engine") },
        tools: [("runner".to_owned(), "0.1.0".to_owned()), ("ssh".to_owned(), "OpenSSH_9.2p1".to_owned())]
            .into(),
        seed: "00".repeat(32),
    }
}

pub(crate) fn event(message: &str) -> Entry {
    Entry::Event(Box::new(Stamped {
        at: 7,
        event: Event::Log {
            step: name("switch"),
            target: name("web-1"),
            level: Level::Info,
            message: message.to_owned(),
        },
    }))
}

pub(crate) fn entries() -> Vec<Entry> {
    let (step, target): (StepId, TargetName) = (name("switch"), name("web-1"));
    let key = |number| EffectKey { step: name("switch"), target: name("web-1"), attempt: 1, number };
    let inline = |value| Payload::Inline(value);
    vec![
        Entry::Header(Box::new(header())),
        event("a line\nand \"another\""),
        Entry::InvocationStarted {
            step: step.clone(),
            target: target.clone(),
            attempt: 1,
            module: Digest::of("module"),
            params: inline(json!({"release": "4.2-0123456789ab", "root": "/srv/shop"})),
            about: None,
        },
        Entry::Call {
            key: key(1),
            class: EffectClass::Read,
            call: "targets.read-link".to_owned(),
            args: inline(json!({"path": "/srv/shop/current", "target": "web-1"})),
            answer: Answer::Ok(inline(json!("releases/1"))),
        },
        Entry::Call {
            key: key(2),
            class: EffectClass::Change,
            call: "targets.remove".to_owned(),
            args: inline(json!({"path": "/etc/passwd", "target": "web-1"})),
            answer: Answer::Failed(
                Failure::new(FailureKind::Denied, "remove `/etc/passwd`: no grant covers it")
                    .with_detail("ssh = [\"write:/etc/passwd\"]"),
            ),
        },
        Entry::Intent {
            key: key(3),
            class: EffectClass::Change,
            call: "targets.symlink".to_owned(),
            args: inline(json!({"path": "/srv/shop/current", "points-to": "releases/2", "target": "web-1"})),
            told: None,
            before: Some(State::Symlink { points_to: "releases/1".to_owned() }),
            after: Some(State::Symlink { points_to: "releases/2".to_owned() }),
            undo: None,
            acts: None,
        },
        Entry::Outcome { key: key(3), answer: Answer::Ok(inline(json!(true))), left: None },
        Entry::Intent {
            key: key(4),
            class: EffectClass::Opaque,
            call: "commands.run".to_owned(),
            args: Payload::Stored { digest: Digest::of("large"), size: 5000 },
            told: None,
            before: None,
            after: None,
            undo: Some(inline(json!({"argv": ["undo"]}))),
            acts: None,
        },
        Entry::Outcome {
            key: key(4),
            answer: Answer::Failed(Failure::new(FailureKind::CommandFailed, "`undo` ended with 1")),
            left: None,
        },
        Entry::Mark { target: target.clone(), release: "4.2-0123456789ab".parse().unwrap(), mark: Mark::Bad },
        Entry::Marked { target: target.clone(), answer: Answer::Ok(inline(json!(null))) },
        Entry::InvocationEnded {
            step,
            target,
            attempt: 1,
            answer: Answer::Ok(inline(json!({}))),
            fuel: 12345,
        },
        Entry::Closed { verdict: Verdict::Failed },
    ]
}

/// The entries as a file, a line every 10 milliseconds.
pub(crate) fn written(entries: &[Entry]) -> String {
    let mut chain = Chain::default();
    let mut text = String::new();
    for (entry, at) in entries.iter().zip((0..).step_by(10)) {
        text.push_str(&chain.seal(at, &encode(entry).expect("JSON")).text);
        text.push('\n');
    }
    text
}
