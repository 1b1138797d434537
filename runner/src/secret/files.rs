//! Encrypted files that hold many values. Each is decrypted once, however many of them a run needs.

use super::cipher::{self, Keys, pick, values};
use super::{Fetched, Why, command};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// What was decrypted so far.
pub(super) struct Files {
    keys: LazyLock<Keys>,
    opened: BTreeMap<PathBuf, Result<Value, Why>>,
}

impl Default for Files {
    fn default() -> Self {
        Self { keys: LazyLock::new(Keys::of_user), opened: BTreeMap::new() }
    }
}

impl Files {
    /// A value of a file that is encrypted with age.
    pub(super) fn age(&mut self, file: &Path, key: &str) -> Fetched {
        if !self.opened.contains_key(file) {
            let opened = age(file, &self.keys);
            self.opened.insert(file.to_owned(), opened);
        }
        self.picked(file, key)
    }

    /// A value of a file that is encrypted with SOPS.
    pub(super) async fn sops(&mut self, file: &Path, key: &str, folder: &Path) -> Fetched {
        if !self.opened.contains_key(file) {
            let opened = sops(file, folder).await;
            self.opened.insert(file.to_owned(), opened);
        }
        self.picked(file, key)
    }

    fn picked(&self, file: &Path, key: &str) -> Fetched {
        let shown = file.display();
        match self.opened.get(file) {
            Some(Ok(value)) => {
                pick(value, key).map_err(|why| Why { why: format!("`{shown}`: {}", why.why), ..why })
            }
            Some(Err(why)) => Err(why.clone()),
            None => Err(Why::new(format_args!("`{shown}` was not opened"))),
        }
    }
}

fn age(file: &Path, keys: &Keys) -> Result<Value, Why> {
    let shown = file.display();
    let cipher = cipher::read(file).map_err(|error| {
        let why = Why::new(format_args!("`{shown}` cannot be read: {error}"));
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                why.hint(format_args!("make it with `runner secrets edit {shown}`"))
            }
            _ => why,
        }
    })?;
    let table = keys.open(&cipher).and_then(|text| values(&text));
    let table = table.map_err(|why| Why { why: format!("`{shown}`: {}", why.why), ..why })?;
    serde_json::to_value(table).map_err(|error| Why::new(format_args!("`{shown}`: {error}")))
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
