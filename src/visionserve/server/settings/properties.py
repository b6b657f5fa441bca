"""TorchServe's `config.properties`: read, checked, and completed for one run."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import javaproperties

from visionserve.project import DEFAULT_CONFIG
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ADDRESSES = {
    "inference_address": "http://127.0.0.1:8080",
    "management_address": "http://127.0.0.1:8081",
    "metrics_address": "http://127.0.0.1:8082",
}
UNIX = "unix:"  # how TorchServe writes the address of a Unix socket, before its path
_LAST_PORT = 65535
_GRPC_PORTS = {"grpc_inference_port": "7070", "grpc_management_port": "7071"}


@dataclass(frozen=True)
class Properties:
    """The settings of one run; keys and defaults are TorchServe's."""

    values: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Properties:
        """Read a file; what it leaves open is as visionserve ships it, not as TorchServe would have it.

        Raises:
            ServerError: The file cannot be read.
        """
        return cls({**_ADDRESSES, **_GRPC_PORTS, **cls._load(DEFAULT_CONFIG), **cls._load(path)})

    @staticmethod
    def _load(path: Path) -> dict[str, str]:
        r"""A file's settings as Java reads them, so that TorchServe is given what its author wrote.

        A value may go on over lines that end in `\`. Bytes above 127 are ISO-8859-1, as
        `java.util.Properties` has it.
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

        TorchServe cannot do without its two gRPC ports, so those are on loopback, wherever there is room.
        """
        sockets = {key: f"{UNIX}{folder / key.partition('_')[0]}.sock" for key in _ADDRESSES}
        return self.replace(**sockets, **dict.fromkeys(_GRPC_PORTS, "0"))

    def require_free_ports(self) -> None:
        """Check that every listener can be opened.

        Raises:
            ServerError: Names the first setting whose port is in use, not permitted or not this machine's.
        """
        for key in (*_ADDRESSES, *_GRPC_PORTS):
            if self.values[key].startswith(UNIX) or self.values[key] == "0":
                continue
            try:
                host, port = self._listener(key)
            except ValueError as error:
                wanted = "http://127.0.0.1:8080" if key in _ADDRESSES else "7070"
                raise ServerError(
                    f"config.properties: {key}={self.values[key]} is no address; write one such as {wanted}"
                ) from error
            self._require_free(key, host, port)

    def _listener(self, key: str) -> tuple[str, int]:
        """The host and port of a setting.

        Raises:
            ValueError: It has none.
        """
        if key in _GRPC_PORTS:
            host, port = "127.0.0.1", int(self.values[key])
        else:
            url = urlsplit(self.values[key])
            host, port = url.hostname or "127.0.0.1", url.port or 80
        if not 0 < port <= _LAST_PORT:
            raise ValueError(port)
        return host, port

    def write(self, path: Path) -> None:
        """Write a file that TorchServe reads."""
        with path.open("wb") as file:
            file.write(javaproperties.dumps(self.values, timestamp=None).encode("ascii"))

    @staticmethod
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
