"""Tests of sdk/python, on this machine: what is read and written, what is in a manifest, and what is not there."""

import enum
import json
import typing
import unittest
from typing import Any, Literal

from runner_sdk import (
    Artifact,
    Command,
    Denied,
    Error,
    Invalid,
    Model,
    Request,
    Secret,
    Target,
    field,
    log,
    releases,
    run_info,
    sockets,
    step,
    timer,
    workspace,
)


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Given(Model):
    name: str = field(default="")
    ready: bool = field(default=True)
    tries: int | None = field(default=None)
    part: float = field(default=0.5)
    check: list[str] = field(default=[])
    settings: dict[str, str] = field(default={})
    kind: Literal["one", "two"] = field(default="one")
    size: Size = field(default=Size.SMALL)


class Reading(unittest.TestCase):
    def test_what_does_not_fit_is_refused_in_words(self) -> None:
        cases: list[tuple[dict[str, Any], str]] = [
            ({"name": 7}, "`name` must be text"),
            ({"ready": "yes"}, "`ready` must be true or false"),
            ({"tries": 1.5}, "`tries` must be a whole number"),
            ({"part": "1"}, "`part` must be a number"),
            ({"check": "a"}, "`check` must be a list"),
            ({"check": ["a", 1]}, "`check[1]` must be text"),
            ({"settings": []}, "`settings` must be a table"),
            ({"kind": "three"}, "`kind` must be one of `one`, `two`"),
            ({"size": "medium"}, "`size` must be one of `small`, `large`"),
        ]
        for given, why in cases:
            with self.assertRaises(Invalid) as refused:
                Given.read(given)
            self.assertEqual(refused.exception.message, why)


class Optional(Model):
    unit: str | None = field("May be left out.")
    bare: str | None
    later: "Later | None" = field("Of a class that comes later.")


class Later(Model):
    name: str = field(default="n")


class Set(Model):
    unit: str | None = field("May be left out.")
    bare: str | None


class Absence(unittest.TestCase):
    def test_what_may_be_left_out_needs_no_default(self) -> None:
        self.assertEqual(json.dumps(own_of(Optional)["parameters"]).count("required"), 0)
        read = Optional.read({})
        self.assertEqual((read.unit, read.bare, read.later), (None, None, None))
        self.assertEqual(Set(unit="x").write(), {"unit": "x"})


class Node(Model):
    read: str
    next: typing.Optional["Node"]
    size: int | None


class Forward(unittest.TestCase):
    def test_a_class_may_be_named_before_it_is_there(self) -> None:
        made = Node(read="a")
        self.assertEqual((made.read, made.next, made.size), ("a", None, None))
        inner = Node.read({"read": "a", "next": {"read": "b"}}).next
        self.assertEqual(inner.write(), {"read": "b"})


class Verbs(Model):
    read: str
    write: bool = field("A field.")
    schema: str = field("A field.", default="public")


class Names(unittest.TestCase):
    def test_a_field_may_be_called_as_a_method_is(self) -> None:
        self.assertEqual(own_of(Verbs)["parameters"]["required"], ["read", "write"])
        written = own_step(Verbs).run(json.dumps({"read": "r", "write": True}))
        self.assertEqual(json.loads(written), {"read": "r", "write": True, "schema": "public"})


class Numbers(Model):
    ratio: float | None
    many: list[dict[str, float]] = field(default=[])
    said: str = field(default="")


class Writing(unittest.TestCase):
    def refused(self, outputs: Model) -> str:
        with self.assertRaises(Error) as refused:
            own_step(Numbers, outputs).run("{}")
        self.assertEqual(refused.exception.kind, "other")
        return refused.exception.message

    def test_a_number_that_is_none_is_named(self) -> None:
        self.assertEqual(self.refused(Numbers(ratio=float("nan"))), "outputs: `ratio` is not a finite number")
        many = [{}, {"a": float("-inf")}]
        self.assertEqual(self.refused(Numbers(many=many)), "outputs: `many[1].a` is not a finite number")

    def test_text_that_is_not_unicode_is_replaced(self) -> None:
        written = own_step(Numbers, Numbers(said="gr\ud800n", many=[{"\udfff": 1.0}])).run("{}")
        self.assertEqual(json.loads(written), {"said": "gr\ufffdn", "many": [{"\ufffd": 1.0}]})


def own_step(cls: type[Model], outputs: Model | None = None) -> Any:
    def own(params: cls) -> cls:
        """answers with what it is given"""
        return outputs or params

    return step(version="0.1.0")(own)


def own_of(cls: type[Model]) -> dict[str, Any]:
    return own_step(cls).manifest


class Mine(Error):
    """An author's own."""


class Errors(unittest.TestCase):
    def test_the_host_raises_no_class_of_an_author(self) -> None:
        self.assertIs(type(Error.of("other", "broken pipe")), Error)
        self.assertIs(type(Error.of("DENIED", "no grant", "a line")), Denied)


class Native(unittest.TestCase):
    """Outside of a component all can be named, and nothing of the host called."""

    def test_a_call_of_the_host_is_told(self) -> None:
        log.info("nowhere")
        calls = [
            lambda: Artifact.open("sha256:0"),
            lambda: Command(["true"], effect="read"),
            lambda: Request.get("http://probe.example.org/"),
            lambda: Secret.get("token"),
            lambda: Target.current(),
            lambda: releases.all(Target(None), "/srv"),
            lambda: run_info.run_id(),
            lambda: sockets.exchange(Target(None), "/run/x", "x", effect="read"),
            lambda: timer.now(),
            lambda: workspace.read("x"),
        ]
        for call in calls:
            with self.assertRaisesRegex(RuntimeError, "only in a component: use `runner module test`"):
                call()


class Shape(Model):
    name: str = field("Its name.")
    size: int = field(default=1)


class Nested(Model):
    one: Shape = field("A shape.")
    many: list[Shape] = field()
    by: dict[str, Shape] = field(default={})


@step(version="0.1.0")
def own(params: Nested) -> Nested:
    """does nothing"""
    return params


class Manifest(unittest.TestCase):
    def test_parameters_are_closed_and_outputs_open_all_the_way_down(self) -> None:
        parameters, outputs = own.manifest["parameters"], own.manifest["outputs"]
        closed = '"additionalProperties": false'
        self.assertEqual(json.dumps(parameters).count(closed), 4)
        self.assertEqual(json.dumps(outputs).count(closed), 0)
        self.assertEqual(outputs["properties"]["by"]["additionalProperties"]["required"], ["name"])


if __name__ == "__main__":
    unittest.main()
