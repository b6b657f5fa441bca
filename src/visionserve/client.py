"""A client of the REST API: predictions, and what the server says of its models."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from visionserve.calls import TIMEOUT, Calls, Refused, Unreachable
from visionserve.runtime.errors import VisionserveError
from visionserve.runtime.wire.options import RESPONSE, TOP_K

if TYPE_CHECKING:
    from types import TracebackType

_PREDICTIONS = "/predictions/"
_PICTURE = {"Content-Type": "application/octet-stream"}


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
        management_seconds: The longest that the management address may say nothing.
        seconds: The longest that the inference address may.
    """

    def __init__(
        self,
        inference: str,
        management: str = "",
        key: str | None = None,
        management_seconds: float = TIMEOUT,
        seconds: float = TIMEOUT,
    ) -> None:
        self.inference = inference.rstrip("/")
        self.management = management.rstrip("/")
        self.key = key
        self._inference = Calls(self.inference, key, seconds)
        self._management = Calls(self.management, seconds=management_seconds)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inference.close()
        self._management.close()

    def predict(self, model: str, picture: bytes) -> dict[str, float]:
        """Classify one encoded picture: label to probability, most probable first, whatever the model's own shape.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error, or with something else than labels.
        """
        answer: dict[str, float] = self._inference.call(
            "POST", _prediction(model), picture, {**_PICTURE, RESPONSE: "labels"}
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
        answer: dict[str, Any] = self._inference.call(
            "POST",
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
            self._inference.call("GET", "/ping")

    def require_ready(self) -> None:
        """Check that the edge at the inference address says that all is well.

        Raises:
            Unreachable: Nothing answers.
            Refused: It says that it is not.
        """
        self._inference.call("GET", "/readyz")

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
        return self._management.call("GET", path)


def _prediction(model: str) -> str:
    return _PREDICTIONS + quote(model, safe="")
