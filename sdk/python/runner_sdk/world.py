"""What the component exports: `describe` and `run` of the one step of a module. The builder calls this."""

import io
import json
import linecache
import re
import sys
import traceback
from types import ModuleType
from typing import Any

from . import log
from ._host import Err, load, well_formed
from .errors import Error
from .step import Step


def world(module: ModuleType, name: str) -> type:
    """The class that componentize-py looks for, for the step that this module defines."""
    step = _only_step(module, name)
    manifest = well_formed(json.dumps(step.manifest, ensure_ascii=False))
    types = load("types")
    _keep_sources()

    class WitWorld:
        """The exports."""

        def describe(self) -> str:
            """The manifest."""
            return manifest

        def run(self, params: str) -> str:
            """Runs the step. Whatever it raises becomes the contract's error, with the traceback where it is a bug."""
            sys.stdout, sys.stderr = _Lines(log.info), _Lines(log.warn)
            try:
                return step.run(params)
            except Error as error:
                # Of an author's own class, any of them may be anything, or missing.
                failed = (error.kind, getattr(error, "message", error), getattr(error, "detail", ""))
            except BaseException as error:
                # The folders of modules are numbered where a component is made.
                trace = re.sub(r'"/\d+/', '"', "".join(traceback.format_exception(error)).rstrip())
                failed = ("other", "".join(traceback.format_exception_only(error)).strip(), trace)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
            kind, message, detail = failed
            word = str(kind).upper().replace("-", "_")
            known = word if word in types.ErrorKind.__members__ else "OTHER"
            raise Err(types.Error(types.ErrorKind[known], well_formed(message), well_formed(detail or "")))

    return WitWorld


def _only_step(module: ModuleType, name: str) -> Step:
    steps = [value for value in vars(module).values() if isinstance(value, Step)]
    if len(steps) != 1:
        found = ", ".join(f"`{step.manifest['name']}`" for step in steps) or "none"
        raise TypeError(f"`{module.__name__}.py` must have one function with `@step`, and has {found}")
    if steps[0].manifest["name"] != name:
        raise TypeError(f"the step is called `{steps[0].manifest['name']}`, and in step.toml `{name}`")
    return steps[0]


def _keep_sources() -> None:
    """Keeps the lines of the project's own modules for tracebacks: no file can be read later."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not file or not file.endswith(".py") or file.startswith(("/python", "/bundled", "/world")):
            continue
        try:
            with open(file, encoding="utf-8") as source:
                lines = source.readlines()
        except OSError:
            continue
        # Without a time, nothing looks whether the file has changed.
        linecache.cache[file] = (0, None, lines, file)  # type: ignore[assignment]


class _Lines(io.TextIOBase):
    """What is printed goes to the log of the step, line by line."""

    def __init__(self, log_line: Any) -> None:
        self._log_line, self._rest = log_line, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._log_line(line)
        return len(text)

    def flush(self) -> None:
        if self._rest:
            self._log_line(self._rest)
            self._rest = ""
