"""What became of a request to the bytes, status and headers of its response."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from visionserve.runtime.wire import open_inference, payload
from visionserve.runtime.wire.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from visionserve.runtime.model import ResponseShape
    from visionserve.runtime.predictions import Prediction

JSON = "application/json"
BINARY = "application/octet-stream"
STAGE_TIMES = "X-Stage-Times"
BATCH_SIZE = "X-Batch-Size"


@dataclass(frozen=True)
class Answered:
    """One request's answer.

    Attributes:
        pictures: For every picture its most probable classes.
        reply: How they go back.
        shape: Labels with probabilities, or all that is known.
        model: The model's name.
        version: Its version.
        stages: The milliseconds spent in each stage: on this request's own pictures, and in the batch it was in.
    """

    pictures: Sequence[Sequence[Prediction]]
    reply: payload.Reply
    shape: ResponseShape
    model: str
    version: str
    stages: Mapping[str, float]


@dataclass(frozen=True)
class Described:
    """The answer to a call for a description.

    Attributes:
        document: What the model is, as JSON has it.
    """

    document: Mapping[str, Any]


@dataclass(frozen=True)
class Response:
    """What goes back to one client.

    Attributes:
        status: The HTTP status.
        body: The content.
        content_type: Its type.
        headers: Others.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


Outcome = Answered | Described | RequestError


def respond(outcome: Outcome, batch: int) -> Response:
    """The response to one request; an error has the keys TorchServe's own errors have.

    Args:
        outcome: What became of the request.
        batch: How many requests were answered together; the header `X-Batch-Size` tells.
    """
    response = _response(outcome)
    return replace(response, headers={**response.headers, BATCH_SIZE: str(batch)})


def _response(outcome: Outcome) -> Response:
    if isinstance(outcome, RequestError):
        return Response(
            outcome.status,
            _encode({"code": outcome.status, "type": outcome.type, "message": str(outcome)}),
        )
    if isinstance(outcome, Described):
        return Response(200, _encode(outcome.document))
    times = {STAGE_TIMES: ",".join(f"{stage}={ms:.1f}" for stage, ms in outcome.stages.items())}
    if isinstance(outcome.reply, open_inference.Outputs):
        return _tensors(outcome, outcome.reply, times)
    return Response(200, _encode(_document(outcome)), headers=times)


def _document(answered: Answered) -> dict[str, Any]:
    if answered.shape == "labels":
        answers = [{each.label: each.probability for each in picture} for picture in answered.pictures]
        return {"predictions": answers} if answered.reply == "list" else answers[0]
    detailed = [
        {
            "classes": [
                {"label": each.label, "index": each.index, "probability": each.probability} for each in picture
            ]
        }
        for picture in answered.pictures
    ]
    answer: dict[str, Any] = {"predictions": detailed} if answered.reply == "list" else {**detailed[0]}
    return {"model": answered.model, "version": answered.version, **answer, "stages": _rounded(answered.stages)}


def _tensors(answered: Answered, wanted: open_inference.Outputs, headers: Mapping[str, str]) -> Response:
    columns: dict[str, list[list[Any]]] = {
        "labels": [[each.label for each in picture] for picture in answered.pictures],
        "indices": [[each.index for each in picture] for picture in answered.pictures],
        "probabilities": [[each.probability for each in picture] for picture in answered.pictures],
    }
    parameters = (
        {f"{stage}_ms": ms for stage, ms in _rounded(answered.stages).items()}
        if answered.shape == "detailed"
        else {}
    )
    body, json_length = open_inference.write(answered.model, answered.version, columns, wanted, parameters)
    if json_length is None:
        return Response(200, body, headers=headers)
    return Response(200, body, BINARY, {**headers, payload.JSON_LENGTH: str(json_length)})


def _rounded(stages: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(ms, 1) for stage, ms in stages.items()}


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
