"""Unix sockets on a target. Needs the interfaces `sockets` and `targets`."""

from ._host import call, load
from .effect import Effect, effect as of
from .target import Target

_wit = load("sockets")


def exchange(on: Target, path: str, text: str, *, effect: Effect) -> str:
    """Connects, sends the text, and answers all that comes back until the other side closes."""
    return call(_wit.exchange, on._raw, path, text, of(effect))
