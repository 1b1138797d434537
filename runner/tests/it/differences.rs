//! `--diff`: what people are shown of changes on real targets, and what they are not shown.

use crate::support::ground::{Via, World};
use runner_model::{Difference, Hidden};
use serde_json::{Value, json};

/// A folder in which the step may write, and from which it may read nothing.
async fn write_only(via: Via) -> World {
    let mut world = World::new(via, &["write:{granted}"]).await;
    world.run.diff = true;
    world
}

fn write(path: &str, text: &str) -> Value {
    json!({ "call": "targets.write", "path": path, "text": text })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_may_replace_is_compared_over_ssh_and_a_second_write_is_no_change() {
    let Some(via) = Via::ssh() else { return };
    let world = write_only(via).await;
    let file = world.in_granted("file");
    let again = write(&file, "hello\nworld\n");
    let ran = world.calls(json!([again, again, { "call": "targets.read", "path": file }])).await;
    assert_eq!(ran.kinds(), ["ok", "ok", "Denied"], "the guest may still not read");
    let [Difference::Text { unified, added: 1, removed: 0, left_out: 0 }] = &ran.differences[..] else {
        panic!("{:?}", ran.differences)
    };
    assert_eq!(unified.lines().skip(2).collect::<Vec<_>>(), ["@@ -1 +1,2 @@", " hello", "+world"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_not_everybody_may_read_is_not_shown_before_or_after() {
    let world = write_only(Via::Local).await;
    let (closed, closing) = (world.in_granted("closed"), world.in_granted("file"));
    world.write(&closed, "password = hunter2\n");
    world.set_mode(&closed, 0o640);
    let mut close = write(&closing, "password = hunter3\n");
    close["mode"] = json!(0o600);
    let mut open = write(&closed, "open\n");
    open["mode"] = json!(0o644);
    let ran = world.calls(json!([close, open])).await;
    assert_eq!(ran.kinds(), ["ok", "ok"]);
    let hidden = |before, after| Difference::Hidden { why: Hidden::Private, before: Some(before), after };
    assert_eq!(ran.differences, [hidden(6, 19), hidden(19, 5)]);
    assert!(!format!("{:?} {:?}", ran.differences, ran.journal).contains("hunter"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_large_files_are_told_by_their_sizes() {
    let world = write_only(Via::Local).await;
    let (bytes, large) = (world.in_granted("bytes"), world.in_granted("large"));
    std::fs::write(world.outside(&bytes), [0xff, 0xfe, 0x00]).expect("a file");
    let ran = world.calls(json!([write(&bytes, "text\n"), write(&large, &"x".repeat(300_000))])).await;
    assert_eq!(
        ran.differences,
        [
            Difference::Hidden { why: Hidden::Binary, before: Some(3), after: 5 },
            Difference::Hidden { why: Hidden::Large, before: None, after: 300_000 },
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn links_attributes_and_what_is_gone_are_told_in_a_line() {
    let world = write_only(Via::Local).await;
    let (link, file) = (world.in_granted("link"), world.in_granted("file"));
    world.link("releases/1", &link);
    let ran = world
        .calls(json!([
            { "call": "targets.symlink", "path": link, "points-to": "releases/2" },
            { "call": "targets.set-attributes", "path": file, "mode": 0o600 },
            { "call": "targets.remove", "path": file },
        ]))
        .await;
    let lines: Vec<&str> = ran
        .differences
        .iter()
        .map(|difference| match difference {
            Difference::Line { line } => line.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        lines,
        [
            "a link to releases/1 became a link to releases/2",
            "mode 644 became 600",
            "gone; it was a file of 6 B, mode 600",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_compared_unless_it_was_asked_for() {
    let mut world = write_only(Via::Local).await;
    world.run.diff = false;
    let ran = world.calls(json!([write(&world.in_granted("file"), "new\n")])).await;
    assert_eq!((ran.kinds(), ran.differences), (vec!["ok".to_owned()], Vec::new()));
}
