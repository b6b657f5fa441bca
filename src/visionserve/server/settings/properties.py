"""TorchServe's `config.properties`: read, checked, and completed for one run."""

from __future__ import annotations

import difflib
import errno
import os
import re
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import javaproperties

from visionserve.project import DEFAULT_CONFIG
from visionserve.server.errors import ServerError
from visionserve.server.settings.kinds import Address
from visionserve.server.settings.known import KINDS, REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ADDRESSES = {
    "inference_address": "http://127.0.0.1:8080",
    "management_address": "http://127.0.0.1:8081",
    "metrics_address": "http://127.0.0.1:8082",
}
UNIX = "unix:"  # how TorchServe writes the address of a Unix socket, before its path
_GRPC_PORTS = {"grpc_inference_port": "7070", "grpc_management_port": "7071"}
_GRPC_HOSTS = {"grpc_inference_port": "grpc_inference_address", "grpc_management_port": "grpc_management_address"}
# TorchServe cannot do without its gRPC ports, which ask nobody for a key and can end a worker. Linux lets a server
# listen at a broadcast address, and nobody connect to one (ENETUNREACH by tcp_v4_connect in net/ipv4/tcp_ipv4.c).
UNREACHABLE = "127.255.255.255" if sys.platform == "linux" else "127.0.0.1"
# Where no port is written: of HTTP and HTTPS.
_USUAL_PORTS = dict(zip(_ADDRESSES, ((80, 443), (8081, 8444), (8082, 8445)), strict=True))
# Settings of a run that the file does not decide: what is served is what is asked for, each as its archive says.
_OURS = ("load_models", "models")
# TorchServe puts a variable of its environment in the place of its name.
_VARIABLE = re.compile(r"\$\$([^$]+[^$])\$\$")
_SECRETS = ("keystore_pass",)
_MAX_REQUEST_SIZE = "6553500"  # TorchServe's own


