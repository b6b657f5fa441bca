"""The unit is what systemd takes for one, and what it names is what the commands do."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

READY_SECONDS = 600  # `serve --timeout`, when nothing else is said
UNIT = REPOSITORY / "deploy" / "systemd" / "visionserve.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    # Its user and its program are not there, so those of this machine stand in for them.
    program = shutil.which("true") or "/bin/true"
    text = UNIT.read_text().replace("/srv/visionserve/.venv/bin/visionserve", program)
    unit = tmp_path / "visionserve.service"
    unit.write_text(text.replace("User=visionserve", "User=root").replace("Group=visionserve", "Group=root"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert said == [] and done.returncode == 0, done.stderr


def test_it_gives_the_server_time_to_drain() -> None:
    settings = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#")
    assert settings["Type"] == "notify"
    assert int(settings["TimeoutStopSec"]) > 30  # drainSeconds
    assert settings["KillMode"] == "mixed"
    assert settings["User"] == "visionserve"
    assert settings["CapabilityBoundingSet"] == ""


def test_a_worker_that_the_kernel_ends_ends_no_service() -> None:
    """systemd's own default is `stop`, which would end all instances for the memory of one worker."""
    assert "\nOOMPolicy=continue\n" in UNIT.read_text()


def test_a_server_that_cannot_start_says_why_before_systemd_ends_it() -> None:
    settings = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#")
    assert int(settings["TimeoutStartSec"]) > READY_SECONDS
    assert int(settings["StartLimitIntervalSec"]) > int(settings["StartLimitBurst"]) * READY_SECONDS
    assert settings["ExecStart"].endswith(" serve --edge")  # without HAProxy nobody tells systemd anything
