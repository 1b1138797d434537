"""The errors of host calls and of steps. Let those of the host pass: they say what helps."""


class Error(Exception):
    """What a host call fails with, and what a step fails with. Raised as it is, its kind is `other`."""

    kind = "other"
    """For programs; each class below has its own."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        """One lower-case line that says what failed, and names it."""
        self.detail = detail
        """What helps to mend it: the end of stderr, a line for the plan. Empty when there is nothing."""

    @staticmethod
    def of(kind: str, message: str, detail: str = "") -> "Error":
        """The error of a kind, as the contract writes it: `not-found`."""
        return _OF_KINDS.get(kind.lower().replace("_", "-"), Error)(message, detail)


class Denied(Error):
    """No grant covers it. `detail` is the line that would."""

    kind = "denied"


class Unreachable(Error):
    """The target or the origin could not be reached."""

    kind = "unreachable"


class Timeout(Error):
    """It took longer than allowed."""

    kind = "timeout"


class NotFound(Error):
    """No such file, target, secret, artifact or name."""

    kind = "not-found"


class Conflict(Error):
    """The world is not as the call needs it."""

    kind = "conflict"


class CommandFailed(Error):
    """A command ended with a status that was not accepted. `detail` is the end of its stderr."""

    kind = "command-failed"


class Invalid(Error):
    """The arguments make no sense."""

    kind = "invalid"


class Cancelled(Error):
    """The run was cancelled, or its time is up. Every call fails with it from then on."""

    kind = "cancelled"


# Not the subclasses of `Error`: authors make some of their own.
_OF_KINDS = {
    made.kind: made for made in (Denied, Unreachable, Timeout, NotFound, Conflict, CommandFailed, Invalid, Cancelled)
}
