//! How many targets at a time.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What happens when more targets fail than may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum OnFailure {
    /// No further batch begins; each target stays as it is.
    #[default]
    Stop,
    /// No further batch begins, and what the run did is undone: each target that was touched is taken out of service,
    /// undone, and put back.
    Rollback,
}

/// How many targets are done when a batch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// So many.
    Count(u32),
    /// A share of all, from 1 to 100, rounded up.
    Percent(u8),
}

impl Goal {
    /// How many of `total` targets that is; never more than there are.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX).min(total),
            Self::Percent(percent) => total.saturating_mul(usize::from(percent)).div_ceil(100).min(total),
        }
    }

    /// Whether it can be seen without the inventory that this goal comes before `next`.
    pub(crate) fn is_before(self, next: Self) -> bool {
        match (self, next) {
            (Self::Count(this), Self::Count(next)) => this < next,
            (Self::Percent(this), Self::Percent(next)) => this < next,
            _ => true,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "\"{percent}%\""),
        }
    }
}

/// Text that is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no share from `1%` to `100%`", .0.escape_debug())]
pub struct BadGoal(pub(crate) String);

/// Reads a share.
impl FromStr for Goal {
    type Err = BadGoal;

    fn from_str(text: &str) -> Result<Self, BadGoal> {
        text.strip_suffix('%')
            .filter(|digits| !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|percent| (1..=100).contains(percent))
            .map(Self::Percent)
            .ok_or_else(|| BadGoal(text.to_owned()))
    }
}

impl JsonSchema for Goal {
    fn schema_name() -> Cow<'static, str> {
        "Goal".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of targets, or a share of all.",
            "oneOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "string", "pattern": "^([1-9][0-9]?|100)%$" }
            ]
        })
    }
}

/// Cuts `targets` into batches: after each, as many are done as its goal says. Empty batches are left out.
pub(crate) fn batches<T: Clone>(targets: &[T], goals: &[Goal]) -> Vec<Vec<T>> {
    let mut done = 0;
    let mut batches = Vec::new();
    for goal in goals {
        let reached = goal.of(targets.len());
        if reached > done {
            batches.push(targets[done..reached].to_vec());
            done = reached;
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(total: usize, goals: &[Goal]) -> Vec<usize> {
        batches(&(0..total).collect::<Vec<_>>(), goals).iter().map(Vec::len).collect()
    }

    #[test]
    fn goals_add_up() {
        let goals = [Goal::Count(1), Goal::Percent(25), Goal::Percent(100)];
        assert_eq!(sizes(10, &goals), [1, 2, 7]);
        assert_eq!(sizes(100, &goals), [1, 24, 75]);
        assert_eq!(sizes(3, &goals), [1, 2], "a batch that adds nothing is left out");
        assert_eq!(sizes(1, &goals), [1]);
        assert_eq!(sizes(3, &[Goal::Count(5), Goal::Percent(100)]), [3]);
    }

    #[test]
    fn shares_are_whole_and_up_to_a_hundred() {
        assert_eq!("25%".parse(), Ok(Goal::Percent(25)));
        for text in ["", "%", "0%", "101%", "-5%", "+5%", "2.5%", "25", "300%", "25 %"] {
            assert!(text.parse::<Goal>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_target_is_in_exactly_one_batch(
            total in 0_usize..300,
            goals in proptest::collection::vec(
                prop_oneof![(1_u32..400).prop_map(Goal::Count), (1_u8..=100).prop_map(Goal::Percent)], 0..8),
        ) {
            let mut goals = goals;
            goals.push(Goal::Percent(100));
            let targets: Vec<usize> = (0..total).collect();
            let batches = batches(&targets, &goals);
            prop_assert!(batches.iter().all(|batch| !batch.is_empty()));
            prop_assert_eq!(batches.concat(), targets);
        }
    }
}
