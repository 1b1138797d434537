//! An entry of the list, and what of it makes no sense: found before anything is touched.

use runner_sdk::params::Mode;
use runner_sdk::{Attributes, Error, Result, workspace};
use schemars::JsonSchema;
use serde::Deserialize;

/// A path, and exactly one of `content`, `source`, `folder`, `link-to` and `absent`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "type": "object", "required": ["content"] }, { "type": "object", "required": ["source"] }, { "type": "object", "required": ["folder"] }, { "type": "object", "required": ["link-to"] },
    { "type": "object", "required": ["absent"] },
]))]
pub struct Entry {
    /// Where it is on the target: an absolute path.
    path: String,
    /// A file with this text.
    content: Option<String>,
    /// A file like this one of the plan's folder, text or not.
    source: Option<String>,
    /// `true`: a folder. Those that it is in are made too.
    #[schemars(extend("const" = true))]
    folder: Option<bool>,
    /// A symbolic link, in which this is written.
    link_to: Option<String>,
    /// `true`: nothing. A folder must be empty, or `recursive`.
    #[schemars(extend("const" = true))]
    absent: Option<bool>,
    /// With `absent`: a folder goes with all that is in it.
    #[serde(default)]
    recursive: bool,
    /// Permission bits of a file or a folder, in octal: "0640". Without, as they are; of what is new, 0644 and 0755.
    mode: Option<Mode>,
    /// Who owns the file or the folder: a user's name or number. Without, as it is; of what is new, the acting user.
    owner: Option<String>,
    /// Its group.
    group: Option<String>,
}

/// What must be at a path.
pub(crate) enum Wanted {
    Content(String, Attributes),
    Source(String, Attributes),
    Folder(Attributes),
    Link(String),
    Absent { recursive: bool },
}

impl Wanted {
    /// What was done, for people.
    pub(crate) fn done(&self) -> &'static str {
        match self {
            Self::Content(..) | Self::Source(..) => "wrote",
            Self::Folder(_) => "made",
            Self::Link(_) => "linked",
            Self::Absent { .. } => "removed",
        }
    }
}

/// All entries, each with its path.
pub(crate) fn wanted(entries: Vec<Entry>) -> Result<Vec<(String, Wanted)>> {
    let mut all: Vec<(String, Wanted)> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let refuse = |what: String| Error::invalid(format!("`files.{index}`: {what}"));
        let (path, wanted) = entry.wanted().map_err(refuse)?;
        if let Wanted::Source(source, _) = &wanted {
            match workspace::stat(source)? {
                Some(found) if found.is_file() => {}
                Some(_) => return Err(refuse(format!("`{source}` in the plan's folder is not a file"))),
                None => return Err(refuse(format!("`{source}` is not in the plan's folder"))),
            }
        }
        for (other, (known, is)) in all.iter().enumerate() {
            if *known == path {
                return Err(refuse(format!("`{path}` is `files.{other}` already")));
            }
            let absent = matches!(is, Wanted::Absent { .. });
            if absent && path.strip_prefix(known.as_str()).is_some_and(|rest| rest.starts_with('/')) {
                let why = format!("`{path}` is in `{known}`, which `files.{other}` says is to be absent");
                return Err(refuse(why));
            }
        }
        all.push((path, wanted));
    }
    Ok(all)
}

impl Entry {
    fn wanted(self) -> Result<(String, Wanted), String> {
        let path = match self.path.trim_end_matches('/') {
            "" => return Err("`/` cannot be an entry".to_owned()),
            path => path.to_owned(),
        };
        let attributes = Attributes { mode: self.mode.map(Mode::get), owner: self.owner, group: self.group };
        let bare = attributes == Attributes::keep();
        let mut forms: Vec<Wanted> = Vec::new();
        forms.extend(self.content.map(|text| Wanted::Content(text, attributes.clone())));
        forms.extend(self.source.map(|source| Wanted::Source(source, attributes.clone())));
        forms.extend(self.folder.map(|_| Wanted::Folder(attributes.clone())));
        forms.extend(self.link_to.map(Wanted::Link));
        forms.extend(self.absent.map(|_| Wanted::Absent { recursive: self.recursive }));
        if self.folder == Some(false) || self.absent == Some(false) {
            return Err("`folder` and `absent` are `true` or left out".to_owned());
        }
        let (Some(wanted), true) = (forms.pop(), forms.is_empty()) else {
            return Err(
                "it needs exactly one of `content`, `source`, `folder`, `link-to` and `absent`".to_owned()
            );
        };
        let is_absent = matches!(wanted, Wanted::Absent { .. });
        if self.recursive && !is_absent {
            return Err("`recursive` is for what is `absent`".to_owned());
        }
        if !bare && (is_absent || matches!(wanted, Wanted::Link(_))) {
            let what = if is_absent { "what is `absent`" } else { "a link" };
            return Err(format!("{what} has no `mode`, `owner` and `group`"));
        }
        Ok((path, wanted))
    }
}
