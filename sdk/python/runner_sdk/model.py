"""Parameters and outputs: a class gives both the values and the JSON Schema that is in the manifest."""

import dataclasses
import enum
import math
import sys
import types
import typing
from typing import Any, dataclass_transform

from .errors import Error, Invalid

_ABSENT = dataclasses.MISSING


def field(
    description: str = "",
    *,
    default: Any = _ABSENT,
    name: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    pattern: str | None = None,
    min_length: int | None = None,
) -> Any:
    """One field of a `Model`.

    `name` is for a field whose name in a plan is not its own with `-` for `_`. `min_length` is of a text or a list.
    """
    rules = {"minimum": minimum, "maximum": maximum, "pattern": pattern, "min-length": min_length}
    metadata = {"description": description, "name": name, "rules": rules}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=default.copy, metadata=metadata, kw_only=True)
    return dataclasses.field(default=default, metadata=metadata, kw_only=True)


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class Model:
    """The base of parameters, outputs and of what is in them. Each annotated name is a field.

    Types: `str`, `bool`, `int`, `float`, `list[T]`, `dict[str, T]`, `T | None` for what may be left out, a `Literal` or
    an `Enum` of texts, another `Model`, and `Any`.
    """

    def __init_subclass__(cls) -> None:
        for name, hint in _hints(cls).items():
            if name not in vars(cls) and name not in getattr(cls, "__dataclass_fields__", {}):
                setattr(cls, name, field())  # else a field `read` would have the method for its default
            own = vars(cls).get(name)
            # Neither of the two is given.
            if _optional(hint)[0] and isinstance(own, dataclasses.Field) and own.default is own.default_factory:
                own.default = None
        dataclasses.dataclass(kw_only=True)(cls)

    # A field may have the name of any of these: nothing here calls them.

    @classmethod
    def schema(cls, *, closed: bool = True) -> dict[str, Any]:
        """The JSON Schema of it; `closed`: what is not a field is refused, here and in what is in it."""
        return schema_of(cls, closed)

    @classmethod
    def read(cls, value: Any, place: str = "") -> typing.Self:
        """From what `json.loads` gives; `Invalid` names the place of what does not fit."""
        return read_model(cls, value, place)

    def write(self) -> dict[str, Any]:
        """For `json.dumps`; what is `None` is left out."""
        return write_model(self)


def schema_of(cls: type[Model], closed: bool) -> dict[str, Any]:
    """The JSON Schema of a class; `closed`: what is not a field is refused, here and in what is in it."""
    properties, required = {}, []
    for item in _fields(cls):
        properties[item.name] = item.schema(closed)
        if item.required:
            required.append(item.name)
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if closed:
        schema["additionalProperties"] = False
    if required:
        schema["required"] = required
    return schema


def read_model(cls: type[Any], value: Any, place: str = "") -> Any:
    """From what `json.loads` gives; `Invalid` names the place of what does not fit."""
    if not isinstance(value, dict):
        raise Invalid(f"{place or 'parameters'}: not an object")
    given, found = dict(value), {}
    for item in _fields(cls):
        inside = f"{place}.{item.name}" if place else item.name
        if item.name in given:
            found[item.attribute] = _read(item.type, given.pop(item.name), inside)
        elif item.required:
            raise Invalid(f"`{inside}` is missing")
        elif item.default is _ABSENT:
            found[item.attribute] = None
    if given:
        raise Invalid(f"{place or 'parameters'}: there is no `{next(iter(given))}`")
    return cls(**found)


def write_model(model: Model, place: str = "") -> dict[str, Any]:
    """For `json.dumps`; what is `None` is left out."""
    values = ((item.name, getattr(model, item.attribute)) for item in _fields(type(model)))
    return {
        name: _write(value, f"{place}.{name}" if place else name) for name, value in values if value is not None
    }


