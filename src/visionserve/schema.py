"""A YAML document of ours to a frozen dataclass, strictly: a mistake names the key and what is allowed.

Keys in the document are the fields' names in camelCase, as TorchServe writes its own.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from typing import Any, Literal, TypeVar

from visionserve.runtime.errors import SpecError

if typing.TYPE_CHECKING:
    from collections.abc import Mapping

_T = TypeVar("_T")


def read(cls: type[_T], mapping: Mapping[str, Any], path: str = "", **given: Any) -> _T:
    """Make a dataclass from a document.

    Args:
        cls: The dataclass; a field with the metadata `yaml: False` is no key of the document.
        mapping: The document.
        path: The dotted place of `mapping` in the whole document, for messages; ends in a dot.
        given: Fields that are not in the document.

    Raises:
        SpecError: A key is unknown, missing or of the wrong type, or `cls` refuses a value.
    """
    fields = {camel(f.name): f for f in dataclasses.fields(cls) if f.metadata.get("yaml", True)}  # type: ignore[arg-type]
    types_of = typing.get_type_hints(cls)
    values: dict[str, Any] = dict(given)
    for key, value in mapping.items():
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f" (did you mean '{close[0]}'?)" if close else ""
            raise SpecError(f"unknown key '{path}{key}'{hint}; allowed: {', '.join(sorted(fields))}")
        values[fields[key].name] = _convert(types_of[fields[key].name], value, f"{path}{key}")
    for key, field in fields.items():
        required = field.default is field.default_factory is dataclasses.MISSING
        if required and field.name not in values:
            raise SpecError(f"key '{path}{key}' is missing")
    return cls(**values)


def write(value: Any) -> dict[str, Any]:
    """A dataclass as the document that `read` takes; what is None or an empty mapping is left out."""

    def plain(field: Any) -> Any:
        if dataclasses.is_dataclass(field):
            return write(field)
        return list(field) if isinstance(field, tuple) else field

    values = {
        camel(f.name): plain(getattr(value, f.name))
        for f in dataclasses.fields(value)
        if f.metadata.get("yaml", True)
    }
    return {key: field for key, field in values.items() if field is not None and field != {}}


def camel(name: str) -> str:
    """A field's name as a key: `top_k` is `topK`."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def require(holds: bool, message: str) -> None:
    """Refuse a value.

    Raises:
        SpecError: `holds` is false.
    """
    if not holds:
        raise SpecError(message)


def _convert(wanted: Any, value: Any, path: str) -> Any:
    origin, args = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (arg for arg in args if arg is not type(None))
        return None if value is None else _convert(inner, value, path)
    if origin is Literal:
        if value in args:
            return value
        raise SpecError(f"{path} is {value!r}; allowed: {', '.join(map(str, args))}")
    if dataclasses.is_dataclass(wanted):
        if isinstance(value, dict):
            return read(typing.cast("type[Any]", wanted), value, f"{path}.")
        raise SpecError(f"{path} is {value!r}: it must be a mapping of keys to values")
    if origin is dict:
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return dict(value)
        raise SpecError(f"{path} is {value!r}: it must be a mapping of names to values")
    if origin is tuple:
        inner, length = args[0], None if args[-1] is Ellipsis else len(args)
        if isinstance(value, (list, tuple)) and length in (None, len(value)):
            return tuple(_convert(inner, item, f"{path}[{i}]") for i, item in enumerate(value))
        raise SpecError(f"{path} is {value!r}: it must be a list of {length or 'any number of'} values")
    if wanted is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if abs(value) <= sys.float_info.max:  # neither .inf, nor .nan, nor a whole number beyond
            return float(value)
        raise SpecError(f"{path} is {str(value)[:40]}: it must be a finite number")
    if type(value) is wanted:
        return value
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    raise SpecError(f"{path} is {value!r}: it must be {words[wanted]}")
