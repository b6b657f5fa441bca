"""Checkpoints as training scripts leave them, answered by a real TorchServe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.serving.conftest import CHECKPOINT_FORMS

from visionserve.archiver.demo import colours

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.client import Client


@pytest.mark.slow
@pytest.mark.parametrize("form", CHECKPOINT_FORMS)
def test_a_checkpoint_is_served_as_its_plain_state_dict_is(
    form: str, client: Client, large_client: Client, checkpoint_archives: dict[str, Path]
) -> None:
    model = checkpoint_archives[form].stem
    for colour, data in colours.held_out(per_class=1):
        answer = large_client.predict(model, data)
        plain = client.predict("demo-resnet18", data)
        assert next(iter(answer)) == colour
        assert {label: answer[label] for label in plain} == pytest.approx(plain, abs=1e-4)
