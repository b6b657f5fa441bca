"""Archives that come again and again, good ones and bad ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.archive_file import ArchiveFile

if TYPE_CHECKING:
    from tests.chaos.conftest import Told
    from tests.chaos.harness.served import Served

TIMES = 20


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_archives_reloaded_twenty_times_under_load(alone: Served, told: Told) -> None:
    alone.wait_until_whole()
    archive = ArchiveFile(alone.root / "model_store" / "quick.mar")
    with loaded(alone) as traffic:
        at = now()
        for _ in range(TIMES):
            archive.replace(good=False)
            refused = alone.run("reload")
            archive.replace(good=True)
            done = alone.run("reload")
            assert refused.returncode == 1
            assert "is not what was built" in refused.stderr
            assert done.returncode == 0, done.stderr
        reloaded = now()
    told(f"{TIMES} bad archives and {TIMES} good ones reloaded, one worker", traffic, at, reloaded)
    assert traffic.lost == {}
    assert traffic.count("refused") == 0
    assert len(list((alone.root / ".visionserve" / "run").glob("archives-*"))) == 1
