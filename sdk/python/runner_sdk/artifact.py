"""Artifacts: files and trees in the runner's store. Needs the interface `artifacts`."""

import reprlib
from typing import Any

from ._host import call, load, missing, text, texts
from .errors import Invalid

_wit = load("artifacts")


class Artifact:
    """Data that stay in the host."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    @staticmethod
    def pack(path: str, exclude: list[str] | None = None) -> "Artifact":
        """A file or a folder of the workspace. `exclude` takes the patterns of `.gitignore`."""
        return Artifact(call(_wit.pack, text("path", path), texts("exclude", exclude or [])))

    @staticmethod
    def open(digest: str) -> "Artifact":
        """An artifact of this run, by the digest that another step gave out."""
        return Artifact(call(_wit.open, text("digest", digest)))

    @staticmethod
    def from_bytes(content: bytes) -> "Artifact":
        """Stores a file that the step has made, at most 16 MiB."""
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise Invalid(f"`content` must be bytes, and is {reprlib.repr(content)}")
        return Artifact(call(_wit.from_bytes, bytes(content)))

    def _method(self, name: str) -> Any:
        if not hasattr(self._raw, name):
            raise Invalid(missing("artifacts"))
        return getattr(self._raw, name)

    @property
    def digest(self) -> str:
        """Give this out as an output, and `open` it in another step."""
        return self._method("digest")()

    @property
    def size(self) -> int:
        """In bytes; of a tree, of all its files."""
        return self._method("size")()

    def bytes(self) -> bytes:
        """The content of a file of up to 16 MiB."""
        return call(self._method("bytes"))

    def save(self, path: str) -> bool:
        """Makes a file or folder of the workspace equal to it; whether that changed it."""
        return call(self._method("save"), text("path", path))
