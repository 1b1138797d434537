//! Targets that are asked something: how many at a time, and what a command ends with when not all answer.

use super::fail::{REFUSED, UNREACHABLE};
use runner_model::{Failure, FailureKind};

/// How many are asked at the same time.
pub(super) const AT_ONCE: usize = 32;

/// What a command ends with that has said what failed: one that cannot be reached may be asked again, and is told apart.
pub(super) fn code<'a>(failures: impl Iterator<Item = &'a Failure>) -> u8 {
    let unreachable =
        |failure: &Failure| matches!(failure.kind, FailureKind::Unreachable | FailureKind::Timeout);
    failures.map(|failure| if unreachable(failure) { UNREACHABLE } else { REFUSED }).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreachable_ones_count_more_than_those_that_refuse() {
        let [away, refuses] =
            [FailureKind::Timeout, FailureKind::Denied].map(|kind| Failure::new(kind, "why"));
        assert_eq!(code([].iter()), 0);
        assert_eq!(code([refuses.clone()].iter()), 3);
        assert_eq!(code([away, refuses].iter()), 5);
    }
}
