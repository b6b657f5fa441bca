"""A model that cannot be loaded beside one that can, behind the edge: the server says which and why, and ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.chaos.harness.served import COMMAND, project
from tests.support.packed import with_member

from visionserve.runtime import archive, integrity

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0  # within which it has said so and ended


@pytest.fixture
def root() -> Iterator[Path]:
    """A project with a good archive, and one whose weights do not give the answers that it records."""
    folder = Path(tempfile.mkdtemp(prefix="bad-", dir="/tmp"))  # short, for sockets lie in it
    good = project(folder, workers=1) / "model_store" / "quick.mar"
    with zipfile.ZipFile(good) as file:
        recorded = json.loads(file.read(archive.GOLDEN_FILE))
    recorded["answers"][2]["logits"] = recorded["answers"][3]["logits"]
    changed = json.dumps(recorded).encode()
    integrity.seal(with_member(good, good.with_name("bad.mar"), archive.GOLDEN_FILE, changed))
    yield folder
    shutil.rmtree(folder)


def written(process: subprocess.Popen[str], root: Path) -> str:
    """What HAProxy and the first instance were given, as `--print-config` shows it, while they start."""
    end, run = time.monotonic() + SECONDS, root / ".visionserve" / "run"
    while not (root / "logs" / "a" / "java.log").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    torchserve = (run / "a" / "config.properties").read_text()
    return f"# TorchServe, in slot a\n{torchserve}\n# HAProxy\n{(run / 'edge' / 'haproxy.cfg').read_text()}"


@pytest.mark.slow
def test_the_bad_one_is_named_by_its_own_cause_and_what_was_shown_before_was_written(root: Path) -> None:
    words = ("quick", "bad")
    shown = subprocess.run(
        [*COMMAND, "serve", "--print-config", *words], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    begun = time.monotonic()
    with subprocess.Popen(
        [*COMMAND, "serve", *words], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            found = written(process, root)
            out, err = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert time.monotonic() - begun < SECONDS
    assert process.returncode == 1
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: bad cannot be served: ")
    assert "golden picture" in line
    assert "quick" not in line
    assert "ready bad" not in out
    assert found == shown
    assert not (root / ".visionserve" / "run").exists()
