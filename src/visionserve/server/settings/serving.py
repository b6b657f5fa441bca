"""`server.yaml`: how the server is run in production; all of it may be left out.

`config.properties` beside it stays TorchServe's own. Times are in seconds, sizes in bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import yaml

from visionserve import schema
from visionserve.runtime.errors import SpecError
from visionserve.schema import require

if TYPE_CHECKING:
    from pathlib import Path

# host:port, with an IPv6 host in brackets.
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})")
_LAST_PORT = 65535
_VARIABLE = re.compile(r"[A-Za-z_]\w*")
_INSTANCES = 25  # their places, and one more, are called by letters
_BODIES = 1_000_000_000  # bytes; HAProxy compares lengths of nine digits


@dataclass(frozen=True, kw_only=True)
class EdgeSettings:
    """Where clients ask, and what they find there.

    Attributes:
        address: `host:port`; without it, that of `inference_address` in config.properties.
        certificate: A PEM file with the certificate and those that signed it, by which the address speaks TLS.
        certificate_key: A PEM file with its private key, if that is not in the same file.
        access_log: Whether every request is logged, or only those that an instance failed.
    """

    address: str | None = None
    certificate: str | None = None
    certificate_key: str | None = None
    access_log: bool = False

    def __post_init__(self) -> None:
        if self.address is not None:
            found = _ADDRESS.fullmatch(self.address)
            require(
                found is not None and 0 < int(found[2]) <= _LAST_PORT,
                f"edge.address is {self.address!r}: it must be host:port, such as 127.0.0.1:8080 or 0.0.0.0:8443",
            )
        require(
            self.certificate is not None or self.certificate_key is None,
            "edge.certificateKey is given without edge.certificate",
        )


@dataclass(frozen=True, kw_only=True)
class KeySettings:
    """Who may ask.

    Attributes:
        file: The keys' names and digests, a line each, as `visionserve key` writes them.
        requests_per_second: The most that one key may ask on average over ten seconds; 0 for as many as it likes.
    """

    file: str
    requests_per_second: float = 0.0

    def __post_init__(self) -> None:
        require(
            self.requests_per_second >= 0,
            f"keys.requestsPerSecond is {self.requests_per_second}: it must be 0 (no limit) or more",
        )


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """What a client may take up.

    Attributes:
        body: The largest request; without it, `max_request_size` of config.properties.
        clients: The most connections at once.
        headers: The most bytes of a request's headers together; TorchServe itself reads 8192.
        header_seconds: Within these a request's headers must have come.
        body_seconds: Within these a request's body must have come, or as much of it as `retried_body`.
        upload_seconds: Within these a larger one must have come whole and been answered, however it trickles.
        idle_seconds: For so long a connection is kept that asks nothing.
        concurrent: The most requests that an instance is given at once; those above wait in the queue.
        queue: The most requests that wait for an instance.
        queue_seconds: The longest that one waits there.
        answer_seconds: The longest that an instance may take for an answer.
        retried_body: The largest request that is asked again when its worker dies. Each request that is on its way
            may take two buffers of this size.
    """

    body: int | None = None
    clients: int = 4000
    headers: int = 8192
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    upload_seconds: float = 300.0
    idle_seconds: float = 60.0
    concurrent: int = 64
    queue: int = 200
    queue_seconds: float = 10.0
    answer_seconds: float = 120.0
    retried_body: int = 262_144

    def __post_init__(self) -> None:
        for name in ("body", "clients", "headers", "concurrent", "queue", "retried_body"):
            value = getattr(self, name)
            require(value is None or value > 0, f"limits.{schema.camel(name)} is {value}: it must be at least 1")
        require(
            self.body is None or self.body < _BODIES,
            f"limits.body is {self.body}: it must be less than {_BODIES}",
        )
        for name in (
            "header_seconds",
            "body_seconds",
            "upload_seconds",
            "idle_seconds",
            "queue_seconds",
            "answer_seconds",
        ):
            value = getattr(self, name)
            require(value > 0, f"limits.{schema.camel(name)} is {value}: it must be more than 0")

    @property
    def large(self) -> int:
        """The most requests larger than `retried_body` that an instance is given at once, beside the others."""
        return max(1, self.concurrent // 4)


@dataclass(frozen=True, kw_only=True)
class Serving:
    """All of `server.yaml`.

    Attributes:
        edge: Where clients ask.
        keys: Who may ask; without it, everybody who reaches the address.
        limits: What a client may take up.
        instances: How many TorchServes serve at once, each with all models; two outlive the death of one's Java.
        drain_seconds: The longest that accepted requests may take to be answered when the server is to end.
        environment: Variables that TorchServe and its workers are to see beside those that tune them. No other
            reaches them, whatever it is called.
    """

    edge: EdgeSettings = field(default_factory=EdgeSettings)
    keys: KeySettings | None = None
    limits: LimitSettings = field(default_factory=LimitSettings)
    instances: int = 1
    drain_seconds: float = 30.0
    environment: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.environment:
            require(
                _VARIABLE.fullmatch(name) is not None,
                f"environment holds {name!r}: it must be the name of a variable, without its value",
            )
        require(
            0 < self.instances <= _INSTANCES,
            f"instances is {self.instances}: it must be at least 1 and at most {_INSTANCES}",
        )
        require(self.drain_seconds >= 0, f"drainSeconds is {self.drain_seconds}: it must be 0 or more")

    def completed(self, root: Path, *, address: str, body: int) -> Serving:
        """These settings with nothing left open: what is not said here is as config.properties has it.

        Args:
            root: The folder that the paths in them start from.
            address: `host:port` of `inference_address`.
            body: `max_request_size`.
        """

        def path(name: str | None) -> str | None:
            return None if name is None else str((root / name).absolute())

        return replace(
            self,
            edge=replace(
                self.edge,
                address=self.edge.address or address,
                certificate=path(self.edge.certificate),
                certificate_key=path(self.edge.certificate_key),
            ),
            keys=self.keys and replace(self.keys, file=str((root / self.keys.file).absolute())),
            limits=replace(self.limits, body=self.limits.body or body),
        )

    @classmethod
    def read(cls, path: Path) -> Serving:
        """Read a file; one that is not there leaves everything open.

        Raises:
            SpecError: It cannot be read, or holds something that it must not.
        """
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            # Dates that are none, and numbers of very many digits, are ValueErrors.
            raise SpecError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
        if not isinstance(document, dict):
            raise SpecError(f"{path} is {document!r}: it must be a mapping of keys to values")
        try:
            return schema.read(cls, document)
        except SpecError as error:
            raise SpecError(f"{path}: {error}") from error
