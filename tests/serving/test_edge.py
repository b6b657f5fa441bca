"""A real TorchServe on Unix sockets behind the edge: what clients see is ours, whoever asks and however."""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from PIL import Image
from tests.server.edge.conftest import EXECUTABLES, free_address
from tests.serving.conftest import proven
from tests.support import quick

from visionserve.archiver import builder
from visionserve.archiver.demo import colours
from visionserve.archiver.models import catalog
from visionserve.server.edge import haproxy, metadata
from visionserve.server.edge.configuration import Slot
from visionserve.server.edge.haproxy_process import HAProxyProcess
from visionserve.server.settings.properties import Properties
from visionserve.server.settings.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from visionserve.server.instance.launcher import TorchServe

PICTURES = [colours.picture(colour, 0) for colour in quick.LABELS[:3]]
# A network that fails on a picture that is red all over.
FRAGILE = """\
from torchvision.models.resnet import BasicBlock, ResNet


class Fragile(ResNet):
    def forward(self, pixels):
        if bool(((pixels[:, 0].amin((1, 2)) > 2) & (pixels[:, 1].amax((1, 2)) < -2)).any()):
            raise RuntimeError("a red picture")
        return super().forward(pixels)


def make(num_classes):
    return Fragile(BasicBlock, [2, 2, 2, 2], num_classes=num_classes)
"""


@pytest.fixture(scope="module")
def fragile(project: Path) -> Path:
    """The archive of that network."""
    (project / "fragile.py").write_text(FRAGILE)
    quick.build(project, "quick")
    text = (project / "models" / "demo" / "quick.yaml").read_text()
    source = project / "models" / "demo" / "fragile.yaml"
    source.write_text(text.replace("architecture: resnet18", "architecture: fragile:make"))
    return builder.build(project, catalog.read(source), source).archive.path


@pytest.fixture(scope="module")
def instance(project: Path, fragile: Path) -> Iterator[TorchServe]:
    with tempfile.TemporaryDirectory(prefix="edge-", dir="/tmp") as folder:
        archives = {"quick": quick.build(project, "quick").archive.path, "fragile": fragile}
        properties = Properties.read(project / "config.properties").on_sockets(Path(folder))
        with proven(archives, properties, project / "logs-edge") as running:
            yield running


@pytest.fixture(scope="module", params=EXECUTABLES, ids=lambda path: haproxy.examine(path).version)
def address(request: pytest.FixtureRequest, instance: TorchServe, project: Path) -> Iterator[str]:
    address = free_address()
    settings = Serving().completed(project, address=address, body=2_000_000)
    slot = Slot("a", Path(instance.properties.inference.removeprefix("unix:")))
    with tempfile.TemporaryDirectory(prefix="edge-", dir="/tmp") as folder:
        described = metadata.write(Path(folder) / "metadata", {"quick": "1.0"})
        edge = HAProxyProcess(
            haproxy.examine(request.param),
            settings,
            [slot],
            Path(folder) / "edge",
            project / "logs-edge",
            described,
        )
        edge.control.up("a")
        yield address
        edge.kill()


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    with triton.InferenceServerClient(address) as opened:
        yield opened


def test_tritonclient_finds_its_way(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("quick")
    assert client.is_model_ready("quick", "1.0")
    assert not client.is_model_ready("slow")
    assert client.get_server_metadata()["name"] == "visionserve"
    described = client.get_model_metadata("quick", "1.0")
    assert (described["name"], described["versions"]) == ("quick", ["1.0"])
    assert [output["name"] for output in described["outputs"]] == ["labels", "indices", "probabilities"]


@pytest.mark.parametrize("version", ["", "1.0"])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
def test_tritonclient_s_tensors(
    client: Any, address: str, binary_in: bool, binary_out: bool, version: str
) -> None:
    pixels = np.stack([np.asarray(quick.decoded(picture).resize((64, 64))) for picture in PICTURES])
    tensor = triton.InferInput("image", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=binary_in)
    wanted = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("labels", "probabilities")]
    result = client.infer("quick", [tensor], model_version=version, outputs=wanted)
    probabilities = result.as_numpy("probabilities")
    labels = result.as_numpy("labels")
    assert labels.shape == probabilities.shape == (3, 5)
    assert probabilities.dtype == np.float32
    for picture, row in zip(pixels, probabilities, strict=True):
        png = io.BytesIO()
        Image.fromarray(picture).save(png, "png")
        direct = requests.post(f"http://{address}/predictions/quick", data=png.getvalue(), timeout=30).json()
        assert row.tolist() == pytest.approx(list(direct.values()), rel=1e-5)


def test_tritonclient_sends_files(client: Any) -> None:
    tensor = triton.InferInput("image", [len(PICTURES)], "BYTES")
    tensor.set_data_from_numpy(np.array(PICTURES, dtype=object))
    assert client.infer("quick", [tensor]).as_numpy("indices").shape == (3, 5)


def test_tritonclient_is_told_what_is_wrong(client: Any) -> None:
    tensor = triton.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"no picture"], dtype=object))
    with pytest.raises(triton.InferenceServerException, match="InvalidImage") as refused:
        client.infer("quick", [tensor])
    assert refused.value.status() == "400"


def test_torchserve_s_own_refusals_come_through(address: str) -> None:
    def post(path: str, data: bytes) -> tuple[int, str]:
        answer = requests.post(f"http://{address}{path}", data=data, timeout=30)
        return answer.status_code, answer.json()["type"]

    for size in (9, 300_000):
        assert post("/predictions/slow", b"x" * size) == (404, "ModelNotFoundException")
        assert post("/predictions/quick/9.9", b"x" * size) == (404, "ModelVersionNotFoundException")
        assert post("/predictions/quick", b"x" * size) == (400, "InvalidImage")
    assert post("/predictions/quick", b"x" * 2_000_001) == (413, "RequestTooLarge")


def test_every_size_arrives_and_comes_back(address: str) -> None:
    with requests.Session() as session:
        for size in (0, 100_000, 262_000, 263_000, 1_900_000):
            padded = PICTURES[0] + b"\0" * size
            answer = session.post(f"http://{address}/predictions/quick", data=padded, timeout=30)
            assert answer.status_code == 200
            assert list(answer.json())


def test_a_picture_that_makes_the_model_fail_is_asked_once(address: str, instance: TorchServe) -> None:
    def failures() -> int:
        return sum(log.read_text().count("a picture failed by itself") for log in instance.logs.glob("*.log"))

    red = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(red, "png")
    before, asked = failures(), 3
    for _ in range(asked):
        answer = requests.post(f"http://{address}/predictions/fragile", data=red.getvalue(), timeout=30)
        assert (answer.status_code, answer.json()["type"]) == (500, "ModelFailure")
    end = time.monotonic() + 10
    while failures() < before + asked and time.monotonic() < end:
        time.sleep(0.05)
    assert failures() == before + asked
    assert requests.post(f"http://{address}/predictions/fragile", data=PICTURES[0], timeout=30).status_code == 200
