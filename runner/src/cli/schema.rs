//! `runner schema`: schemas on stdout, or beside a plan, where editors find them without a network.

use super::args::{Schema, SchemaOf};
use super::fail::Fail;
use super::files::replace;
use super::{out, talk};
use crate::written::shown;
use runner_model::schema::{Kind, reference_markdown, schema};
use std::path::Path;

/// Where the schemas lie, beside the plan. They are committed with it, so that a clone has them.
pub(super) const FOLDER: &str = ".schema";
/// The files of a project that have one. The policy is no part of a project.
const INSTALLED: [Kind; 2] = [Kind::Plan, Kind::Inventory];

pub(crate) fn run(args: &Schema) -> Result<(), Fail> {
    if args.markdown {
        return out(&reference_markdown());
    }
    if let Some(folder) = &args.install {
        install(folder)?;
        let lines: Vec<String> =
            INSTALLED.iter().map(|kind| format!("  {}  # {}\n", line(*kind), kind.word())).collect();
        talk(&format!(
            "wrote the schemas into `{}`: commit them\n\nthe first line of a file names its own:\n{}",
            shown(&folder.join(FOLDER)),
            lines.concat()
        ));
        return Ok(());
    }
    let kind = match args.of {
        SchemaOf::Plan => Kind::Plan,
        SchemaOf::Inventory => Kind::Inventory,
        SchemaOf::Policy => Kind::Policy,
        SchemaOf::Manifest => Kind::Manifest,
    };
    out(&text(kind))
}

/// What editors with Even Better TOML or `taplo` take the schema from.
pub(super) fn line(kind: Kind) -> String {
    format!("#:schema ./{FOLDER}/{}.json", kind.word())
}

/// Writes the schemas beside a plan in this folder; those of an older runner are replaced.
pub(super) fn install(folder: &Path) -> Result<(), Fail> {
    let schemas = folder.join(FOLDER);
    let fail = |what: &Path, error: std::io::Error| {
        Fail::usage(format_args!("cannot write `{}`: {error}", shown(what)))
            .hint("name the folder of the plan: `runner schema --install deploy`")
    };
    if !folder.is_dir() {
        return Err(fail(folder, std::io::Error::other("it is no folder")));
    }
    std::fs::create_dir_all(&schemas).map_err(|error| fail(&schemas, error))?;
    for kind in INSTALLED {
        let file = schemas.join(format!("{}.json", kind.word()));
        replace(&file, &text(kind)).map_err(|error| fail(&file, error))?;
    }
    Ok(())
}

/// Whether what lies beside a plan is of another runner. Where there is none, none is missed.
pub(super) fn is_stale(folder: &Path) -> bool {
    INSTALLED.iter().any(|kind| {
        let file = folder.join(FOLDER).join(format!("{}.json", kind.word()));
        std::fs::read_to_string(file).is_ok_and(|there| there != text(*kind))
    })
}

fn text(kind: Kind) -> String {
    format!("{:#}\n", schema(kind))
}
