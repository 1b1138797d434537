//! What all releases share.

use runner_sdk::layout::Root;
use runner_sdk::{Attributes, Error, Link, Result, Target};

/// The entries, checked.
pub(crate) struct Shared(Vec<Entry>);

struct Entry {
    /// Relative to the release and to `shared`, without a slash at the end.
    path: String,
    /// It may be made: it was written with a slash at the end.
    folder: bool,
}

impl Shared {
    /// Refuses what could leave the release, and entries of which one is inside the other.
    pub(crate) fn parse(written: &[String]) -> Result<Self> {
        let mut entries: Vec<Entry> = Vec::with_capacity(written.len());
        for text in written {
            let refuse = |why: &str| Err(Error::invalid(format!("shared: `{}` {why}", text.escape_debug())));
            let path = text.strip_suffix('/').unwrap_or(text);
            if path.split('/').any(|part| matches!(part, "" | "." | ".."))
                || path.chars().any(char::is_control)
            {
                return refuse("must be a path inside the release, without `.` and `..`");
            }
            if let Some(other) =
                entries.iter().find(|other| is_in(&other.path, path) || is_in(path, &other.path))
            {
                return refuse(&format!("and `{}` are in each other's way", other.path));
            }
            entries.push(Entry { path: path.to_owned(), folder: path.len() < text.len() });
        }
        Ok(Self(entries))
    }

    /// Makes the folders that are missing. All else that is missing is named at once: only people know what belongs there.
    pub(crate) fn prepare(&self, target: &Target, root: &Root, attributes: &Attributes) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let shared = root.shared();
        let mut missing = Vec::new();
        // Where something is in it, the folder is there.
        let mut sure = false;
        for Entry { path, folder } in &self.0 {
            let place = format!("{shared}/{path}");
            let found = target.stat(&place)?.is_some();
            if !found && !sure {
                target.mkdir(&shared, &Attributes::keep())?;
            }
            sure = true;
            match (found, folder) {
                (true, _) => {}
                (false, true) => {
                    target.mkdir(&place, attributes)?;
                }
                (false, false) => missing.push(path),
            }
        }
        let Some(first) = missing.first() else { return Ok(()) };
        let names: Vec<String> = missing.iter().map(|path| format!("`{path}`")).collect();
        let message = format!("missing in `{shared}` on `{}`: {}", target.name(), names.join(", "));
        let mend = format!(
            "a file is put there once, by hand: `{shared}/{first}`\na folder is made when it is written with a \
             slash: shared = [\"{first}/\"]"
        );
        Err(Error::not_found(message).with_detail(mend))
    }

    /// Relative ones, so that the root may be moved or mounted elsewhere.
    pub(crate) fn links(&self) -> impl Iterator<Item = Link> {
        self.0.iter().map(|Entry { path, .. }| {
            // Out of the folders inside the release, then out of `releases/<id>`.
            let up = "../".repeat(path.matches('/').count() + 2);
            Link { path: path.clone(), points_to: format!("{up}shared/{path}") }
        })
    }
}

/// Whether a path is another one or inside it.
fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
