from __future__ import annotations

import pytest

from visionserve.runtime.pictures import decode


@pytest.fixture(autouse=True, scope="session")
def configured() -> None:
    """Pillow as it is in a worker."""
    decode.configure_pillow()
