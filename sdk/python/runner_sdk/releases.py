"""The releases below a release root. Needs the interfaces `releases` and `targets`."""

from dataclasses import dataclass
from typing import Any, Literal

from ._host import call, handle, load, text
from .target import Target

_wit = load("releases")


@dataclass(frozen=True)
class Release:
    """One version laid out on a target."""

    id: str
    """The name of its folder in `releases/`."""
    sequence: int
    """The order in which releases were laid out; grows, never reused."""
    mark: Literal["good", "bad", "untried"]
    live: bool
    """Whether `current` points to it."""
    size: int
    """In bytes, of all its files."""


def _release(raw: Any) -> Release:
    return Release(raw.id, raw.sequence, raw.mark.name.lower(), raw.live, raw.size)


def all(target: Target, root: str) -> list[Release]:
    """Those that are complete, newest first."""
    return [_release(raw) for raw in call(_wit.all, handle("target", target, Target), text("root", root))]


def previous(target: Target, root: str) -> Release | None:
    """The good release before the live one; `None`: there is none."""
    raw = call(_wit.previous, handle("target", target, Target), text("root", root))
    return raw and _release(raw)
