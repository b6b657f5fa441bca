"""What the REST API answers, asked of a real TorchServe."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests
import torch
import torchvision
from PIL import Image
from tests.serving.conftest import BATCHING_MODEL

from visionserve.archiver.demo import colours
from visionserve.calls import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.client import Client
    from visionserve.server.instance.launcher import TorchServe

LABELS = list(colours.HUES)


def png_of(jpeg: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).save(buffer, "PNG")
    return buffer.getvalue()


def test_every_held_out_picture_is_right(client: Client) -> None:
    pictures = colours.held_out()
    right = [next(iter(client.predict("demo-resnet18", data))) == colour for colour, data in pictures]
    assert len(right) == 70
    assert sum(right) >= 0.99 * len(right)


def test_probabilities_are_those_of_torch_with_torchvisions_own_transform(
    client: Client, small_weights: Path
) -> None:
    assert_torchs_probabilities("demo-resnet18-224", "resnet18", client, small_weights)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["resnet50", "vgg16"])
def test_probabilities_of_large_networks_are_those_of_torch(
    architecture: str, large_client: Client, large_weights: dict[str, Path]
) -> None:
    model = f"demo-{architecture}"
    assert_torchs_probabilities(model, architecture, large_client, large_weights[model], pictures=3)


def assert_torchs_probabilities(
    model: str, architecture: str, client: Client, weights: Path, pictures: int = 8
) -> None:
    network = torchvision.models.get_model(architecture, num_classes=7)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()
    transform = torchvision.models.get_model_weights(architecture).DEFAULT.transforms()
    asked = [data for _, data in colours.held_out(per_class=2)][:pictures]
    images = torch.stack([transform(Image.open(io.BytesIO(data)).convert("RGB")) for data in asked])
    with torch.inference_mode():
        expected = network(images).softmax(dim=1)

    one_by_one = [client.predict(model, data) for data in asked]
    with ThreadPoolExecutor(pictures) as pool:
        together = list(pool.map(lambda data: client.predict(model, data), asked))

    for answers in (one_by_one, together):
        for answer, row in zip(answers, expected, strict=True):
            assert len(answer) == 5
            for label, probability in answer.items():
                assert probability == pytest.approx(float(row[LABELS.index(label)]), abs=1e-4)
            assert list(answer.values()) == sorted(answer.values(), reverse=True)


@pytest.mark.parametrize("model", ["demo-resnet18", "demo-resnet18-224"])
def test_the_same_request_gets_the_same_answer(model: str, client: Client) -> None:
    _, picture = colours.held_out(per_class=1)[0]
    assert client.predict(model, picture) == client.predict(model, picture)


def test_every_form_of_a_picture_gives_the_same_answer(client: Client, server: TorchServe) -> None:
    url = f"{server.properties.inference}/predictions/demo-resnet18"
    jpeg = colours.picture("blue", 77)
    expected = client.predict("demo-resnet18", jpeg)
    encoded = {"instances": [{"b64": base64.b64encode(jpeg).decode()}]}

    assert client.predict("demo-resnet18", png_of(jpeg)) == expected
    assert requests.post(url, data=jpeg, headers={"Content-Type": "image/jpeg"}, timeout=60).json() == expected
    assert requests.put(url, data=jpeg, timeout=60).json() == expected
    assert requests.post(url, files={"data": jpeg}, timeout=60).json() == expected
    assert requests.post(url, json=encoded, timeout=60).json() == {"predictions": [expected]}


def test_a_bad_image_gets_400_and_its_neighbours_their_answers(client: Client, server: TorchServe) -> None:
    url = f"{server.properties.inference}/predictions/{BATCHING_MODEL}"
    pictures = [data for _, data in colours.held_out(per_class=1)]
    bodies = [*pictures[:3], b"this is no picture", *pictures[3:]]

    def post(body: bytes) -> requests.Response:
        return requests.post(url, data=body, headers={"Content-Type": "image/jpeg"}, timeout=60)

    with ThreadPoolExecutor(len(bodies)) as pool:
        responses = list(pool.map(post, bodies))

    bad = responses.pop(3)
    assert bad.status_code == 400
    assert bad.json()["code"] == 400
    assert bad.json()["type"] == "InvalidImage"
    assert "not a readable image" in bad.json()["message"]
    assert [next(iter(response.json())) for response in responses] == list(colours.HUES)
    assert {response.headers["X-Batch-Size"] for response in [*responses, bad]} == {str(len(bodies))}


def test_an_unknown_model_is_404(client: Client) -> None:
    with pytest.raises(Refused) as refused:
        client.predict("no-such-model", b"x")
    assert refused.value.status == 404
