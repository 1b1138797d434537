"""The way to the host: the interfaces that the project's world names, and calls whose errors are exceptions."""

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
    """What stands for `log` outside of a component, so that a step's own functions can be tested natively."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def load(interface: str, wanted: str | None = None) -> Any:
    """The module of an interface that componentize-py made; an error that says what mends it where there is none.

    `wanted` is a name that it has when step.toml names it, and not when it is there for its handles alone.
    """
    try:
        module = import_module("wit_world.imports." + interface.replace("-", "_"))
    except ModuleNotFoundError as error:
        if error.name == "wit_world" and interface == "log":
            return _Absent()
        if error.name == "wit_world":
            raise ImportError(f"`{interface}` is there only in a component: build the step") from None
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


def milliseconds(seconds: float) -> int:
    """Seconds, as Python counts time, in milliseconds, as the contract does."""
    result = round(seconds * 1000)
    if not 0 <= result <= 0xFFFF_FFFF:
        raise Invalid(f"{seconds} s is no time to wait")
    return result
