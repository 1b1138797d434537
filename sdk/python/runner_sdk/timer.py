"""Time that a replay repeats. Needs the interface `timer`; always granted. In seconds, as in the module `time`."""

from ._host import call, load, milliseconds

_wit = load("timer")


def now() -> float:
    """Seconds since 1970-01-01 UTC, as `time.time`, and recorded in the journal."""
    return _wit.now() / 1000


def sleep(seconds: float) -> None:
    """Waits, as `time.sleep`; in a dry run and in a replay it returns at once. Ends with `Cancelled`."""
    call(_wit.sleep, milliseconds(seconds))
