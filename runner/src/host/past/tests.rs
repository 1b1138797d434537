use super::*;
use runner_model::{ServiceAction, Verdict};
use serde_json::json;

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect(text)
}

fn key(attempt: u32, number: u32) -> EffectKey {
    EffectKey { step: name("restart"), target: name("web-1"), attempt, number }
}

fn started(attempt: u32) -> Entry {
    let (step, target) = (name("restart"), name("web-1"));
    let params = Payload::Inline(json!({}));
    Entry::InvocationStarted { step, target, attempt, module: Digest::of("m"), params, about: None }
}

fn ended(attempt: u32, answer: Result<(), FailureKind>) -> Entry {
    let answer = match answer {
        Ok(()) => Answer::Ok(Payload::Inline(json!({}))),
        Err(kind) => Answer::Failed(Failure::new(kind, "it failed")),
    };
    Entry::InvocationEnded { step: name("restart"), target: name("web-1"), attempt, answer, fuel: 7 }
}

fn args() -> Value {
    json!({ "unit": "shop", "action": "restart", "on": "web-1" })
}

fn intent(attempt: u32, number: u32) -> Entry {
    let act = Act::Service { unit: "shop".to_owned(), action: ServiceAction::Restart };
    Entry::Intent {
        key: key(attempt, number),
        class: EffectClass::Signal,
        call: "targets.service".to_owned(),
        args: Payload::Inline(args()),
        told: Some(Box::new(Told { on: Some(name("web-1")), act })),
        before: None,
        after: None,
        undo: None,
        acts: None,
    }
}

fn outcome(attempt: u32, number: u32, failed: Option<FailureKind>) -> Entry {
    let answer = match failed {
        None => Answer::Ok(Payload::Inline(Value::Null)),
        Some(kind) => Answer::Failed(Failure::new(kind, "it failed")),
    };
    Entry::Outcome { key: key(attempt, number), answer, left: None }
}

fn looked(attempt: u32, number: u32, failed: Option<FailureKind>) -> Entry {
    let answer = match failed {
        None => Answer::Ok(Payload::Inline(json!("seen"))),
        Some(kind) => Answer::Failed(Failure::new(kind, "it failed")),
    };
    let (class, call) = (EffectClass::Read, "targets.read-link".to_owned());
    let args = Payload::Inline(json!({ "path": "/srv/shop/current", "on": "web-1" }));
    Entry::Call { key: key(attempt, number), class, call, args, answer }
}

fn run(entries: impl IntoIterator<Item = Entry>) -> PastRun {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path().join("store")).expect("a store");
    let mut run = PastRun::default();
    for entry in entries {
        run.add(&entry, &store).expect("read");
    }
    run.invocations.values_mut().for_each(PastInvocation::forget_what_was_cancelled);
    run.invocations.values_mut().for_each(PastInvocation::doubt_what_was_lost);
    run
}

fn over(run: &PastRun) -> u32 {
    run.attempts_over(&name("restart"), &name("web-1"))
}

fn service(number: u32) -> Call {
    let arguments = json!({ "unit": "shop", "action": "restart" });
    let (call, class, on) = ("targets.service", EffectClass::Signal, Some(name("web-1")));
    Call { key: key(1, number), call, class, on, arguments }
}

#[test]
fn an_attempt_is_over_when_it_failed_and_not_when_it_was_cut_off() {
    let done = || [looked(1, 1, None), intent(1, 2), outcome(1, 2, None)];
    assert_eq!(over(&run([])), 0);
    assert_eq!(over(&run(std::iter::once(started(1)).chain(done()))), 0, "cut off");
    let well = run(std::iter::once(started(1)).chain(done()).chain([ended(1, Ok(()))]));
    assert_eq!((over(&well), well.attempts_ended(&name("restart"), &name("web-1"))), (0, 1));
    let failed = || std::iter::once(started(1)).chain(done()).chain([ended(1, Err(FailureKind::Conflict))]);
    assert_eq!(over(&run(failed())), 1);
    let changed = run(failed());
    assert_eq!(changed.changed_before().count(), 1, "what it changed is for the next attempt to know");
    let second = run(failed().chain([started(2), looked(2, 1, None)]));
    assert_eq!((over(&second), second.attempts_ended(&name("restart"), &name("web-1"))), (1, 1));
    assert_eq!(over(&run(failed().chain([started(2), ended(2, Err(FailureKind::Timeout))]))), 2);
    let closed = Entry::Closed { verdict: Verdict::Interrupted };
    assert_eq!(
        over(&run([started(1), ended(1, Err(FailureKind::Cancelled)), closed])),
        0,
        "it was interrupted"
    );
}

#[test]
fn what_was_asked_after_a_cancel_is_forgotten_and_what_it_cut_off_is_in_doubt() {
    let run = run([
        started(1),
        looked(1, 1, None),
        intent(1, 2),
        outcome(1, 2, Some(FailureKind::Cancelled)),
        looked(1, 3, None),
        ended(1, Err(FailureKind::Cancelled)),
    ]);
    let invocation = &run.invocations[&(name("restart"), name("web-1"), 1)];
    assert_eq!(invocation.calls.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(invocation.of(&service(2), &args()), Ok(Past::InDoubt(_))));
    assert_eq!(run.in_doubt().map(|(key, _)| key.number).collect::<Vec<_>>(), [2]);
}

