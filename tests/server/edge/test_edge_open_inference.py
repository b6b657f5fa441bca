"""The Open Inference Protocol's paths, and those of Prometheus."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import requests
from tests.server.edge.conftest import free_address, other_addresses

from visionserve import __version__
from visionserve.server.settings.serving import EdgeSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.edge.conftest import Front, Started

METADATA = {"name": "flowers", "versions": ["1.0"], "platform": "visionserve", "inputs": [], "outputs": []}


@pytest.fixture
def described(start: Started, tmp_path: Path) -> Front:
    file = tmp_path / "a file, with (odd) $HOME 'name'.json"
    file.write_text(json.dumps(METADATA))
    return start(metadata={"flowers": file, "flowers/1.0": file})


def test_a_server_says_what_it_is(front: Front) -> None:
    assert front.get("/v2").json() == {
        "name": "visionserve",
        "version": __version__,
        "extensions": ["binary_tensor_data"],
    }


@pytest.mark.parametrize("path", ["/v2/models/flowers", "/v2/models/flowers/versions/1.0"])
def test_a_model_is_described_and_ready(described: Front, path: str) -> None:
    assert described.get(path).json() == METADATA
    assert described.get(path + "/ready").status_code == 200
    for slot in "ab":
        described.control.down(slot)
    refused = described.get(path + "/ready")
    assert (refused.status_code, refused.json()["type"]) == (503, "NotReady")
    assert described.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v2/models/flower", "/v2/models/flowers/versions/2.0", "/v2/models/flowersx/ready"]
)
def test_there_is_no_other_model(described: Front, path: str) -> None:
    assert described.get(path).status_code == 404


def test_a_new_description_is_read_at_a_reload(described: Front, tmp_path: Path) -> None:
    (tmp_path / "new.json").write_text("{}")
    described.edge.reload(metadata={"trees": tmp_path / "new.json"})
    assert described.get("/v2/models/trees").json() == {}
    assert described.get("/v2/models/flowers").status_code == 404


def test_metrics_are_haproxy_s(front: Front) -> None:
    front.post()
    text = front.get("/metrics").text
    answered = re.search(r'haproxy_backend_http_responses_total\{proxy="predictions",code="2xx"\} (\d+)', text)
    assert answered is not None
    assert int(answered[1]) > 0


def test_metrics_are_for_this_machine(start: Started) -> None:
    others = other_addresses()
    if not others:
        pytest.skip("this machine has no address but loopback")
    port = free_address().split(":")[1]
    front = start(edge=EdgeSettings(address=f"0.0.0.0:{port}"))
    refused = requests.get(f"http://{others[0]}:{port}/metrics", timeout=5)
    assert (refused.status_code, refused.json()["type"]) == (403, "Forbidden")
    assert front.get("/metrics").status_code == 200
