"""The decorator that makes a step of a function."""

import inspect
import json
import typing
from dataclasses import dataclass
from typing import Any, Callable, Literal

from ._host import well_formed
from .model import Model, read_model, schema_of, write_model


@dataclass(frozen=True)
class Step:
    """A function, and what the manifest says of it."""

    function: Callable[[Any], Any]
    params: type[Model]
    manifest: dict[str, Any]

    def __call__(self, params: Any) -> Any:
        """The function itself, for tests of what it does before it calls the host."""
        return self.function(params)

    def run(self, params: str) -> str:
        """From JSON to JSON, as the host calls it."""
        outputs = self.function(read_model(self.params, json.loads(params)))
        return well_formed(json.dumps({} if outputs is None else write_model(outputs), ensure_ascii=False))


def step(
    *,
    version: str,
    name: str | None = None,
    runs: Literal["each-target", "once"] = "each-target",
    ssh: list[str] | None = None,
    http: list[str] | None = None,
    files: list[str] | None = None,
    secrets: list[str] | None = None,
) -> Callable[[Callable[[Any], Any]], Step]:
    """Makes a step of a function from a `Model` of parameters to a `Model` of outputs, or to `None`.

    Its docstring has the summary (the first line) and the documentation (the rest, in Markdown); its name is the
    function's with `-` for `_`. `ssh`, `http`, `files` and `secrets` are what it needs: templates of grants over the
    parameters, as in `write:${file}`. Ask for the least: a plan's author reviews it.
    """

    def make(function: Callable[[Any], Any]) -> Step:
        params, outputs = _types(function)
        summary, _, documentation = (inspect.getdoc(function) or "").partition("\n")
        if not summary:
            raise TypeError(f"`{function.__name__}` needs a docstring: its first line is the summary in the manifest")
        needs = {"ssh": ssh, "http": http, "files": files, "secrets": secrets}
        manifest = {
            "name": name or function.__name__.replace("_", "-"),
            "version": version,
            "summary": summary,
            "documentation": documentation.strip(),
            "runs": runs,
            "parameters": schema_of(params, closed=True),
            # Later versions may give more: whoever reads outputs takes what they know.
            "outputs": schema_of(outputs, closed=False) if outputs else {"type": "object"},
            "capabilities": {kind: grants for kind, grants in needs.items() if grants},
        }
        return Step(function, params, manifest)

    return make


def _types(function: Callable[[Any], Any]) -> tuple[type[Model], type[Model] | None]:
    hints = typing.get_type_hints(function)
    outputs = hints.pop("return", type(None))
    names = list(inspect.signature(function).parameters)
    params = hints.get(names[0]) if len(names) == 1 else None
    if not (isinstance(params, type) and issubclass(params, Model)):
        raise TypeError(f"`{function.__name__}` must take one parameter, whose type is a `Model`")
    if outputs is type(None):
        return params, None
    if not (isinstance(outputs, type) and issubclass(outputs, Model)):
        raise TypeError(f"`{function.__name__}` must answer with a `Model`, or with `None`")
    return params, outputs
