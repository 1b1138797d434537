"""What a path leads to, on a target or in the workspace."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Entry:
    """A file, a folder or a link."""

    name: str
    """The last component of the path."""
    kind: Literal["file", "directory", "symlink", "other"]
    size: int
    """In bytes; 0 for what is not a file."""
    mode: int
    """Permission bits, as in `0o644`."""
    owner: str
    """The name, or the number where there is none. Empty in the workspace."""
    group: str
    modified: float
    """Seconds since 1970-01-01 UTC. 0 in the workspace."""

    @staticmethod
    def of(raw: Any) -> "Entry":
        """From the contract's."""
        kind = raw.kind.name.lower()
        return Entry(raw.name, kind, raw.size, raw.mode, raw.owner, raw.group, raw.modified / 1000)
