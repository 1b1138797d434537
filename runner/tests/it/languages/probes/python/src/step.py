"""Does what careless authors do."""

import enum
from typing import Any, Callable

from runner_sdk import (
    Artifact,
    Command,
    Conflict,
    Error,
    Invalid,
    Model,
    Request,
    Secret,
    Target,
    Timeout,
    field,
    log,
    step,
    timer,
)


class Shape(Model):
    name: str = field("Its name.")
    size: int = field("Its size.", default=1)


class Params(Model):
    do: str = field("What to do.")
    big: int = field("A number to give back.", default=1)
    unit: str | None = field("Nothing.")
    file: str | None = field("The file to write.", default="/srv/x")
    by: dict[str, Shape] = field("Shapes.", default={})


class Outputs(Model):
    said: str = field("A text.", default="")
    count: int = field("A number.", default=0)
    files: list[str] = field("A list.", default=[])
    labels: dict[str, str] = field("A table.", default={})
    previous: str | None = field("A text.")
    ratio: float | None = field("A number.")


class File(enum.StrEnum):
    X = "/srv/x"


class Unhealthy(Error):
    """Of a kind that there is not, and without a message."""

    kind = "unhealthy"

    def __init__(self, unit: str) -> None:
        self.unit = unit


@step(version="0.1.0", ssh=["exec-read:true", "write:/srv/x"], http=["GET http://probe.example.org/"])
def probe(params: Params) -> Outputs:
    """does what careless authors do"""
    return DOES[params.do](params)


def handles(_: Params) -> Outputs:
    for _ in range(1100):
        target = Target.current()
        Command(["true"], effect="read").run(target)
        Request.get("http://probe.example.org/").send()
        target.name
    return Outputs(said="held")


def cut(_: Params) -> Outputs:
    log.info("gr\ud800")
    raise Timeout("gr\ud800")


def default(params: Params) -> Outputs:
    Target.current().write(params.file, "x")
    return Outputs()


def subclasses(_: Params) -> Outputs:
    Target.current().write(File.X, File.X, mode=enum.IntEnum("Mode", {"ALL": 0o644})(0o644))
    return Outputs()


def by(params: Params) -> Outputs:
    return Outputs(said=",".join(str(shape.size) for _, shape in sorted(params.by.items())))


def printed(_: Params) -> Outputs:
    print("gr\ud800")
    log.info(7)
    return Outputs()


def wrong(_: Params) -> Outputs:
    """Values of wrong types, each of which the host would end the step for."""
    command, target = Command(["true"], effect="read"), Target.current()
    request = Request.get("http://probe.example.org/")
    used = Command(["true"], effect="read")
    command.skip_if(used)
    calls: list[Callable[[], Any]] = [
        lambda: Command("true", effect="read"),
        lambda: Command(["true", 1], effect="read"),
        lambda: command.undo_with(command),
        lambda: Command(["true"], effect="reads"),
        lambda: command.env("PORT", 8080),
        lambda: command.accept(-1),
        lambda: command.accept(2**32),
        lambda: command.timeout("soon"),
        lambda: command.timeout(float("nan")),
        lambda: command.skip_if(used),
        lambda: command.undo_with(request),
        lambda: used.run(target),
        lambda: command.run("web-1"),
        lambda: request.header("accept", None),
        lambda: request.via(None),
        lambda: target.write("/srv/x", b"x"),
        lambda: target.write("/srv/x", "gr\ud800"),
        lambda: target.write("/srv/x", "x", mode="0644"),
        lambda: target.unpack("/srv/x", "sha256:0"),
        lambda: target.service("x", "begin"),
        lambda: Artifact.from_bytes("x"),
        lambda: Secret.get(1),
        lambda: timer.sleep(-1),
    ]
    return Outputs(files=[refused(call) for call in calls])


def refused(call: Callable[[], Any]) -> str:
    try:
        call()
    except Invalid as error:
        return error.message
    return "done"


def exception_as_message(_: Params) -> Outputs:
    try:
        raise ValueError("no such shape")
    except ValueError as error:
        raise Conflict(error, None)


def own_kind(_: Params) -> Outputs:
    raise Unhealthy("shop.service")


DOES: dict[str, Callable[[Params], Outputs]] = {
    "handles": handles,
    "cut": cut,
    "cut-output": lambda _: Outputs(said="gr\ud800"),
    "nothing": lambda _: Outputs(),
    "nan": lambda _: Outputs(ratio=float("nan")),
    "infinite": lambda _: Outputs(ratio=float("inf")),
    "big": lambda params: Outputs(count=params.big),
    "by": by,
    "default": default,
    "subclasses": subclasses,
    "printed": printed,
    "wrong": wrong,
    "exception-as-message": exception_as_message,
    "own-kind": own_kind,
}
