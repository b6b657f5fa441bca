"""Pictures larger than what is asked again: when a worker or Java dies, their clients hear when to come again."""

from __future__ import annotations

import io
import os
import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.outcomes import CUT

from visionserve.server.settings.serving import LimitSettings

if TYPE_CHECKING:
    from tests.chaos.conftest import Told
    from tests.chaos.harness.served import Served

SIDE, QUALITY = 640, 92


def photograph() -> bytes:
    """A JPEG of some 400 KB, because it is noise."""
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "jpeg", quality=QUALITY)
    return file.getvalue()


@pytest.mark.slow
def test_a_large_picture_is_answered_or_its_client_told_when_to_come_again(served: Served, told: Told) -> None:
    picture = photograph()
    assert LimitSettings().retried_body < len(picture) < 500_000
    served.wait_until_whole()
    with loaded(served, picture=picture) as traffic:
        at = now()
        os.kill(served.workers()[0], signal.SIGKILL)
        served.wait_until_whole()
        traffic.wait_for(100)
        outcomes = traffic.take()
        told(f"{len(picture) // 1000} KB pictures, one of two workers killed", outcomes, at)
        assert outcomes.lost == {}
        at = now()
        served.of("java")[0].kill()
        served.wait_until_whole()
        traffic.wait_for(100)
        told(f"{len(picture) // 1000} KB pictures, the only Java killed", traffic, at)
        # One still being sent is cut where its connection was used before: HAProxy has its client ask again.
        assert set(traffic.lost) <= CUT
        assert traffic.cut <= traffic.clients
        assert traffic.count("refused") > 0
