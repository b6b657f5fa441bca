"""A model of a running server: where it is, and what it says of itself."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from visionserve.calls import Refused
from visionserve.client import Client, split
from visionserve.evaluation.errors import EvaluationError
from visionserve.runtime.errors import VisionserveError

_ALL = 10**9  # more classes than any network has
_NOT_FOUND = 404


@dataclass(frozen=True)
class Served:
    """A model of a running server.

    Attributes:
        model: Its name.
        inference: Base URL of the inference address.
        management: Base URL of the management address; empty if it is not known.
        key: The API key that the server wants, if any.
    """

    model: str
    inference: str
    management: str = ""
    key: str | None = field(default=None, repr=False)

    def another(self, text: str) -> Served:
        """Another model, by its name where it is on the same server, else by its whole URL.

        Another server is not told this one's key.

        Raises:
            EvaluationError: It is a URL without a model.
        """
        if "://" not in text:
            return replace(self, model=text)
        inference, model = split(text)
        if not model:
            raise EvaluationError(
                f"{text} names no model: write it like {self.inference}/predictions/{self.model}"
            )
        return Served(model, inference, key=self.key if inference == self.inference.rstrip("/") else None)

    def client(self) -> Client:
        """A client of that server."""
        return Client(self.inference, self.management, self.key)

    def labels(self) -> tuple[str, ...]:
        """The model's labels in class order, as its answer to an empty picture tells them.

        Raises:
            Unreachable: Nothing answers.
            Refused: The server answered with an error.
            EvaluationError: There is no such model.
        """
        drawn = io.BytesIO()
        Image.new("RGB", (32, 32)).save(drawn, "PNG")
        with self.client() as client:
            try:
                classes = client.detail(self.model, drawn.getvalue(), _ALL)["classes"]
            except Refused as error:
                others = []
                with suppress(VisionserveError):
                    others = sorted(client.models())
                if error.status == _NOT_FOUND and others:
                    raise EvaluationError(
                        f"no model '{self.model}' is served at {self.inference}; there are {', '.join(others)}"
                    ) from error
                raise
        return tuple(each["label"] for each in sorted(classes, key=lambda each: int(each["index"])))

    def description(self) -> dict[str, Any]:
        """What the model says of itself; empty where its management address is not known or does not tell."""
        if self.management:
            with self.client() as client, suppress(VisionserveError):
                return client.description(self.model)
        return {}
