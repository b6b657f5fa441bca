from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from visionserve.cli import supervised
from visionserve.project import Project

if TYPE_CHECKING:
    from pathlib import Path


def test_logs_may_be_a_link_to_a_folder_that_is_yet_to_be_made(tmp_path: Path) -> None:
    (tmp_path / "logs").symlink_to("volume/logs")
    with supervised._logged(Project(tmp_path)):
        logging.getLogger("visionserve.server").info("an instance is ready")
    assert (tmp_path / "volume" / "logs" / "supervisor.log").read_text().endswith("an instance is ready\n")


def test_what_the_supervisor_logs_is_bounded(tmp_path: Path) -> None:
    with supervised._logged(Project(tmp_path)):
        for number in range(8000):
            logging.getLogger("visionserve.server").info("%d %s", number, "x" * 10_000)
    files = sorted((tmp_path / "logs").iterdir())
    assert [path.name for path in files] == ["supervisor.log", *(f"supervisor.log.{age}" for age in range(1, 6))]
    assert max(path.stat().st_size for path in files) <= 10_000_000
    assert "INFO 7999 x" in files[0].read_text()
