"""Calls of one address of a server: JSON comes back, or why none does."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

from visionserve import api_key, connection
from visionserve.runtime.errors import VisionserveError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.connectionpool import HTTPConnectionPool
    from urllib3.response import BaseHTTPResponse

TIMEOUT = 60.0  # seconds; TorchServe itself never times a queued request out


class Unreachable(VisionserveError):
    """Nothing answers at the server's address."""


class Refused(VisionserveError):
    """The server answered with an error.

    Attributes:
        status: The HTTP status.
        type: The error's machine-readable cause.
        message: What it says.
    """

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(f"{status} {kind}: {message}")
        self.status = status
        self.type = kind
        self.message = message


class Calls:
    """Keeps the connections to one address open.

    Args:
        address: A base URL, or `unix:/PATH` of a socket.
        key: The key that it wants.
        seconds: The longest that it may say nothing.
    """

    def __init__(self, address: str, key: str | None = None, seconds: float = TIMEOUT) -> None:
        self.address = address
        self._key, self._seconds = key, seconds
        self._opened: tuple[HTTPConnectionPool, str] | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            self._opened[0].close()

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """What is answered to one request; nothing, if that is no JSON.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error.
        """
        try:
            pool, prefix = self._pool()
            response = pool.urlopen(
                method,
                prefix + path,
                body,
                {**(headers or {}), **api_key.header(self._key)},
                retries=False,
                timeout=self._seconds,
            )
        except ValueError as error:
            raise Unreachable(f"{self.address} is no address of a server; one is http://127.0.0.1:8080") from error
        except HTTPError as error:
            raise Unreachable(
                f"no answer from {self.address}{path}; is the server running? Start it with 'visionserve serve'"
            ) from error
        try:
            document = response.json()
        except ValueError:
            document = {}
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _refused(response, document, self._key)
        return document

    def _pool(self) -> tuple[HTTPConnectionPool, str]:
        if self._opened is None:
            self._opened = connection.open_pool(self.address)
        return self._opened


def _refused(response: BaseHTTPResponse, document: Any, key: str | None) -> Refused:
    details = document if isinstance(document, dict) else {}
    message = str(details.get("message", response.data.decode(errors="replace")[:200]))
    if response.status == HTTPStatus.UNAUTHORIZED and key is None:
        message += f"; name a file with the key by --key-file, or set {api_key.VARIABLE}"
    if "Location" in response.headers:
        message += f"; it is at {response.headers['Location']} now"
    return Refused(response.status, str(details.get("type", "Error")), message)
