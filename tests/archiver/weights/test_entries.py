"""The transform that torchvision's weights bring, and what a model's YAML changes in it."""

from __future__ import annotations

import pytest

from visionserve.archiver.models.spec import HandlerSpec, InputChanges
from visionserve.archiver.weights import entries
from visionserve.runtime.errors import SpecError


def test_transform_of_fine_tuned_weights_is_the_defaults_with_the_yamls_changes() -> None:
    inherited = entries.transform(HandlerSpec(architecture="resnet50", weights="mine.pth"))
    changed = entries.transform(
        HandlerSpec(architecture="resnet50", weights="mine.pth", input=InputChanges(crop=288, resize=320))
    )

    assert (inherited.resize, inherited.crop, inherited.interpolation) == (232, 224, "bilinear")
    assert (changed.resize, changed.crop) == (320, 288)
    assert changed.mean == inherited.mean == (0.485, 0.456, 0.406)


def test_ones_own_architecture_needs_a_whole_transform() -> None:
    spec = HandlerSpec(architecture="nets.tiny:make", weights="tiny.pth", input=InputChanges(crop=32, resize=32))

    with pytest.raises(SpecError, match=r"handler\.input has no mean, std"):
        entries.transform(spec)
