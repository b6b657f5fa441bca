"""The kinds of value that a key of `config.properties` takes, each as strict as TorchServe is when it reads it.

TorchServe itself takes `enable_model_api=yes` for false, and ends with a Java exception at a number that is none.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_INT, _LONG = 2**31 - 1, 2**63 - 1  # Java's
_LAST_PORT = 65535
# TorchServe's own pattern of an address.
_ADDRESS = re.compile(r"(https?)://([^:^/]+)(?::(\d+))?|unix:(/.+)")
# Of which Python's patterns have nothing, so that they say nothing about these.
_JAVA_ONLY = re.compile(r"\\[pPQEhHRXGz]|\\x\{|&&|\(\?<[a-zA-Z]")


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Attributes:
        wanted: What a value must be, in words: "it must be ...".
        fits: Whether a text is such a value.
        is_file: Whether it names a file, which is looked for beside the `config.properties`.
    """

    wanted: str
    fits: Callable[[str], bool]
    is_file: bool = False


@dataclass(frozen=True)
class Address:
    """Where a listener of TorchServe's is.

    Attributes:
        scheme: `http`, `https` or `unix`.
        host: Empty for a Unix socket.
        port: 0 where none is written, and for a Unix socket.
        path: Of a Unix socket.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def read(cls, text: str) -> Address:
        """Take an address apart as TorchServe does.

        Raises:
            ValueError: It is none.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError(text)
        scheme, host, port, path = found.groups()
        if path:
            return cls("unix", path=path)
        if port and not 0 < int(port) <= _LAST_PORT:
            raise ValueError(text)
        return cls(scheme, host, int(port or 0))


def whole(least: int = 0, most: int = _INT) -> Kind:
    """A whole number within bounds."""
    wanted = f"a whole number of at least {least}" + ("" if most in (_INT, _LONG) else f" and at most {most}")
    return Kind(wanted, lambda text: re.fullmatch(r"\d{1,19}", text) is not None and least <= int(text) <= most)


def one_of(*values: str) -> Kind:
    """One of a few words, in any case of letters."""
    return Kind(f"one of {', '.join(values)}", lambda text: text.lower() in values)


def _is_address(text: str) -> bool:
    try:
        Address.read(text)
    except ValueError:
        return False
    return True


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return _JAVA_ONLY.search(text) is not None
    return True


def _is_models(text: str) -> bool:
    try:
        models = json.loads(text)
    except ValueError:
        return False
    return isinstance(models, dict) and all(
        isinstance(versions, dict) and all(isinstance(settings, dict) for settings in versions.values())
        for versions in models.values()
    )


TEXT = Kind("text", lambda _: True)
FLAG = one_of("true", "false")
COUNT = whole(1)
WHOLE = whole()
LONG = whole(most=_LONG)
PORT = whole(1, _LAST_PORT)
ANY_PORT = whole(0, _LAST_PORT)  # 0: one that is free
PERCENT = whole(1, 100)
NUMBER = Kind("a number above 0", lambda text: re.fullmatch(r"\d*\.?\d+", text) is not None and float(text) > 0)
ADDRESS = Kind("an address such as http://127.0.0.1:8080 or unix:/run/inference.sock", _is_address)
HOST = Kind("an IP address or the name of a host", lambda text: re.fullmatch(r"[\w.:-]+", text) is not None)
PATTERN = Kind("a regular expression", _is_pattern)
PATTERNS = Kind("regular expressions with commas between", lambda text: all(map(_is_pattern, text.split(","))))
MODELS = Kind("a JSON document of models, their versions and settings", _is_models)
FILE = Kind("the name of a file", lambda text: bool(text), is_file=True)
