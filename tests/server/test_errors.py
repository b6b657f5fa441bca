"""What cannot be written is told in a sentence that names the place."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from visionserve.server.errors import ServerError, writing


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "/srv/run/a has no room left: No space left on device"),
        (errno.EDQUOT, "/srv/run/a has no room left: Disk quota exceeded"),
        (errno.EACCES, "/srv/run/a: Permission denied"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_full_disk_is_told_as_one(number: int, said: str, named: bool) -> None:
    error = OSError(number, os.strerror(number), *(["/srv/run/a"] if named else []))
    with pytest.raises(ServerError) as raised, writing(Path("/srv/run/a")):
        raise error
    assert str(raised.value) == said
