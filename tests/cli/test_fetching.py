"""torchvision's own weights are fetched, from a server on loopback in the place of torchvision's."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision

from visionserve.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run

NAME = "shufflenet_v2_x0_5"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Weights of the network, published under a name with their digest; yields that name."""
    folder = tmp_path / "published"
    folder.mkdir()
    torch.manual_seed(0)
    file = folder / "weights.pth"
    torch.save(torchvision.models.get_model(NAME).state_dict(), file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    file = file.rename(folder / f"{NAME}-{sha256[:8]}.pth")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    entry = torchvision.models.get_model_weights(NAME).DEFAULT
    monkeypatch.setattr(entry.value, "url", f"http://127.0.0.1:{server.server_port}/{file.name}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-cache"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield file.name
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_size_is_said_first_and_all_fetched_once(published: str, tmp_path: Path, visionserve: Run) -> None:
    root = tmp_path / "project"
    root.mkdir()
    got = visionserve("weights", NAME, "--root", root)
    assert got.code == 0, got.err
    assert got.out.splitlines()[0] == f"to fetch: {NAME}, 5 MB"
    fetched = Project(root).weights / published
    assert fetched.read_bytes() == (tmp_path / "published" / published).read_bytes()
    assert published in got.err  # beside the bar
    assert f"SHA-256 {hashlib.sha256(fetched.read_bytes()).hexdigest()}" in got.out

    (tmp_path / "published" / published).unlink()
    again = visionserve("weights", NAME, "--root", root)
    assert again.code == 0
    assert "to fetch" not in again.out


def test_archive_never_fetches(published: str, tmp_path: Path, visionserve: Run) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"{NAME}.yaml").write_text(f"handler:\n  architecture: {NAME}\n")
    done = visionserve("archive", NAME, "--root", tmp_path)
    assert done.code == 1
    assert f"no weights for {NAME}: run 'visionserve weights {NAME}'" in done.err
    assert not list(tmp_path.rglob(f"weights/{published}"))
