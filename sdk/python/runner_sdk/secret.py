"""Secrets: values that a step uses and never sees. Needs the interface `secrets`."""

from typing import Any

from ._host import call, handle, load, text

_wit = load("secrets")


class Secret:
    """A value in the host. What is made of it is a secret too."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    @staticmethod
    def get(name: str) -> "Secret":
        """A secret that the plan gives to this step, by its name."""
        return Secret(call(_wit.get, text("name", name)))

    def wrap(self, before: str = "", after: str = "") -> "Secret":
        """With text around it: `token.wrap("Bearer ")`."""
        return Secret(self._raw.wrap(text("before", before), text("after", after)))

    def append(self, other: "Secret") -> "Secret":
        """With another one behind it."""
        return Secret(self._raw.append(handle("other", other, Secret)))

    def base64(self) -> "Secret":
        """In base64, as `authorization: Basic` wants it."""
        return Secret(self._raw.base64())

    def url_encode(self) -> "Secret":
        """Percent-encoded, for a part of a URL."""
        return Secret(self._raw.url_encode())