@dataclass(frozen=True)
class Properties:
    """The settings of one run; keys and defaults are TorchServe's."""

    values: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Properties:
        """Read a file; what it leaves open is as visionserve ships it, not as TorchServe would have it.

        Raises:
            ServerError: The file cannot be read, or TorchServe does not know a key or would not take its value.
        """
        nowhere = dict.fromkeys(_GRPC_HOSTS.values(), UNREACHABLE)
        return cls({**_ADDRESSES, **_GRPC_PORTS, **nowhere, **cls._load(DEFAULT_CONFIG), **cls._load(path)})

    @classmethod
    def _load(cls, path: Path) -> dict[str, str]:
        return {key: _checked(path, key, value) for key, value in cls.parse(path).items()}

    @staticmethod
    def parse(path: Path) -> dict[str, str]:
        r"""A file's settings as Java reads them, so that TorchServe is given what its author wrote.

        A value may go on over lines that end in `\`. Bytes above 127 are ISO-8859-1, as
        `java.util.Properties` has it.

        Raises:
            ServerError: The file cannot be read.
        """
        try:
            with path.open("rb") as file:
                values: dict[str, str] = javaproperties.load(file)
        except OSError as error:
            raise ServerError(f"{path}: cannot be read: {error.strerror}") from error
        except javaproperties.InvalidUEscapeError as error:
            raise ServerError(f"{path}: cannot be read: {error}; write a backslash as \\\\") from error
        return values

    @property
    def inference(self) -> str:
        """Base URL of the inference address."""
        return self.values["inference_address"]

    @property
    def management(self) -> str:
        """Base URL of the management address."""
        return self.values["management_address"]

    @property
    def vmargs(self) -> list[str]:
        """Arguments for Java itself."""
        return self.values.get("vmargs", "").split()

    @property
    def max_request_size(self) -> int:
        """The largest request that TorchServe takes, in bytes."""
        return int(self.values.get("max_request_size", _MAX_REQUEST_SIZE))

    def replace(self, **values: str) -> Properties:
        """The same settings with some of them changed."""
        return Properties({**self.values, **values})

    def on_free_ports(self) -> Properties:
        """The same settings with every listener on a loopback port that is free now."""
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in (*_ADDRESSES, *_GRPC_PORTS)]
        ports = [str(listener.getsockname()[1]) for listener in sockets]
        for listener in sockets:
            listener.close()
        addresses = {key: f"http://127.0.0.1:{port}" for key, port in zip(_ADDRESSES, ports, strict=False)}
        return self.replace(**addresses, **dict(zip(_GRPC_PORTS, ports[len(_ADDRESSES) :], strict=True)))

    def on_sockets(self, folder: Path) -> Properties:
        """The same settings with every listener a Unix socket in a folder: `inference.sock` and so on.

        gRPC is where nobody can reach it, at ports wherever there is room.
        """
        sockets = {key: f"{UNIX}{folder / key.partition('_')[0]}.sock" for key in _ADDRESSES}
        nowhere = dict.fromkeys(_GRPC_HOSTS.values(), UNREACHABLE)
        return self.replace(**sockets, **nowhere, **dict.fromkeys(_GRPC_PORTS, "0"))

    def require_free_ports(self) -> None:
        """Check that every listener can be opened.

        Raises:
            ServerError: Names the first setting whose port is in use, not permitted or not this machine's.
        """
        for key in (*_ADDRESSES, *_GRPC_PORTS):
            try:
                host, port = self._listener(key)
            except ValueError as error:
                wanted = "http://127.0.0.1:8080" if key in _ADDRESSES else "7070"
                raise ServerError(
                    f"config.properties: {key}={self.values[key]} is no address; write one such as {wanted}"
                ) from error
            if port:
                _require_free(key, host, port)

    def _listener(self, key: str) -> tuple[str, int]:
        """The host and port of a setting; port 0 for a Unix socket, and where any will do.

        Raises:
            ValueError: It has none.
        """
        if key in _GRPC_PORTS:
            if not KINDS[key].fits(self.values[key]):
                raise ValueError(key)
            return self.values[_GRPC_HOSTS[key]], int(self.values[key])
        address = Address.read(self.values[key])
        usual = _USUAL_PORTS[key][address.scheme == "https"]
        return address.host, 0 if address.path else address.port or usual

    def for_instance(self, store: Path, workflows: Path) -> Properties:
        """What one TorchServe is given: these settings, with the folders that are made for it.

        Args:
            store: The folder of the archives that it may serve.
            workflows: An empty one.
        """
        kept = {key: value for key, value in self.values.items() if key not in _OURS}
        return Properties({**kept, "model_store": str(store), "workflow_store": str(workflows)})

    def render(self, *, hide_secrets: bool = False) -> str:
        """The text of a file that TorchServe reads, a line a key in their alphabetical order.

        Args:
            hide_secrets: Whether it is only to be shown: then a password is `***`.
        """
        shown = {key: "***" if hide_secrets and key in _SECRETS else value for key, value in self.values.items()}
        text: str = javaproperties.dumps(shown, timestamp=None, sort_keys=True)
        return text

    def write(self, path: Path) -> None:
        """Write a file that TorchServe reads."""
        with path.open("wb") as file:
            file.write(self.render().encode("ascii"))


def _checked(path: Path, key: str, value: str) -> str:
    """A value as TorchServe is to be given it: without variables, and a file by its whole path.

    Raises:
        ServerError: TorchServe does not know the key, or would not take the value.
    """
    if key in REFUSED:
        raise ServerError(f"{path}: {key}={value} is not taken: {REFUSED[key]}; remove the line")
    kind = KINDS.get(key)
    if kind is None:
        close = difflib.get_close_matches(key, KINDS, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise ServerError(f"{path}: TorchServe 0.12 knows no key '{key}'{hint}")
    value = _VARIABLE.sub(lambda found: _variable(path, key, found[1]), value)
    if not kind.fits(value) or _VARIABLE.search(value):
        raise ServerError(f"{path}: {key} is {value!r}: it must be {kind.wanted}")
    if not kind.is_file:
        return value
    file = path.absolute().parent / value
    if not file.is_file():
        raise ServerError(f"{path}: {key} is {value!r}: there is no file {file}")
    return str(file)


def _variable(path: Path, key: str, name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ServerError(f"{path}: {key} names the environment variable {name}, which is not set")
    return value


def _require_free(key: str, host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        place = f"port {port} ({key} in config.properties)"
        if error.errno == errno.EADDRINUSE:
            raise ServerError(
                f"{place} is in use; stop what uses it ('visionserve stop' if it is visionserve) or choose"
                " another port"
            ) from error
        if error.errno == errno.EACCES:
            raise ServerError(f"{place} is not permitted to this user; choose one of 1024 or more") from error
        raise ServerError(f"{place} on {host} cannot be opened: {error.strerror or error}") from error
