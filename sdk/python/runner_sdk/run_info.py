"""What this invocation is part of. Needs the interface `run-info`; always granted."""

from ._host import load, text

_wit = load("run-info")


def run_id() -> str:
    """Names this run and its folder."""
    return _wit.run_id()


def step_id() -> str:
    """The id of this step in the plan."""
    return _wit.step_id()


def environment() -> str:
    """The environment that is released to."""
    return _wit.environment()


def release_id() -> str | None:
    """The release that this run makes; `None` when the plan makes none."""
    return _wit.release_id()


def previous_release() -> str | None:
    """The release that was live on the subject when the run began."""
    return _wit.previous_release()


def subject() -> str | None:
    """The target on whose behalf the step runs; differs from `Target.current` where the plan says `on`."""
    return _wit.subject()


def variable(name: str) -> str | None:
    """A variable of the subject, from the inventory."""
    return _wit.variable(text("name", name))


def operation_key() -> str:
    """The same for every attempt at this step, on this subject, in this run: an idempotency key."""
    return _wit.operation_key()
