"""What was signed is served, and goes on being served whatever becomes of the model store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support import keys

from visionserve.archiver.demo import colours
from visionserve.client import Client
from visionserve.server.instance import admission, health
from visionserve.server.instance.launcher import TorchServe
from visionserve.server.settings.properties import Properties
from visionserve.signatures import signing

if TYPE_CHECKING:
    from tests.support import quick


@pytest.mark.slow
def test_a_signed_archive_is_served_from_a_copy_that_nobody_else_can_change(
    server: TorchServe, project: Path, offline: quick.Offline, tmp_path: Path
) -> None:
    release = keys.write(tmp_path, "release")
    archive = Path(shutil.copy(server.archives["quick"], tmp_path))
    signing.sign(archive, release.signs())
    settings = Properties.read(project / "config.properties").on_free_ports()
    admit = admission.copied_if_signed_by([release.verifies()])
    with TorchServe({"quick": archive}, settings, tmp_path / "logs", admit) as running:
        archive.write_bytes(b"hostile")  # the same file, not another one of that name, before it was unpacked
        assert running.archives["quick"].is_relative_to(running.folder)
        assert running.folder.stat().st_mode & 0o777 == 0o700
        assert [name for name, _ in health.wait_until_ready(running, timeout=240)] == ["quick"]
        picture = colours.picture("red", 1)
        with Client(settings.inference, settings.management) as client:
            answer = client.predict("quick", picture)
        assert next(iter(answer)) == next(iter(offline(picture)))
        running.process.kill()
    assert not running.folder.exists()
