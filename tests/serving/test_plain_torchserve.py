"""Archives on a TorchServe started with its own command line, with no file of ours but the archive."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from visionserve.archiver.demo import colours
from visionserve.calls import Refused, Unreachable
from visionserve.client import Client
from visionserve.runtime import archive
from visionserve.server.instance import java
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from visionserve.archiver.builder import Built

pytestmark = pytest.mark.slow

SCRIPTS = Path(sys.executable).parent
DEADLINE = 120.0


@pytest.fixture(scope="module")
def archivers_mar(demo_archives: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The members of our archive, packed again by torch-model-archiver."""
    folder = tmp_path_factory.mktemp("archiver")
    extra = folder / "extra"
    with zipfile.ZipFile(demo_archives["demo-resnet18"].archive.path) as mar:
        mar.extractall(extra)
    shutil.rmtree(extra / "MAR-INF")
    apart = {
        "--serialized-file": extra / "demo-resnet18.pth",
        "--handler": extra / "visionserve_image_classifier.py",
        "--config-file": extra / "model-config.yaml",
    }
    for option, path in apart.items():
        apart[option] = Path(shutil.move(path, folder / path.name))
    (folder / "store").mkdir()
    subprocess.run(
        [
            str(SCRIPTS / "torch-model-archiver"),
            *("--model-name", "archived", "--version", "1.0", "--export-path", str(folder / "store")),
            *(str(word) for pair in apart.items() for word in pair),
            *("--extra-files", str(extra)),
        ],
        env={**os.environ, "TMPDIR": str(folder)},
        check=True,
    )
    return folder / "store" / "archived.mar"


@pytest.fixture(scope="module")
def client(demo_archives: dict[str, Built], archivers_mar: Path, project: Path) -> Iterator[Client]:
    """A client of `torchserve --start` serving our archive and the archiver's, with TorchServe's defaults."""
    ports = Properties.read(project / "config.properties").on_free_ports()
    store = archivers_mar.parent
    shutil.copy(demo_archives["demo-resnet18"].archive.path, store / "ours.mar")
    folder = Path(tempfile.mkdtemp(prefix="vs-"))
    only_ports = Properties(
        {key: value for key, value in ports.values.items() if key.endswith(("_address", "_port"))}
    )
    only_ports.write(folder / "ports.properties")
    process = subprocess.Popen(
        [
            str(SCRIPTS / "torchserve"),
            *("--start", "--foreground", "--ncs", "--disable-token-auth"),
            *("--model-store", str(store), "--ts-config", str(folder / "ports.properties")),
            *("--models", "ours=ours.mar", "archived=archived.mar"),
        ],
        cwd=folder,
        env={**os.environ, "TEMP": str(folder), "TMPDIR": str(folder), "JAVA_HOME": str(java.find().parents[1])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with Client(ports.inference, ports.management) as opened:
            wait_until_loaded(opened, ["ours", "archived"])
            yield opened
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        shutil.rmtree(folder)


def wait_until_loaded(client: Client, models: list[str]) -> None:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            if all(ready == wanted for ready, wanted in map(client.workers_ready, models)):
                return
        except (Unreachable, Refused):
            pass
        time.sleep(0.2)
    raise TimeoutError(f"{models} not loaded after {DEADLINE:.0f} s")


def test_the_archive_and_the_archivers_answer_the_same_and_right(client: Client) -> None:
    for colour, picture in colours.held_out(per_class=1):
        ours = client.predict("ours", picture)
        assert next(iter(ours)) == colour
        assert client.predict("archived", picture) == ours


def test_json_has_the_same_contract_where_torchserve_parses_it_first(client: Client) -> None:
    url, (_, picture) = f"{client.inference}/predictions/ours", colours.held_out(per_class=1)[0]
    encoded = base64.b64encode(picture).decode()
    answer = client.predict("ours", picture)

    assert requests.post(url, json={"data": encoded}, timeout=60).json() == answer
    assert requests.post(url, json={"instances": [{"b64": encoded}]}, timeout=60).json() == {
        "predictions": [answer]
    }
    tensor = {"name": "x", "datatype": "BYTES", "shape": [1], "data": [encoded]}
    labels = requests.post(url, json={"inputs": [tensor]}, timeout=60).json()["outputs"][0]["data"]
    assert labels == list(answer)
    for body, kind in ((b'{"data": ', "InvalidJson"), (b"null", "InvalidRequest"), (b"\xff\xfe", "InvalidImage")):
        wrong = requests.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=60)
        assert (wrong.status_code, wrong.json()["type"]) == (400, kind)
    typed = requests.post(url, data=picture, headers={"Content-Type": "application/json"}, timeout=60)
    assert typed.json() == answer


def test_the_manifests_agree(demo_archives: dict[str, Built], archivers_mar: Path) -> None:
    def manifest(mar: Path) -> dict[str, object]:
        with zipfile.ZipFile(mar) as file:
            document: dict[str, object] = json.loads(file.read(archive.MANIFEST_FILE))
        return document

    ours, theirs = manifest(demo_archives["demo-resnet18"].archive.path), manifest(archivers_mar)
    assert theirs.pop("createdOn")
    assert ours.pop("sha256")
    assert isinstance(theirs["model"], dict)
    theirs["model"]["modelName"] = "demo-resnet18"
    assert ours == theirs
