"""A client of the REST API: predictions, and what the server says of its models."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from urllib3.exceptions import HTTPError

from visionserve import api_key, connection
from visionserve.runtime.errors import VisionserveError
from visionserve.runtime.wire.options import RESPONSE, TOP_K

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from urllib3.connectionpool import HTTPConnectionPool
    from urllib3.response import BaseHTTPResponse

_PREDICTIONS = "/predictions/"
_PICTURE = {"Content-Type": "application/octet-stream"}
_TIMEOUT = 60.0  # seconds; TorchServe itself never times a queued request out


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


def split(url: str) -> tuple[str, str]:
    """Take a URL apart: a server's inference address, and the model that `/predictions/NAME` names, if any."""
    inference, _, model = url.rstrip("/").partition(_PREDICTIONS)
    return inference, model


class Client:
    """Keeps connections open; use it as a context manager.

    Addresses are base URLs, or `unix:/PATH` of a socket. No proxy from the environment is asked, and no
    redirection followed: it might lead a key to somebody else.

    Args:
        inference: The inference address.
        management: The management address; without it, what only that answers cannot be asked.
        key: The key that the inference address wants; the management address, which no key opens, never sees it.
    """

    def __init__(self, inference: str, management: str = "", key: str | None = None) -> None:
        self.inference = inference.rstrip("/")
        self.management = management.rstrip("/")
        self.key = key
        self._pools: dict[str, tuple[HTTPConnectionPool, str]] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool, _ in self._pools.values():
            pool.close()

    def predict(self, model: str, picture: bytes) -> dict[str, float]:
        """Classify one encoded picture: label to probability, most probable first, whatever the model's own shape.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error, or with something else than labels.
        """
        answer: dict[str, float] = self._call(
            "POST", self.inference, _prediction(model), picture, {**_PICTURE, RESPONSE: "labels"}
        )
        if not (isinstance(answer, dict) and all(isinstance(value, float) for value in answer.values())):
            raise Refused(200, "NoPrediction", "the answer is no prediction; is it a picture, and our server?")
        return answer

    def detail(self, model: str, picture: bytes, top_k: int) -> dict[str, Any]:
        """All that is known of one picture's answer: `classes`, the most probable first, and `stages` in ms.

        Args:
            model: The model's name.
            picture: The encoded picture.
            top_k: How many classes; all of them where there are fewer.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error, or with something else than that.
        """
        answer: dict[str, Any] = self._call(
            "POST",
            self.inference,
            _prediction(model),
            picture,
            {**_PICTURE, RESPONSE: "detailed", TOP_K: str(top_k)},
        )
        if not (isinstance(answer, dict) and isinstance(answer.get("classes"), list)):
            raise Refused(200, "NoPrediction", "the answer has no classes; is it a picture, and our server?")
        return answer

    def is_there(self) -> bool:
        """Whether anything answers at the inference address, be it well or not."""
        try:
            self.require()
        except Unreachable:
            return False
        return True

    def require(self) -> None:
        """Check that anything answers at the inference address, be it well or not.

        Raises:
            Unreachable: Nothing does.
        """
        with suppress(Refused):
            self._call("GET", self.inference, "/ping")

    def models(self) -> list[str]:
        """The names of the registered models, ready or not.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error.
        """
        listed = self._manage("/models?limit=1000")
        return [model["modelName"] for model in listed["models"]]

    def only_model(self) -> str:
        """The model to ask when none is named.

        Raises:
            VisionserveError: Not exactly one is served; the message lists them.
            Unreachable: Nothing answers.
            Refused: The server answered with an error.
        """
        names = self.models()
        if len(names) == 1:
            return names[0]
        if not names:
            raise VisionserveError(f"no model is served at {self.inference}")
        raise VisionserveError(
            f"{len(names)} models are served at {self.inference}; name one of {', '.join(sorted(names))}"
        )

    def describe(self, model: str) -> dict[str, Any]:
        """TorchServe's own description of a model: settings, workers and their states.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error; status 404 when the model is not registered.
        """
        described: dict[str, Any] = self._manage(f"/models/{quote(model, safe='')}")[0]
        return described

    def description(self, model: str) -> dict[str, Any]:
        """What a model says of itself: its weights, engine, precision, classes and versions; empty if nothing.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error.
        """
        described: dict[str, Any] = self._manage(f"/models/{quote(model, safe='')}?customized=true")[0]
        return described.get("customizedMetadata") or {}

    def workers_ready(self, model: str) -> tuple[int, int]:
        """How many of a model's workers are ready, and how many there should be.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error.
        """
        described = self.describe(model)
        ready = sum(worker["status"] == "READY" for worker in described["workers"])
        return ready, int(described["minWorkers"])

    def worker_pids(self, model: str) -> list[int]:
        """The process ids of a model's workers, in ascending order.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error.
        """
        return sorted(int(worker["pid"]) for worker in self.describe(model)["workers"])

    def _manage(self, path: str) -> Any:
        if not self.management:
            raise VisionserveError(
                f"the management address of the server at {self.inference} is not known; name it by --management"
            )
        return self._call("GET", self.management, path)

    def _call(
        self,
        method: str,
        address: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        key = self.key if address == self.inference else None
        try:
            pool, prefix = self._pool(address)
            response = pool.urlopen(
                method,
                prefix + path,
                body,
                {**(headers or {}), **api_key.header(key)},
                retries=False,
                timeout=_TIMEOUT,
            )
        except ValueError as error:
            raise Unreachable(f"{address} is no address of a server; one is http://127.0.0.1:8080") from error
        except HTTPError as error:
            raise Unreachable(
                f"no answer from {address}{path}; is the server running? Start it with 'visionserve serve'"
            ) from error
        try:
            document = response.json()
        except ValueError:
            document = {}
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _refused(response, document, key)
        return document

    def _pool(self, address: str) -> tuple[HTTPConnectionPool, str]:
        if address not in self._pools:
            self._pools[address] = connection.open_pool(address)
        return self._pools[address]


def _prediction(model: str) -> str:
    return _PREDICTIONS + quote(model, safe="")


def _refused(response: BaseHTTPResponse, document: Any, key: str | None) -> Refused:
    details = document if isinstance(document, dict) else {}
    message = str(details.get("message", response.data.decode(errors="replace")[:200]))
    if response.status == HTTPStatus.UNAUTHORIZED and key is None:
        message += f"; name a file with the key by --key-file, or set {api_key.VARIABLE}"
    if "Location" in response.headers:
        message += f"; it is at {response.headers['Location']} now"
    return Refused(response.status, str(details.get("type", "Error")), message)
