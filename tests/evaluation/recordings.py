"""Made-up answers of models that are right so often, to pictures that are drawn."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from visionserve.evaluation.answers import Answers, Refusal
from visionserve.evaluation.judging import findings
from visionserve.evaluation.labelled import LabelledPicture
from visionserve.evaluation.running.asking import Given
from visionserve.evaluation.running.served import Served
from visionserve.evaluation.running.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVER = {
    "version": "1.0",
    "engine": "openvino",
    "precision": "bf16",
    "device": "cpu",
    "weights": {"file": "model.pth", "sha256": "ab" * 32},
    "versions": {"python": "3.11.0", "torch": "2.15.0"},
}


def answers(
    right: Sequence[float], of_each: int, seed: int = 0, model: str = "m", folder: Path = Path("pictures")
) -> Answers:
    """As many pictures of each class, of which about such a share is right; the others get the next class."""
    rng = np.random.default_rng(seed)
    classes = len(right)
    targets = np.repeat(np.arange(classes), of_each)
    said = np.where(rng.random(len(targets)) < np.array(right)[targets], targets, (targets + 1) % classes)
    scores = rng.normal(size=(len(targets), classes))
    scores[np.arange(len(targets)), said] += 6 + 3 * rng.random(len(targets))
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    pictures = [LabelledPicture(folder / f"class {t:04}" / f"{i:05}.jpg", int(t)) for i, t in enumerate(targets)]
    return Answers(
        model=model,
        labels=tuple(f"class {index:04}" for index in range(classes)),
        pictures=pictures,
        probabilities=probabilities.astype(np.float32),
        milliseconds=rng.gamma(4, 10, len(targets)),
        refused=[
            Refusal(LabelledPicture(folder / "class 0000" / "broken.jpg", 0), 400, "InvalidImage", "no image", 3.0)
        ],
    )


def trial(given: Answers, other: Answers | None, source: Path) -> Trial:
    """What is reported of them."""
    slow: list[Given | Refusal] = [
        Given(picture, given.probabilities[i], 80.0 - i, {"decode": 61.0 - i, "inference": 9.0})
        for i, picture in enumerate(given.pictures[:9])
    ]
    return Trial(
        findings=findings.judge(given, other),
        served=Served(given.model, "http://127.0.0.1:8080"),
        source=source,
        started=datetime(2026, 11, 26, 12),
        clients=8,
        notes=["the classes of the pictures are taken for class indices"],
        server=SERVER,
        other=SERVER if other else {},
        alone=[*slow, *given.refused],
    )


def draw(given: Answers) -> None:
    """Make the pictures' files, some upright and some not."""
    for index, picture in enumerate(given.pictures):
        picture.path.parent.mkdir(parents=True, exist_ok=True)
        colour = tuple(int(part) for part in np.random.default_rng(picture.target).integers(0, 256, 3))
        buffer = io.BytesIO()
        Image.new("RGB", (300, 200) if index % 2 else (200, 300), colour).save(buffer, "JPEG")
        picture.path.write_bytes(buffer.getvalue())
