"""Tests of sdk/python, on this machine: what is read, and what is in a manifest."""

import enum
import json
import unittest
from typing import Any, Literal

from runner_sdk import Invalid, Model, field, step


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
