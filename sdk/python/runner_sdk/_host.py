"""The way to the host: the interfaces that the project's world names, and calls whose errors are exceptions.

What would end the component with no text (a value of another type than the contract's) is refused before.
"""

import re
import reprlib
from importlib import import_module
from typing import Any, Callable

from .errors import Error, Invalid

try:
    from componentize_py_types import Err
except ModuleNotFoundError:  # not in a component: types and schemas work, and nothing else is called

    class Err(Exception):  # type: ignore[no-redef]
        """Never raised here."""

        value: Any = None


class _Absent:
    """What stands for an interface outside of a component, so that a step's own functions can be tested natively."""

    def __init__(self, interface: str) -> None:
        self._interface = interface

    def __getattr__(self, name: str) -> "_Absent":
        return self

    def __call__(self, *_: Any) -> None:
        if self._interface != "log":
            raise RuntimeError("the host can be called only in a component: use `runner module test`")

    def __iter__(self) -> Any:
        self()


def load(interface: str, wanted: str | None = None) -> Any:
    """The module of an interface that componentize-py made; an error that says what mends it where there is none.

    `wanted` is a name that it has when step.toml names it, and not when it is there for its handles alone.
    """
    try:
        module = import_module("wit_world.imports." + interface.replace("-", "_"))
    except ModuleNotFoundError as error:
        if error.name == "wit_world":
            return _Absent(interface)
        raise ImportError(missing(interface)) from None
    if wanted and not hasattr(module, wanted):
        raise ImportError(missing(interface))
    return module


def missing(interface: str) -> str:
    """What to say about an interface that step.toml does not name."""
    return f'the step uses the interface `{interface}`: add "{interface}" to `imports` in step.toml'


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls the host, and raises what it fails with as an `Error`."""
    try:
        return function(*arguments)
    except Err as error:
        failed = error.value
        raise Error.of(failed.kind.name, failed.message, failed.detail) from None


def _invalid(what: str, wanted: str, value: Any) -> Invalid:
    return Invalid(f"`{what}` must be {wanted}, and is {reprlib.repr(value)}")


_SURROGATE = re.compile("[\ud800-\udfff]")


def well_formed(value: Any) -> str:
    """Anything as text that is Unicode, for where nothing may fail: U+FFFD takes the place of what is not."""
    return _SURROGATE.sub("\ufffd", str(value))


def text(what: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise _invalid(what, "text", value)
    if _SURROGATE.search(value):
        raise _invalid(what, "text that is Unicode", value)
    return value


def texts(what: str, values: Any) -> list[str]:
    """A list of texts."""
    if not isinstance(values, (list, tuple)):
        raise _invalid(what, "a list of texts", values)
    return [text(f"{what}[{index}]", value) for index, value in enumerate(values)]


def number(what: str, value: Any) -> int:
    """A whole number that fits a `u32`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 0xFFFF_FFFF:
        raise _invalid(what, "a whole number from 0 to 4294967295", value)
    return value


def word(what: str, value: Any, words: Any) -> Any:
    """The one of the contract's words that is written like this."""
    known = {one.name.lower().replace("_", "-"): one for one in words}
    if not isinstance(value, str) or value not in known:
        raise _invalid(what, f"one of {', '.join(known)}", value)
    return known[value]


def handle(what: str, value: Any, kind: type) -> Any:
    """What the host knows an object by."""
    if not isinstance(value, kind):
        raise Invalid(f"`{what}` must be of the class `{kind.__name__}`, and is of `{type(value).__name__}`")
    return value._raw


def give(what: str, value: Any, kind: type, to: Any) -> Any:
    """What the host knows an object by that is given to another one of its class, and is used up."""
    raw = handle(what, value, kind)
    if value is to:
        raise Invalid(f"`{what}` must be another one")
    if isinstance(raw, _UsedUp):
        raise raw.error()
    value._raw = _UsedUp(what)
    return raw


class _UsedUp:
    """Stands for the handle of what was given away."""

    def __init__(self, what: str) -> None:
        self._what = what

    def error(self) -> Invalid:
        return Invalid(f"it was given to another one as its `{self._what}`, and is used up")

    def __getattr__(self, name: str) -> Any:
        raise self.error()


def milliseconds(seconds: float) -> int:
    """Seconds, as Python counts time, in milliseconds, as the contract does."""
    try:
        result = round(seconds * 1000)
    except (ArithmeticError, TypeError, ValueError):
        result = -1
    if not 0 <= result <= 0xFFFF_FFFF:
        raise Invalid(f"{seconds} s is no time to wait")
    return result
