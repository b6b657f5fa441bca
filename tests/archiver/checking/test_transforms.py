"""Transforms that see another part of the picture are told apart by what the network needs to see."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from visionserve.archiver.checking import transforms
from visionserve.evaluation.labelled import LabelledPicture
from visionserve.runtime.engines.eager import EagerEngine
from visionserve.runtime.model import Model, Transform
from visionserve.runtime.pictures import decode
from visionserve.runtime.pictures.fit import stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

CROP = 32
TRANSFORM = Transform(resize=37, crop=CROP, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
T = TypeVar("T")


class LeftEdge(nn.Module):
    """Tells red, green and blue apart by the leftmost pixels alone."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """`[N, 3, H, W]` to `[N, 3]`."""
        return images[:, :, :, :2].mean(dim=(2, 3))


def fp32(transform: Transform) -> EagerEngine:
    return EagerEngine(LeftEdge(), transform, torch.device("cpu"))


def model(transform: Transform) -> Model:
    return Model(
        name="edge",
        version="1.0",
        architecture="edges:left",
        options={},
        weights="edge.pth",
        sha256="0" * 64,
        labels=("red", "green", "blue"),
        transform=transform,
        engine="eager",
        precision="fp32",
        decoding="exact",
        batch_size=1,
        top_k=1,
        response="labels",
        max_pixels=1_000_000,
        max_images=1,
    )


def edged(folder: Path, width: int, edge: int, count: int = 30) -> list[LabelledPicture]:
    """Grey pictures of height 100, whose left and right edges have the colour of their class."""
    made = []
    for index in range(count):
        pixels = np.full((100, width, 3), 128, np.uint8)
        pixels[:, :edge] = pixels[:, -edge:] = np.eye(3, dtype=np.uint8)[index % 3] * 255
        path = folder / f"{index:02}.png"
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())
        made.append(LabelledPicture(path, index % 3))
    return made


def right(transform: Transform, pictures: Sequence[LabelledPicture]) -> npt.NDArray[np.bool_]:
    """Whether the network answers each rightly behind a transform."""
    engine = fp32(transform)
    pixels = [decode.prepare(one.path.read_bytes(), 1 << 20, transform, exact=True)[0] for one in pictures]
    answers = engine.logits(stack(pixels)).argmax(dim=1).numpy()
    return np.asarray(answers == np.array([one.target for one in pictures]))


@pytest.mark.parametrize(
    ("width", "edge", "remedy"),
    [(100, 3, "--resize 33"), (200, 20, f"trained with Resize(({CROP}, {CROP}))")],
    ids=["a smaller resize", "squeezed"],
)
def test_a_transform_that_sees_the_edges_is_found(width: int, edge: int, remedy: str, tmp_path: Path) -> None:
    pictures = edged(tmp_path, width, edge)
    found = transforms.find(model(TRANSFORM), pictures, right(TRANSFORM, pictures), fp32)
    assert found is not None
    assert remedy in found.describe()
    assert found.after.value == 1


def test_the_right_transform_is_left_alone(tmp_path: Path) -> None:
    pictures, own = edged(tmp_path, 100, 3), dataclasses.replace(TRANSFORM, resize=CROP)
    assert transforms.find(model(own), pictures, right(own, pictures), fp32) is None


def test_few_pictures_prove_nothing(tmp_path: Path) -> None:
    pictures = edged(tmp_path, 100, 3, 9)
    assert transforms.find(model(TRANSFORM), pictures, right(TRANSFORM, pictures), fp32) is None


def test_each_variant_differs_from_the_models_own_and_says_what_to_do() -> None:
    imagenet = Transform(resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    tried = list(transforms.variants(imagenet))
    assert all(one.transform != imagenet or one.bgr or one.squeezed for one in tried)
    assert [one.name for one in tried] == [
        "resize 232",
        "resize 224",
        "bicubic resizing",
        "mean and std 0.5",
        "pixels from 0 to 1",
        "pixels from 0 to 255",
        "blue before green and red, as OpenCV reads pictures",
        "the whole picture squeezed to a square",
    ]
    assert all(one.remedy for one in tried)
