//! `runner schema`.

use super::args::{Schema, SchemaOf};
use super::fail::Fail;
use super::out;
use runner_model::schema::{Kind, reference_markdown, schema};

pub(crate) fn run(args: &Schema) -> Result<(), Fail> {
    if args.markdown {
        return out(&reference_markdown());
    }
    let kind = match args.of {
        SchemaOf::Plan => Kind::Plan,
        SchemaOf::Inventory => Kind::Inventory,
        SchemaOf::Policy => Kind::Policy,
        SchemaOf::Manifest => Kind::Manifest,
    };
    out(&format!("{:#}\n", schema(kind)))
}
