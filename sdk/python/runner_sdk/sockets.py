"""Unix sockets on a target. Needs the interfaces `sockets` and `targets`."""

from ._host import call, handle, load, text as checked
from .effect import Effect, effect as of
from .target import Target

_wit = load("sockets")


def exchange(on: Target, path: str, text: str, *, effect: Effect) -> str:
    """Connects, sends the text, and answers all that comes back until the other side closes."""
    return call(_wit.exchange, handle("on", on, Target), checked("path", path), checked("text", text), of(effect))
