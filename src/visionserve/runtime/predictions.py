"""Logits to the most probable classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


@dataclass(frozen=True)
class Prediction:
    """One class of an answer.

    Attributes:
        label: The class's name.
        index: Its place among the network's classes.
        probability: Its share of all classes, 0 to 1.
    """

    label: str
    index: int
    probability: float


def classify(logits: torch.Tensor, labels: Sequence[str], top_k: int) -> list[Prediction]:
    """The most probable classes of one picture, most probable first.

    Args:
        logits: float32 `[classes]`, finite.
        labels: One distinct label per class.
        top_k: How many to tell; all of them when there are fewer.
    """
    probabilities, indices = logits.softmax(dim=0).topk(min(top_k, len(labels)))
    return [
        Prediction(labels[index], index, probability)
        for index, probability in zip(indices.tolist(), probabilities.tolist(), strict=True)
    ]
