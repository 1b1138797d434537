"""What a command, a request or a talk over a socket does to the world, as its step declares it."""

from typing import Any, Literal

from ._host import load, word

Effect = Literal["read", "change", "signal", "leave", "join", "opaque"]
"""`read` changes nothing and is done in a dry run, `change` needs an undo, `signal` makes something that runs look again,
`leave` and `join` take a target out of service and put it back, and `opaque` is none of these."""


def effect(name: Effect) -> Any:
    """The contract's."""
    return word("effect", name, load("types").Effect)
