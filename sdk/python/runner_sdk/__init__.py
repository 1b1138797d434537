"""Write a step of the deploy runner in Python. See README.md.

What a step may touch is loaded when it is named: `from runner_sdk import Target` needs the interface `targets` among the
`imports` of step.toml, and says so where it is not.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from . import log
from ._host import load
from .errors import (
    Cancelled,
    CommandFailed,
    Conflict,
    Denied,
    Error,
    Invalid,
    NotFound,
    Timeout,
    Unreachable,
)
from .model import Model, field
from .step import step

if TYPE_CHECKING:
    from . import releases, run_info, sockets, timer, workspace
    from .artifact import Artifact
    from .command import Command, Output
    from .request import Request, Response
    from .secret import Secret
    from .target import Entry, Target

# What is loaded when it is named: the module that has it, the interface that it needs, and what is in that.
_LAZY = {
    "Artifact": ("artifact", "artifacts", "pack"),
    "Command": ("command", "commands", "Command"),
    "Entry": ("entry", "types", "Entry"),
    "Output": ("command", "commands", "Command"),
    "Request": ("request", "http", "Request"),
    "Response": ("request", "http", "Request"),
    "Secret": ("secret", "secrets", "get"),
    "Target": ("target", "targets", "current"),
    "releases": (None, "releases", "all"),
    "run_info": (None, "run-info", "run_id"),
    "sockets": (None, "sockets", "exchange"),
    "timer": (None, "timer", "now"),
    "workspace": (None, "workspace", "read"),
}

__all__ = [
    "Artifact",
    "Cancelled",
    "Command",
    "CommandFailed",
    "Conflict",
    "Denied",
    "Entry",
    "Error",
    "Invalid",
    "Model",
    "NotFound",
    "Output",
    "Request",
    "Response",
    "Secret",
    "Target",
    "Timeout",
    "Unreachable",
    "field",
    "log",
    "releases",
    "run_info",
    "sockets",
    "step",
    "timer",
    "workspace",
]


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module `{__name__}` has no `{name}`")
    module, interface, wanted = _LAZY[name]
    load(interface, wanted)
    if module is None:
        return import_module(f"{__name__}.{name}")
    return getattr(import_module(f"{__name__}.{module}"), name)
