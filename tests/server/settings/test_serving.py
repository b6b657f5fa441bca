"""server.yaml's own checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from visionserve.runtime.errors import SpecError
from visionserve.server.settings.serving import Serving

if TYPE_CHECKING:
    from pathlib import Path


def test_the_environment_is_named_not_written(tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    path.write_text("environment: [DATABASE_URL, http_proxy]\n")
    assert Serving.read(path).environment == ("DATABASE_URL", "http_proxy")
    path.write_text("environment: [DATABASE_URL=postgres]\n")
    with pytest.raises(SpecError, match=r"environment holds 'DATABASE_URL=postgres': .* without its value"):
        Serving.read(path)
