//! Between the words of the contract and those of the model: the same ones, in two types.

use super::bindings::wit::{releases, targets, types};
use super::text;
use runner_model::{
    Attributes, EffectClass, Entry, EntryKind, Failure, FailureKind, Link, Mark, Release, Service,
    ServiceAction, Standing,
};

/// The longest first line of an error that a guest returns.
const MESSAGE: usize = 1024;
/// The longest detail of an error that a guest returns.
const DETAIL: usize = 16 * 1024;

/// Maps the cases of two enums of the same words onto each other.
macro_rules! same_words {
    ($from:ty => $to:ty { $($case:ident),+ $(,)? }) => {
        impl From<$from> for $to {
            fn from(value: $from) -> Self {
                match value {
                    $(<$from>::$case => Self::$case,)+
                }
            }
        }
    };
}

impl From<FailureKind> for types::ErrorKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Denied => Self::Denied,
            FailureKind::Unreachable => Self::Unreachable,
            FailureKind::Timeout => Self::Timeout,
            FailureKind::NotFound => Self::NotFound,
            FailureKind::Conflict => Self::Conflict,
            FailureKind::CommandFailed => Self::CommandFailed,
            FailureKind::Invalid => Self::Invalid,
            FailureKind::Cancelled => Self::Cancelled,
            // Of the second one no guest is told: the invocation ends.
            FailureKind::Other | FailureKind::Unknown => Self::Other,
        }
    }
}

same_words!(types::ErrorKind => FailureKind {
    Denied, Unreachable, Timeout, NotFound, Conflict, CommandFailed, Invalid, Cancelled, Other,
});
same_words!(types::Effect => EffectClass { Read, Change, Signal, Leave, Join, Opaque });
same_words!(EntryKind => types::EntryKind { File, Directory, Symlink, Other });
same_words!(Mark => releases::Mark { Good, Bad, Untried });
same_words!(targets::ServiceAction => ServiceAction { Start, Stop, Restart, Reload, ReloadOrRestart });

impl From<types::Standing> for Standing {
    fn from(standing: types::Standing) -> Self {
        let types::Standing { service, healthy, connections } = standing;
        let service = match service {
            types::Service::InService => Service::In,
            types::Service::Draining => Service::Draining,
            types::Service::Out => Service::Out,
        };
        Self { service, healthy, connections }
    }
}

impl From<Failure> for types::Error {
    fn from(failure: Failure) -> Self {
        Self { kind: failure.kind.into(), message: failure.message, detail: failure.detail }
    }
}

impl From<types::Error> for Failure {
    /// What a guest returns is shown to people: it is made safe here.
    fn from(error: types::Error) -> Self {
        let mut lines = error.message.lines();
        let message = text::line(lines.next().unwrap_or_default(), MESSAGE);
        let message =
            if message.is_empty() { "the step failed and does not say why".to_owned() } else { message };
        // A message of several lines is not what the contract asks for; nothing of it is lost.
        let rest: Vec<&str> = lines.chain(error.detail.lines()).collect();
        Self { kind: error.kind.into(), message, detail: text::lines(&rest.join("\n"), DETAIL) }
    }
}

impl From<Entry> for types::Entry {
    fn from(entry: Entry) -> Self {
        let Entry { name, kind, size, mode, owner, group, modified } = entry;
        Self { name, kind: kind.into(), size, mode, owner, group, modified }
    }
}

impl From<types::Attributes> for Attributes {
    fn from(attributes: types::Attributes) -> Self {
        let types::Attributes { mode, owner, group } = attributes;
        Self { mode, owner, group }
    }
}

impl From<types::Link> for Link {
    fn from(link: types::Link) -> Self {
        Self { path: link.path, points_to: link.points_to }
    }
}

impl From<Release> for releases::Release {
    fn from(release: Release) -> Self {
        let Release { id, sequence, mark, live, size, by: _ } = release;
        Self { id: id.into(), sequence, mark: mark.into(), live, size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_guest_is_one_safe_line_and_safe_detail() {
        let error = types::Error {
            kind: types::ErrorKind::Other,
            message: "first\u{1b}[2J\nsecond".to_owned(),
            detail: "third\u{202e}\nfourth".to_owned(),
        };
        let failure = Failure::from(error);
        assert_eq!(failure.message, "first\\u{1b}[2J");
        assert_eq!(failure.detail, "second\nthird\\u{202e}\nfourth");
    }

    #[test]
    fn an_error_without_words_still_says_something() {
        let error = types::Error {
            kind: types::ErrorKind::Conflict,
            message: String::new(),
            detail: "x".repeat(100_000),
        };
        let failure = Failure::from(error);
        assert_eq!(failure.message, "the step failed and does not say why");
        assert!(failure.detail.len() <= DETAIL + 20, "{}", failure.detail.len());
    }
}
