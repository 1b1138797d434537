//! A path on a target: absolute and normal once it is read, and joining leads nowhere else.
//!
//! What follows a zero byte is joined to it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runner_model::RemotePath;

fn is_normal(path: &RemotePath) {
    let text = path.as_str();
    assert!(text.starts_with('/'), "{text:?}");
    assert!(text == "/" || !text.ends_with('/'), "{text:?}");
    assert!(!text.contains("//") && !text.chars().any(char::is_control), "{text:?}");
    assert!(path.segments().all(|segment| !["", ".", ".."].contains(&segment)), "{text:?}");
    assert_eq!(text.parse::<RemotePath>().as_ref(), Ok(path));
}

fuzz_target!(|text: &str| {
    let (text, more) = text.split_once('\0').unwrap_or((text, ""));
    let Ok(path) = text.parse::<RemotePath>() else { return };
    is_normal(&path);
    if let Some(parent) = path.parent() {
        is_normal(&parent);
        assert!(path.is_within(&parent) && !parent.is_within(&path));
        assert_eq!(parent.join(path.name().expect("a name")).as_ref(), Ok(&path));
    }
    if let Ok(joined) = path.join(more) {
        is_normal(&joined);
        assert!(joined.is_within(&path), "{joined} is not below {path}");
    }
});