@dataclasses.dataclass
class _Field:
    """A field, with its name in a plan and its type without `| None`."""

    attribute: str
    name: str
    type: Any
    required: bool
    default: Any
    description: str
    rules: dict[str, Any]

    def schema(self, closed: bool) -> dict[str, Any]:
        schema = _schema(self.type, self.attribute, closed)
        if self.description:
            schema["description"] = self.description
        if self.default is not None and self.default is not _ABSENT:
            schema["default"] = _write(self.default, self.name)
        for rule, value in self.rules.items():
            if value is None:
                continue
            if rule == "min-length":
                rule = "minItems" if schema.get("type") == "array" else "minLength"
            schema[rule] = value
        return schema


def _hints(cls: type) -> dict[str, Any]:
    """The types of the fields; where one is of a class that comes later, as they are written."""
    try:
        return typing.get_type_hints(cls)
    except NameError:
        if sys.version_info < (3, 14):
            return dict(cls.__annotations__)
        from annotationlib import Format, get_annotations

        return get_annotations(cls, format=Format.FORWARDREF)


def _fields(cls: type) -> list[_Field]:
    hints = typing.get_type_hints(cls)
    return [_field(cls, item, hints[item.name]) for item in dataclasses.fields(cls)]


def _field(cls: type, item: "dataclasses.Field[Any]", hint: Any) -> _Field:
    optional, inner = _optional(hint)
    default = item.default
    if item.default_factory is not _ABSENT:
        default = item.default_factory()
    return _Field(
        attribute=item.name,
        name=item.metadata.get("name") or item.name.rstrip("_").replace("_", "-"),
        type=inner,
        required=default is _ABSENT and not optional,
        default=default,
        description=item.metadata.get("description", ""),
        rules=item.metadata.get("rules", {}),
    )


def _optional(hint: Any) -> tuple[bool, Any]:
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return False, hint
    inner = [one for one in typing.get_args(hint) if one is not type(None)]
    if len(inner) != 1 or len(inner) == len(typing.get_args(hint)):
        raise TypeError(f"`{hint}`: of two types, one must be `None`")
    return True, inner[0]


_PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}


def _schema(hint: Any, place: str, closed: bool) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return {}
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], place, closed)}
    if origin is dict and arguments[0] is str:
        return {"type": "object", "additionalProperties": _schema(arguments[1], place, closed)}
    if origin is typing.Literal and all(isinstance(one, str) for one in arguments):
        return {"type": "string", "enum": list(arguments)}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"type": "string", "enum": [one.value for one in hint]}
    if isinstance(hint, type) and issubclass(hint, Model):
        return schema_of(hint, closed)
    raise TypeError(f"`{place}`: a plan has no values of the type `{hint}`")


def _read(hint: Any, value: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is list and isinstance(value, list):
        return [_read(arguments[0], one, f"{place}[{index}]") for index, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {name: _read(arguments[1], one, f"{place}.{name}") for name, one in value.items()}
    if origin is typing.Literal and value in arguments:
        return value
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value in [one.value for one in hint]:
            return hint(value)
    elif isinstance(hint, type) and issubclass(hint, Model):
        return read_model(hint, value, place)
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif hint is int and isinstance(value, float) and value.is_integer():
        return int(value)  # 5.0 is an integer in JSON
    elif hint in _PLAIN and type(value) is hint:
        return value
    raise Invalid(f"`{place}` must be {_words(hint)}")


_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


def _words(hint: Any) -> str:
    """A type, for people."""
    origin = typing.get_origin(hint)
    if (origin or hint) in _WORDS:
        return _WORDS[origin or hint]
    words = typing.get_args(hint) if origin is typing.Literal else [one.value for one in hint]
    return "one of " + ", ".join(f"`{word}`" for word in words)


def _write(value: Any, place: str) -> Any:
    if isinstance(value, Model):
        return write_model(value, place)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [_write(one, f"{place}[{index}]") for index, one in enumerate(value)]
    if isinstance(value, dict):
        return {name: _write(one, f"{place}.{name}") for name, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise Error(f"outputs: `{place}` is not a finite number")
    return value
