"""Requests to granted origins. Needs the interface `http`, and `targets` for `via`."""

from dataclasses import dataclass
from typing import Any, Self

from ._host import call, give, handle, load, milliseconds, text
from .artifact import Artifact
from .effect import Effect, effect as of
from .secret import Secret
from .target import Target

_wit = load("http")


@dataclass(frozen=True)
class Response:
    """An answer, of whatever status: a status is not an error."""

    status: int
    headers: list[tuple[str, str]]
    """Names in lower case, in the order of the answer."""
    body: str
    """The first 1 MiB."""
    truncated: bool
    """There was more."""
    skipped: bool
    """It was not sent: this is a dry run and the effect is not `read`."""

    def header(self, name: str) -> str | None:
        """The value of the first header of this name, in any case."""
        return next((value for one, value in self.headers if one == name.lower()), None)


class Request:
    """A request in the making. Each method but `send` and `download` answers with the request itself.

    `GET` and `HEAD` are reads, all else is `opaque` unless `effect` says otherwise.
    """

    def __init__(self, method: str, url: str, *, effect: Effect | None = None) -> None:
        default: Effect = "read" if method in ("GET", "HEAD") else "opaque"
        self._raw: Any = _wit.Request(text("method", method), text("url", url), of(effect or default))

    @staticmethod
    def get(url: str) -> "Request":
        """A `GET`."""
        return Request("GET", url)

    def header(self, name: str, value: str | Secret) -> Self:
        """Adds a header; the value of a secret never shows."""
        if isinstance(value, Secret):
            self._raw.header_secret(text("name", name), value._raw)
        else:
            self._raw.header(text("name", name), text("value", value))
        return self

    def body(self, content: str | Secret | Artifact) -> Self:
        """Sets the body; without, there is none."""
        if isinstance(content, Secret):
            self._raw.body_secret(content._raw)
        elif isinstance(content, Artifact):
            self._raw.body_artifact(content._raw)
        else:
            self._raw.body(text("content", content))
        return self

    def via(self, target: Target) -> Self:
        """Sends it through this target's connection, so that `127.0.0.1` is the target's own."""
        self._raw.via(handle("target", target, Target))
        return self

    def connect_to(self, address: str) -> Self:
        """Connects to this address; host, certificate and grant stay the URL's."""
        self._raw.connect_to(text("address", address))
        return self

    def timeout(self, seconds: float) -> Self:
        """For all of it; without, 30 seconds."""
        self._raw.timeout(milliseconds(seconds))
        return self

    def undo_with(self, undo: "Request") -> Self:
        """What undoes it; required for `change`, `leave` and `join`. The undo is used up."""
        self._raw.undo_with(give("undo", undo, Request, self))
        return self

    def repeatable(self) -> Self:
        """Twice is as good as once: a resume in doubt sends it again."""
        self._raw.repeatable()
        return self

    def send(self) -> Response:
        """Sends it and reads the answer."""
        raw = call(self._raw.send)
        headers = [(header.name, header.value) for header in raw.headers]
        return Response(raw.status, headers, raw.body, raw.truncated, raw.skipped)

    def download(self) -> Artifact:
        """Stores the body of a 2xx answer; any other status is an error."""
        return Artifact(call(self._raw.download))
