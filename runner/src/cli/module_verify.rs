//! `runner module verify`: whether a module is what somebody published.

use super::args::Verify;
use super::fail::Fail;
use super::{out, talk};
use crate::written::{read, shown};
use runner_model::Digest;
use runner_model::words::count;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The standard modules that are in this binary, against the digests of a release.
///
/// Both are in the format of `sha256sum`, with `std/NAME.wasm` as the file: whoever builds them has the same by hand.
pub(crate) fn builtin(args: &Verify) -> Result<(), Fail> {
    if args.environment.is_some() {
        return Err(Fail::usage(
            "the standard modules are a part of the runner, and no environment is asked about them",
        )
        .hint("leave `--environment` out; `revoked` of a policy keeps one of them out of plans"));
    }
    // From the bytes, and not what was written down when the binary was built.
    let own: BTreeMap<String, Digest> = runner_steps::MODULES
        .iter()
        .map(|module| (format!("std/{}.wasm", module.name), Digest::of(module.bytes)))
        .collect();
    let Some(file) = &args.against else {
        let line = |(name, digest): (&String, &Digest)| format!("{}  {name}\n", digest.hex());
        return out(&own.iter().map(line).collect::<String>());
    };
    let bytes = read(file)?;
    let published = std::str::from_utf8(&bytes).ok().map_or_else(
        || Err("it is not UTF-8".to_owned()),
        |text| text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(line).collect(),
    );
    let published: BTreeMap<String, Digest> = published.map_err(|why: String| {
        Fail::usage(format_args!("`{}` is no list of digests: {why}", shown(file)))
            .hint("it is what `sha256sum` writes: 64 hexadecimal digits, two spaces, `std/NAME.wasm`")
    })?;
    let mut different = String::new();
    for name in own.keys().chain(published.keys()).collect::<std::collections::BTreeSet<_>>() {
        let said = |of: &BTreeMap<String, Digest>| of.get(name).map_or("none".to_owned(), Digest::to_string);
        let (here, there) = (said(&own), said(&published));
        if here != there {
            let _ = writeln!(different, "{name}\n  published {there}\n  here      {here}");
        }
    }
    if different.is_empty() {
        talk(&format!(
            "{} of this runner are those of `{}`\n",
            count(own.len(), "standard module"),
            shown(file)
        ));
        return Ok(());
    }
    Err(Fail::refused(format_args!("the standard modules of this runner are not those of `{}`", shown(file)))
        .detail(different)
        .hint("it is the list of another version, or this runner was built by another compiler or from other sources"))
}

/// A line of `sha256sum`: the digest, a space, a space or `*`, the file.
fn line((number, line): (usize, &str)) -> Result<(String, Digest), String> {
    let bad = || format!("line {} is not one", number + 1);
    let (hex, name) = line.split_once(' ').ok_or_else(bad)?;
    let name = name.strip_prefix([' ', '*']).ok_or_else(bad)?;
    let digest = format!("sha256:{hex}").parse().map_err(|_| bad())?;
    Ok((name.to_owned(), digest))
}
