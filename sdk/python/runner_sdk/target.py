"""Machines, with typed verbs. Needs the interface `targets`."""

from typing import Any, Literal

from ._host import call, handle, load, number, text, word
from .artifact import Artifact
from .entry import Entry
from .secret import Secret

_wit = load("targets")
_types = load("types")

ServiceAction = Literal["start", "stop", "restart", "reload", "reload-or-restart"]


class Target:
    """A machine. A verb that changes something answers whether the target differs now from how this step last left it:
    `if changed: …` never loses what comes after."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    @staticmethod
    def current() -> "Target":
        """The target that this step acts on."""
        return Target(_wit.current())

    @staticmethod
    def named(name: str) -> "Target":
        """Another target of the inventory, or `localhost`."""
        return Target(call(_wit.named, text("name", name)))

    @property
    def name(self) -> str:
        """Its name in the inventory."""
        return self._raw.name()

    def fact(self, name: str) -> str:
        """`os`, `arch`, `distribution`, `user`, `hostname`, `init`, `has:<program>`."""
        return call(self._raw.fact, text("name", name))

    def stat(self, path: str) -> Entry | None:
        """What is at the path; `None` when there is nothing."""
        entry = call(self._raw.stat, text("path", path))
        return entry and Entry.of(entry)

    def read_dir(self, path: str) -> list[Entry]:
        """What is in the folder, sorted by name."""
        return [Entry.of(entry) for entry in call(self._raw.read_dir, text("path", path))]

    def read_link(self, path: str) -> str:
        """Where the symbolic link points to, as it is written."""
        return call(self._raw.read_link, text("path", path))

    def read(self, path: str) -> str:
        """The text of a file of up to 1 MiB."""
        return call(self._raw.read, text("path", path))

    def digest(self, path: str) -> str:
        """Of a file's content, or of a folder's manifest."""
        return call(self._raw.digest, text("path", path))

    def disk_free(self, path: str) -> int:
        """Bytes that the user may still write to the file system of the path."""
        return call(self._raw.disk_free, text("path", path))

    def fetch(self, path: str) -> Artifact:
        """Copies a file or a folder into the artifact store."""
        return Artifact(call(self._raw.fetch, text("path", path)))

    def service_is_active(self, unit: str) -> bool:
        """Whether the unit runs."""
        return call(self._raw.service_is_active, text("unit", unit))

    def write(
        self,
        path: str,
        content: str | Secret | Artifact,
        *,
        mode: int | None = None,
        owner: str | None = None,
        group: str | None = None,
    ) -> bool:
        """Makes the file have this content. Without `mode`: as it is; when new, 0o644, and 0o600 for a secret."""
        path, attributes = text("path", path), _attributes(mode, owner, group)
        if isinstance(content, Secret):
            return call(self._raw.write_secret, path, content._raw, attributes)
        if isinstance(content, Artifact):
            return call(self._raw.put, path, content._raw, attributes)
        return call(self._raw.write, path, text("content", content), attributes)

    def mkdir(
        self, path: str, *, mode: int | None = None, owner: str | None = None, group: str | None = None
    ) -> bool:
        """Makes the folder and its parents exist. The attributes are for the last one."""
        return call(self._raw.mkdir, text("path", path), _attributes(mode, owner, group))

    def symlink(self, path: str, points_to: str) -> bool:
        """Makes the path a symbolic link."""
        return call(self._raw.symlink, text("path", path), text("points_to", points_to))

    def rename(self, old_path: str, new_path: str) -> None:
        """Renames, within one file system."""
        call(self._raw.rename, text("old_path", old_path), text("new_path", new_path))

    def remove(self, path: str) -> bool:
        """Makes the file, link or empty folder be gone."""
        return call(self._raw.remove, text("path", path))

    def remove_tree(self, path: str) -> bool:
        """Makes the folder and all in it be gone."""
        return call(self._raw.remove_tree, text("path", path))

    def set_attributes(
        self, path: str, *, mode: int | None = None, owner: str | None = None, group: str | None = None
    ) -> bool:
        """Makes the file or folder have these attributes."""
        return call(self._raw.set_attributes, text("path", path), _attributes(mode, owner, group))

    def unpack(
        self,
        path: str,
        tree: Artifact,
        *,
        links: dict[str, str] | None = None,
        reuse: str | None = None,
        owner: str | None = None,
        group: str | None = None,
    ) -> bool:
        """Makes the folder hold exactly the tree and the links (where each is: what it points to). What is unchanged is
        copied from the folder `reuse`."""
        path, raw = text("path", path), handle("tree", tree, Artifact)
        made = [_types.Link(text("links", where), text("links", to)) for where, to in (links or {}).items()]
        reuse = None if reuse is None else text("reuse", reuse)
        return call(self._raw.unpack, path, raw, made, reuse, _attributes(None, owner, group))

    def archive(self, path: str, into: str) -> int:
        """Archives the folder or file into the new file `into`; its size in bytes."""
        return call(self._raw.archive, text("path", path), text("into", into))

    def unarchive(
        self, archive: str, path: str, *, owner: str | None = None, group: str | None = None
    ) -> bool:
        """Makes the folder or file equal to what an archive holds."""
        attributes = _attributes(None, owner, group)
        return call(self._raw.unarchive, text("archive", archive), text("path", path), attributes)

    def service(self, unit: str, action: ServiceAction) -> None:
        """Asks the init system, and waits until the unit has reached the state."""
        call(self._raw.service, text("unit", unit), word("action", action, _wit.ServiceAction))


def _attributes(mode: int | None, owner: str | None, group: str | None) -> Any:
    """As the contract has them."""
    return _types.Attributes(
        None if mode is None else number("mode", mode),
        None if owner is None else text("owner", owner),
        None if group is None else text("group", group),
    )
