//! What is built today from `examples/steps`.

use super::{Candidate, manifest, suite};
use runner_guests::{Error, Language, Project};
use std::path::Path;

/// The examples, built; what cannot be for want of a tool is said.
fn built() -> Vec<Candidate> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/steps");
    let build = |language: Language| {
        let project =
            Project::read(&examples.join(language.word())).unwrap_or_else(|error| panic!("{error}"));
        match project.build() {
            Ok(bytes) => Some(Candidate { name: language.word().to_owned(), bytes }),
            Err(Error::Missing { language, what, .. }) => {
                eprintln!("SKIPPED: the reference step in {}: {what} is missing", language.word());
                None
            }
            Err(error) => panic!("{}: {error}", language.word()),
        }
    };
    Language::ALL.into_iter().filter_map(build).collect()
}

#[test]
fn the_reference_step_of_today_does_the_same_in_every_language() {
    let built = built();
    manifest::same(&built);
    suite::passes(&built);
}
