"""`serve --trusted-key` serves what was signed, and goes on doing so whatever becomes of the model store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import REPOSITORY
from tests.support import keys, quick

from visionserve.archiver.demo import colours
from visionserve.client import Client
from visionserve.project import Project
from visionserve.server import state
from visionserve.server.properties import Properties
from visionserve.signatures import signing


@pytest.mark.slow
def test_a_signed_archive_is_served_from_a_copy_that_nobody_else_can_change(tmp_path: Path) -> None:
    root = quick.project(tmp_path)
    settings = Properties.read(REPOSITORY / "config.properties").on_free_ports()
    settings.write(root / "config.properties")
    release = keys.write(root, "release")
    archive = quick.build(root, "quick", workers=1).archive.path
    signing.sign(archive, release.signs())

    command = [sys.executable, "-m", "visionserve", "serve", "quick", "--trusted-key", "release.pub"]
    with (
        (root / "errors.txt").open("w") as errors,
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=errors, text=True) as serving,
    ):
        assert serving.stdout is not None
        try:
            first = serving.stdout.readline()
            assert first.startswith("ready quick"), first + (root / "errors.txt").read_text()
            archive.write_bytes(b"hostile")  # the same file, not another one of that name

            running = state.find(Project(root))
            assert running is not None
            copy = Path(running.archives["quick"])
            assert copy.is_relative_to(running.folder)
            assert Path(running.folder).stat().st_mode & 0o777 == 0o700
            assert Path(running.folder).stat().st_uid == os.getuid()

            picture = colours.picture("red", 1)
            with Client(settings.inference, settings.management) as client:
                answer = client.predict("quick", picture)
            expected = quick.Offline(root)(picture)
            assert next(iter(answer)) == next(iter(expected))
        finally:
            serving.terminate()
            serving.wait(30)
    assert serving.returncode == 0, (root / "errors.txt").read_text()
    assert not Path(running.folder).exists()
