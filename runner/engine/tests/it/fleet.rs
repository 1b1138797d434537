//! Many targets.

use crate::fake::{Act, Fake, play, usual};
use runner_model::{FailureKind, Verdict};

#[test]
fn five_hundred_targets_flow() {
    let names: Vec<String> = (0..500).map(|number| format!("t{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (first, rest) = names.split_at(1);
    let fake = Fake::default().link("t7", Act::Fail(50, FailureKind::Unreachable)).on(
        "test",
        "t300",
        [Act::Fail(50, FailureKind::CommandFailed)],
    );
    let played = play(&usual(&[first, rest], 2), fake, &[]);
    assert_eq!(played.report.verdict, Verdict::Failed);
    assert_eq!(played.ends().iter().filter(|end| *end == "done").count(), 498);
}
