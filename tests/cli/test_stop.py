"""`visionserve stop` where no supervisor runs any more."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def test_what_a_killed_server_left_is_ended(tmp_path: Path, visionserve: Run) -> None:
    left, java = tmp_path / ".visionserve" / "run" / "a", tmp_path / "java"
    left.mkdir(parents=True)
    shutil.copy(shutil.which("sleep") or "/bin/sleep", java)
    with subprocess.Popen([java, "60"], cwd=left) as stray:
        try:
            done = visionserve("stop", cwd=tmp_path)
            assert (done.code, done.out) == (0, "not running; processes ended that a killed server had left: 1\n")
            assert stray.poll() is not None
            assert not left.parent.exists()
        finally:
            stray.kill()
    assert visionserve("stop", cwd=tmp_path).out == "not running\n"
