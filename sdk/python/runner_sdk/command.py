"""Commands on a target, for what no typed verb does. Needs the interfaces `commands` and `targets`."""

from dataclasses import dataclass
from typing import Self

from ._host import call, give, handle, load, milliseconds, number, text, texts
from .artifact import Artifact
from .effect import Effect, effect as of
from .secret import Secret
from .target import Target

_wit = load("commands")


@dataclass(frozen=True)
class Output:
    """How a command ended."""

    status: int
    """Exit status; 128 + n for death by signal n."""
    stdout: str
    """The first 256 KiB."""
    stderr: str
    truncated: bool
    """There was more."""
    skipped: bool
    """It was not run: `skip_if` held, or this is a dry run and the effect is not `read`."""


class Command:
    """A program and its arguments, which no shell sees. Each method but `run` answers with the command itself."""

    def __init__(self, argv: list[str], *, effect: Effect) -> None:
        self._raw = _wit.Command(texts("argv", argv), of(effect))

    def env(self, name: str, value: str | Secret) -> Self:
        """Sets a variable; the value of a secret never shows."""
        if isinstance(value, Secret):
            self._raw.env_secret(text("name", name), value._raw)
        else:
            self._raw.env(text("name", name), text("value", value))
        return self

    def stdin(self, content: str | Secret | Artifact) -> Self:
        """Gives it something to read; without, stdin is empty."""
        if isinstance(content, Secret):
            self._raw.stdin_secret(content._raw)
        elif isinstance(content, Artifact):
            self._raw.stdin_artifact(content._raw)
        else:
            self._raw.stdin(text("content", content))
        return self

    def stdin_file(self, path: str, *, decompress: bool = False) -> Self:
        """Gives it a file on the target; `decompress` unpacks one whose name ends with `.zst` or `.gz`."""
        self._raw.stdin_file(text("path", path))
        if decompress:
            self._raw.decompress()
        return self

    def stdout_to(self, path: str, *, compress: bool = False) -> Self:
        """Writes stdout to this file on the target; `compress` packs it: its name ends with `.zst` or `.gz`."""
        self._raw.stdout_to(text("path", path))
        if compress:
            self._raw.compress()
        return self

    def directory(self, path: str) -> Self:
        """The working folder; without, the user's home."""
        self._raw.directory(text("path", path))
        return self

    def timeout(self, seconds: float) -> Self:
        """Until all of it is killed; without, 60 seconds."""
        self._raw.timeout(milliseconds(seconds))
        return self

    def accept(self, *statuses: int) -> Self:
        """More exit statuses that are no failure, beside 0."""
        for status in statuses:
            self._raw.accept(number("status", status))
        return self

    def skip_if(self, check: "Command") -> Self:
        """A `read` command that is run first: when it ends with 0, this one is skipped. The check is used up."""
        self._raw.skip_if(give("check", check, Command, self))
        return self

    def undo_with(self, undo: "Command") -> Self:
        """What undoes it; required for `change`, `leave` and `join`. The undo is used up."""
        self._raw.undo_with(give("undo", undo, Command, self))
        return self

    def keep(self) -> Self:
        """All that a `change` leaves is the file of `stdout_to`, and an undo keeps it: a dump."""
        self._raw.keep()
        return self

    def repeatable(self) -> Self:
        """Twice is as good as once: a resume in doubt runs it again."""
        self._raw.repeatable()
        return self

    def run(self, on: Target) -> Output:
        """Runs it and waits for its end. `CommandFailed` where its status is not accepted."""
        raw = call(self._raw.run, handle("on", on, Target))
        return Output(raw.status, raw.stdout, raw.stderr, raw.truncated, raw.skipped)
