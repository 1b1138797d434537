//! Encrypted files that hold many values. Each is decrypted once, however many of them a run needs.

use super::{Fetched, Why, command};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What was decrypted so far.
#[derive(Default)]
pub(super) struct Files {
    opened: BTreeMap<PathBuf, Result<Value, Why>>,
}

impl Files {
    /// A value of a file that is encrypted with SOPS.
    pub(super) async fn sops(&mut self, file: &Path, key: &str, folder: &Path) -> Fetched {
        let opened = match self.opened.get(file) {
            Some(opened) => opened.clone(),
            None => {
                let opened = sops(file, folder).await;
                self.opened.insert(file.to_owned(), opened.clone());
                opened
            }
        };
        picked(opened, file, key)
    }
}

fn picked(opened: Result<Value, Why>, file: &Path, key: &str) -> Fetched {
    pick(opened?, key).map_err(|why| Why { why: format!("`{}`: {}", file.display(), why.why), ..why })
}

async fn sops(file: &Path, folder: &Path) -> Result<Value, Why> {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let argv = ["sops", "--decrypt", "--output-type", "json", &path.to_string_lossy()].map(str::to_owned);
    let printed = command::printed_file(&argv, folder).await.map_err(|why| match why.why.as_str() {
        "there is no program `sops`" => Why::new("the program `sops` is missing")
            .hint("install it where the runner runs: https://getsops.io"),
        _ => why,
    })?;
    serde_json::from_slice(&printed)
        .map_err(|_| Why::new(format_args!("`sops` printed no JSON for `{}`", file.display())))
}

/// The value of a key: one that is called exactly so, else with dots for keys in keys.
fn pick(value: serde_json::Value, key: &str) -> Result<Zeroizing<Vec<u8>>, Why> {
    use serde_json::Value as Json;
    let names =
        value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let found = value.get(key).or_else(|| key.split('.').try_fold(&value, |value, part| value.get(part)));
    match found {
        Some(Json::String(text)) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
        Some(Json::Number(number)) => Ok(Zeroizing::new(number.to_string().into_bytes())),
        Some(_) => Err(Why::new(format_args!("the value of `{}` is not text", key.escape_debug()))
            .hint("name a key in it, with a dot: `key = \"db.password\"`")),
        None => {
            let why = Why::new(format_args!("it has no key `{}`", key.escape_debug()));
            let near = runner_model::suggest::closest(key, names.iter().map(String::as_str));
            Err(match near {
                Some(near) => why.hint(format_args!("did you mean `{near}`?")),
                None => why.hint("name the key that it has: `key = \"…\"`"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_in_keys() {
        let value = serde_json::json!({ "db.password": "flat", "db": { "user": "shop", "port": 5432 } });
        let picked = |key: &str| {
            pick(value.clone(), key).map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"))
        };
        assert_eq!(picked("db.password").expect("there"), "flat");
        assert_eq!(picked("db.user").expect("there"), "shop");
        assert_eq!(picked("db.port").expect("there"), "5432");
        assert_eq!(picked("db").expect_err("a table").why, "the value of `db` is not text");
        assert_eq!(picked("dc").expect_err("missing").hint.as_deref(), Some("did you mean `db`?"));
    }
}
