"""Logits to labels with probabilities, and those to the bytes of a response."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from visionserve.runtime.errors import ModelFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.runtime.errors import RequestError

Answer = dict[str, float]


@dataclass(frozen=True)
class Answered:
    """One request's answers.

    Attributes:
        answers: One per picture, each label to probability, most probable first.
        listed: Whether the client expects a list of them.
    """

    answers: list[Answer]
    listed: bool


def classify(logits: torch.Tensor, labels: Sequence[str], top_k: int) -> list[Answer]:
    """The most probable labels of each picture, most probable first.

    Args:
        logits: float32 `[N, classes]`.
        labels: One distinct label per class.
        top_k: How many labels an answer holds; all of them when there are fewer.

    Raises:
        ModelFailure: A logit is NaN or infinite, so there are no probabilities.
    """
    if not torch.isfinite(logits).all():
        raise ModelFailure("the network answered with NaN or infinite logits for this image")
    probabilities, indices = logits.softmax(dim=1).topk(min(top_k, len(labels)), dim=1)
    return [
        {labels[index]: probability for index, probability in zip(row_indices, row, strict=True)}
        for row_indices, row in zip(indices.tolist(), probabilities.tolist(), strict=True)
    ]


def response(answered: Answered) -> bytes:
    """One request's answer: `{label: probability, ...}`, or `{"predictions": [...]}` for a listed request."""
    return _encode({"predictions": answered.answers} if answered.listed else answered.answers[0])


def error_response(error: RequestError) -> bytes:
    """One request's error, with the keys TorchServe's own errors have."""
    return _encode({"code": error.status, "type": error.type, "message": str(error)})


def _encode(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
