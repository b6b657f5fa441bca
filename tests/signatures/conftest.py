"""Keys of every kind, and archives that are packed in no time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support import keys as pairs
from tests.support.packed import pack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keys import Files


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    """A pair of each kind; `other` is P-256 too, and so is `encrypted`."""
    folder = tmp_path_factory.mktemp("keys")
    made = {kind: pairs.write(folder, kind, kind) for kind in pairs.KINDS}
    made["other"] = pairs.write(folder, "other")
    made["encrypted"] = pairs.write(folder, "encrypted", passphrase=pairs.PASSPHRASE)
    return made


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """An archive that nobody has signed."""
    return pack(tmp_path, "flowers")
