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
