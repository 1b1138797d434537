"""Files beside the plan, under the folders that are granted. Needs the interface `workspace`."""

from ._host import call, load, text as checked
from .entry import Entry

_wit = load("workspace")


def stat(path: str) -> Entry | None:
    """What is at the path; `None` when there is nothing."""
    entry = call(_wit.stat, checked("path", path))
    return entry and Entry.of(entry)


def read_dir(path: str) -> list[Entry]:
    """What is in the folder, sorted by name."""
    return [Entry.of(entry) for entry in call(_wit.read_dir, checked("path", path))]


def read(path: str) -> str:
    """The text of a file of up to 1 MiB."""
    return call(_wit.read, checked("path", path))


def digest(path: str) -> str:
    """Of a file's content, or of a folder's manifest."""
    return call(_wit.digest, checked("path", path))


def write(path: str, text: str) -> bool:
    """Makes the file have this text; whether that changed it."""
    return call(_wit.write, checked("path", path), checked("text", text))
