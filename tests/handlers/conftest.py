from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tests.support import quick
from tests.support.exchanges import GOOD, Answers, Sent
from tests.support.worker import Worker

from visionserve.runtime.machine import cores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def worker(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """The quick model, loaded by TorchServe's own worker code in this process."""
    built = quick.build(project, "quick")
    return Worker.load(built.archive.path, tmp_path_factory.mktemp("unpacked"))


@pytest.fixture(autouse=True)
def _as_many_threads(worker: Worker) -> None:  # the worker first
    """As many as the worker set when it was opened, whatever other tests of this process have set since."""
    torch.set_num_threads(cores.threads(workers=2))


@pytest.fixture(scope="session")
def offline(worker: Worker, project: Path) -> quick.Offline:
    """The same network without us."""
    return quick.Offline(project)


@pytest.fixture(scope="session")
def alone(worker: Worker) -> Answers:
    """What each good picture is answered by itself."""
    return Answers((data, worker.ask([Sent.body(data)])[0].body) for data in GOOD)
