//! Every host function that touches a target, attacked on real ones: this machine through the transport's own local
//! connection, and hosts of a fleet over OpenSSH, as a user who is not root. One list of attacks, two ways to go.
//! What must not happen is looked for on the target's disk, not only in the answers.

use serde_json::{Value, json};

/// Every attack as a test in `local`, and as one in `ssh`.
macro_rules! both_ways {
    ($($attack:ident),* $(,)?) => {
        mod local {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $attack() {
                    super::$attack(super::Via::Local).await;
                }
            )*
        }

        mod ssh {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $attack() {
                    if let Some(via) = super::Via::ssh() {
                        super::$attack(via).await;
                    }
                }
            )*
        }
    };
}

mod commands;
mod paths;
mod trees;
mod users;

/// Every verb on a path, with `path` filled in.
fn every_verb(path: &str) -> Vec<Value> {
    let digest_of =
        |content: &str| json!({ "call": "artifacts.from-bytes", "content": content, "as": "file" });
    let mut calls = vec![digest_of("evil")];
    calls.extend(
        ["stat", "read-dir", "read-link", "read", "digest", "disk-free", "fetch"]
            .map(|verb| json!({ "call": format!("targets.{verb}"), "path": path })),
    );
    calls.extend([
        json!({ "call": "targets.write", "path": path, "text": "evil" }),
        json!({ "call": "targets.put", "path": path, "artifact": "file" }),
        json!({ "call": "targets.mkdir", "path": path }),
        json!({ "call": "targets.symlink", "path": path, "points-to": "/etc/passwd" }),
        json!({ "call": "targets.rename", "path": path, "to": format!("{path}-2") }),
        json!({ "call": "targets.remove", "path": path }),
        json!({ "call": "targets.remove-tree", "path": path }),
        json!({ "call": "targets.set-attributes", "path": path, "mode": 0o777 }),
        json!({ "call": "targets.archive", "path": path, "into": format!("{path}.tar") }),
        json!({ "call": "targets.unarchive", "path": path, "archive": format!("{path}.tar") }),
        json!({ "call": "releases.all", "root": path }),
        json!({ "call": "releases.previous", "root": path }),
    ]);
    calls
}
