"""Checkpoints as training scripts leave them, answered by a real TorchServe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.serving.conftest import CHECKPOINT
from tests.support.unpacked import served_contents

from visionserve.archiver.demo import colours

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.client import Client

pytestmark = pytest.mark.slow


def test_a_checkpoint_is_served_as_its_plain_state_dict_is(client: Client, large_client: Client) -> None:
    for colour, data in colours.held_out(per_class=1):
        answer = large_client.predict(CHECKPOINT, data)
        plain = client.predict("demo-resnet18", data)
        assert next(iter(answer)) == colour
        assert {label: answer[label] for label in plain} == pytest.approx(plain, abs=1e-4)


def test_whatever_its_form_the_same_is_served(checkpoint_archives: dict[str, Path]) -> None:
    assert len(checkpoint_archives) == 3
    assert len({served_contents(mar) for mar in checkpoint_archives.values()}) == 1
