"""A client of the REST API: predictions, and what the server says of its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from visionserve.runtime.errors import VisionserveError
from visionserve.runtime.wire.options import RESPONSE, TOP_K

if TYPE_CHECKING:
    from types import TracebackType

_NO_ADDRESS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)
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


class Client:
    """Keeps connections open; use it as a context manager.

    Args:
        inference: Base URL of the inference address.
        management: Base URL of the management address.
    """

    def __init__(self, inference: str, management: str) -> None:
        self.inference = inference.rstrip("/")
        self.management = management.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy from the environment never leads to loopback

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def predict(self, model: str, picture: bytes) -> dict[str, float]:
        """Classify one encoded picture: label to probability, most probable first, whatever the model's own shape.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error, or with something else than labels.
        """
        answer: dict[str, float] = self._call(
            "POST", self._prediction(model), data=picture, headers={**_PICTURE, RESPONSE: "labels"}
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
            self._prediction(model),
            data=picture,
            headers={**_PICTURE, RESPONSE: "detailed", TOP_K: str(top_k)},
        )
        if not (isinstance(answer, dict) and isinstance(answer.get("classes"), list)):
            raise Refused(200, "NoPrediction", "the answer has no classes; is it a picture, and our server?")
        return answer

    def is_there(self) -> bool:
        """Whether anything answers at the inference address, be it well or not."""
        try:
            self._call("GET", f"{self.inference}/ping")
        except Unreachable:
            return False
        except Refused:
            pass
        return True

    def models(self) -> list[str]:
        """The names of the registered models, ready or not.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error.
        """
        listed = self._call("GET", f"{self.management}/models?limit=1000")
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
        described: dict[str, Any] = self._call("GET", f"{self.management}/models/{quote(model, safe='')}")[0]
        return described

    def description(self, model: str) -> dict[str, Any]:
        """What a model says of itself: its weights, engine, precision, classes and versions; empty if nothing.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error.
        """
        url = f"{self.management}/models/{quote(model, safe='')}?customized=true"
        described: dict[str, Any] = self._call("GET", url)[0]
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

    def _prediction(self, model: str) -> str:
        return f"{self.inference}/predictions/{quote(model, safe='')}"

    def _call(self, method: str, url: str, **options: Any) -> Any:
        try:
            response = self._session.request(method, url, timeout=_TIMEOUT, **options)
        except _NO_ADDRESS as error:
            raise Unreachable(f"{url} is no address of a server; one is http://127.0.0.1:8080") from error
        except requests.RequestException as error:
            raise Unreachable(
                f"no answer from {url}; is the server running? Start it with 'visionserve serve'"
            ) from error
        try:
            document = response.json()
        except ValueError:
            document = {}
        if not response.ok:
            details = document if isinstance(document, dict) else {}
            raise Refused(
                response.status_code,
                str(details.get("type", "Error")),
                str(details.get("message", response.text[:200])),
            )
        return document
