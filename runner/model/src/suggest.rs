//! "Did you mean": one rule for keys, references, steps, targets and verbs.

/// The candidate that somebody who wrote `written` most likely meant; `None` when nothing is near.
///
/// ```
/// # use runner_model::suggest::closest;
/// assert_eq!(closest("relase", ["release", "target"]), Some("release"));
/// assert_eq!(closest("smoke_test", ["switch", "smoke-test"]), Some("smoke-test"));
/// assert_eq!(closest("zebra", ["release", "target"]), None);
/// ```
pub fn closest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Text that nobody typed is not compared: the comparison is quadratic.
    const LONGEST: usize = 128;
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(&written, &candidate.to_lowercase()), candidate))
        // A third of the letters wrong is another word; one wrong letter never is, unless there is only one.
        .filter(|(distance, candidate)| {
            *distance <= (candidate.chars().count() / 3).max(1) && *distance < candidate.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters swapped, left out, added or mistyped; `_` for `-` is a matter of habit and costs nothing.
fn distance(written: &str, candidate: &str) -> usize {
    strsim::osa_distance(&written.replace('_', "-"), &candidate.replace('_', "-"))
}