#[test]
fn an_effect_on_a_target_that_was_not_heard_of_again_is_in_doubt() {
    let lost = run([
        started(1),
        intent(1, 1),
        outcome(1, 1, Some(FailureKind::Unreachable)),
        ended(1, Err(FailureKind::Unreachable)),
    ]);
    assert_eq!((over(&lost), lost.in_doubt().count()), (0, 1));
    // What the step made of it is not what it makes of it now.
    let went_on = run([
        started(1),
        intent(1, 1),
        outcome(1, 1, Some(FailureKind::Unreachable)),
        looked(1, 2, None),
        ended(1, Err(FailureKind::Conflict)),
    ]);
    assert_eq!((over(&went_on), went_on.in_doubt().count()), (0, 1));
    assert_eq!(went_on.invocations[&(name("restart"), name("web-1"), 1)].calls.len(), 1);
    let well = run([started(1), intent(1, 1), outcome(1, 1, Some(FailureKind::Timeout)), ended(1, Ok(()))]);
    assert_eq!(well.in_doubt().count(), 0, "a step that ended well knew what to make of it");
}

#[test]
fn that_nobody_could_look_at_an_effect_in_doubt_says_nothing_of_it() {
    let mut refused = looked(1, 1, Some(FailureKind::Unreachable));
    if let Entry::Call { call, .. } = &mut refused {
        *call = "targets.service".to_owned();
    }
    let run = run([started(1), intent(1, 1), refused, ended(1, Err(FailureKind::Unreachable))]);
    assert_eq!(
        (over(&run), run.in_doubt().count()),
        (0, 1),
        "it is still to be settled, by the same attempt"
    );
}

#[test]
fn another_call_in_the_place_of_a_recorded_one_is_a_divergence_that_shows_both() {
    let run = run([started(1), looked(1, 1, None), intent(1, 2), outcome(1, 2, None), ended(1, Ok(()))]);
    let invocation = &run.invocations[&(name("restart"), name("web-1"), 1)];
    assert!(matches!(invocation.of(&service(2), &args()), Ok(Past::Answered(Ok(Value::Null)))));
    let other = json!({ "unit": "other", "action": "restart", "on": "web-1" });
    for (number, args) in [(1, args()), (2, other), (3, args())] {
        let failure = invocation.of(&service(number), &args).expect_err("it diverges");
        assert_eq!(failure.kind, FailureKind::Unknown);
        assert!(failure.message.contains("step `restart` on web-1, attempt 1"), "{failure}");
        assert!(
            failure.detail.contains("recorded: ") && failure.detail.contains("got:      targets.service")
        );
    }
}

#[test]
fn the_key_of_secrets_is_of_one_process_and_not_compared() {
    let with = |digest: &str| json!({ "content": { "parts": [{ "named": "token" }], "digest": digest } });
    let call = PastCall {
        class: EffectClass::Change,
        call: "targets.write-secret".to_owned(),
        args: with("sha256:1"),
        answer: None,
        effect: None,
    };
    assert!(call.is("targets.write-secret", &with("sha256:2")));
    let other = json!({ "content": { "parts": [{ "named": "other" }], "digest": "sha256:1" } });
    assert!(!call.is("targets.write-secret", &other));
}

#[test]
fn of_what_only_targets_kept_the_last_attempt_is_gone_on_with() {
    let run = run([intent(1, 4), outcome(1, 4, None), intent(2, 9)]);
    assert_eq!(over(&run), 2, "none of its attempts can be told again");
    assert!(run.is_partial(&key(1, 4)));
    let found = run.effect_like(&service(1), &args(), &BTreeMap::new()).expect("it is like it");
    assert_eq!(found, key(2, 9));
    let taken = BTreeMap::from([(found, key(3, 1))]);
    assert_eq!(run.effect_like(&service(2), &args(), &taken), None, "each is taken once");
    let elsewhere = json!({ "unit": "shop", "action": "restart", "on": "web-2" });
    assert_eq!(
        run.effect_like(&service(1), &elsewhere, &BTreeMap::new()),
        None,
        "a machine speaks for itself"
    );
}

#[test]
fn no_machine_hides_what_another_one_keeps_of_the_same_step() {
    let mut forged = intent(50, 1);
    if let Entry::Intent { args, .. } = &mut forged {
        *args = Payload::Inline(json!({ "unit": "shop", "action": "restart", "on": "web-2" }));
    }
    let run = run([intent(1, 4), outcome(1, 4, None), intent(1, 5), forged]);
    assert_eq!(run.effect_like(&service(1), &args(), &BTreeMap::new()), Some(key(1, 4)));
    let doubts: Vec<_> = run.in_doubt().map(|(key, _)| (key.attempt, key.number)).collect();
    assert_eq!(doubts, [(1, 5), (50, 1)]);
}

#[test]
fn what_was_taken_is_known_to_whoever_goes_on_next() {
    let taken =
        Entry::Taken { key: key(2, 3), of: key(1, 4), answer: Answer::Ok(Payload::Inline(Value::Null)) };
    // Only its effects are known of attempt 1, and attempt 2 took one of them, which was in doubt.
    let run = run([intent(1, 4), started(2), looked(2, 1, None), taken.clone(), intent(2, 5)]);
    assert_eq!(run.taken, BTreeMap::from([(key(1, 4), key(2, 3))]));
    let doubts: Vec<_> = run.in_doubt().map(|(key, _)| (key.attempt, key.number)).collect();
    assert_eq!(doubts, [(2, 5)], "what was settled is in doubt no more");
    assert_eq!(run.effect_like(&service(7), &args(), &run.taken), None);
    // And when the journal is lost once more, it is among what the last attempt did.
    let again = self::run([intent(1, 4), taken, intent(2, 5)]);
    assert_eq!(again.effect_like(&service(1), &args(), &again.taken), Some(key(2, 3)));
}
