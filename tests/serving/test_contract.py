"""docs/api.md and docs/openapi.yaml, held against a real TorchServe."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
import schemathesis
import tritonclient.http as triton
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from tests.serving.conftest import BATCHING_MODEL
from tests.support import documents
from tests.support.exchanges import BAD, GOOD, JPEG, Answers, items
from tests.support.pictures import corpus

from visionserve.archiver.demo import colours

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import quick
    from tests.support.exchanges import Sent

    from visionserve.client import Client
    from visionserve.server.instance.launcher import TorchServe

TIMEOUT = 60.0


# The documented server errors that a client brings upon itself; the last is TorchServe's, of a nameless part.
ASKED_FOR = {(501, "ExplanationUnsupported"), (504, "DeadlineExceeded"), (500, "ErrorDataDecoderException")}


def post(url: str, sent: Sent) -> requests.Response:
    """A request as the front end would hand it over, sent so that it does."""
    if sent.headers.get("Content-Type", "").startswith("multipart/"):
        body = b"".join(
            b'--x\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\nContent-Type: %s\r\n\r\n%s\r\n'
            % (part.name.encode(), part.content_type.encode(), part.value)
            for part in sent.parts
        )
        return requests.post(url, data=body + b"--x--\r\n", headers=sent.headers, timeout=TIMEOUT)
    return requests.post(url, data=sent.parts[0].value, headers=sent.headers, timeout=TIMEOUT)


def error_of(response: Any) -> tuple[int, str]:
    document = response.json()
    assert document["code"] == response.status_code
    return response.status_code, document["type"]


@pytest.mark.parametrize(
    ("charset", "kind"), [("nonsense", "UnsupportedCharsetException"), ("%%%", "IllegalCharsetNameException")]
)
def test_a_form_of_an_unknown_charset_is_403(charset: str, kind: str, quick_url: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; charset={charset}; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\nx\r\n--x--\r\n'
    assert error_of(requests.post(quick_url, data=body, headers=headers, timeout=TIMEOUT)) == (403, kind)


@pytest.mark.parametrize("block", documents.shell_blocks(), ids=lambda block: " ".join(block.split())[:60])
def test_every_command_gets_the_status_it_promises(block: str, server: TorchServe, tmp_path: Path) -> None:
    assert shutil.which("curl"), "the contract is written for curl; install it"
    (tmp_path / "photo.jpg").write_bytes(JPEG)
    (tmp_path / ".curlrc").write_text('silent\nshow-error\noutput = "answer"\nwrite-out = "%{http_code}\\n"\n')
    properties = server.properties
    program = block.replace("http://localhost:8080", properties.inference).replace("/resnet50", "/quick")
    program = program.replace("http://localhost:8081", properties.management)
    done = subprocess.run(
        ["bash", "-euc", program],
        cwd=tmp_path,
        env={"CURL_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "no_proxy": "*"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [int(status) for status in done.stdout.split()] == documents.promised(block)


def test_a_batch_of_8_with_k_bad_gives_k_errors_and_8_minus_k_unchanged_answers(
    server: TorchServe, client: Client
) -> None:
    inference = server.properties.inference
    wrong = [variant for variant in BAD if variant.status != 413]  # this model takes larger pictures
    pictures = [data for _, data in colours.held_out(per_class=2)][:8]
    before = client.worker_pids(BATCHING_MODEL)

    def classify(model: str, data: bytes) -> requests.Response:
        return requests.post(f"{inference}/predictions/{model}", data=data, timeout=TIMEOUT)

    alone = [classify("demo-resnet18", data).content for data in pictures]
    together = 0
    for count in range(9):
        bad = [wrong[(count * 8 + place) % len(wrong)] for place in range(count)]
        bodies = [*pictures[: 8 - count], *(variant.data for variant in bad)]
        order = [(3 * place + count) % 8 for place in range(8)]
        with ThreadPoolExecutor(8) as pool:
            responses = list(pool.map(classify, [BATCHING_MODEL] * 8, [bodies[place] for place in order]))
        for place, response in zip(order, responses, strict=True):
            if place < 8 - count:
                assert (response.status_code, response.content) == (200, alone[place])
            else:
                variant = bad[place - (8 - count)]
                assert error_of(response) == (variant.status, variant.type)
        together += {response.headers["X-Batch-Size"] for response in responses} == {"8"}
    assert together >= 6  # were truly in one batch
    assert client.worker_pids(BATCHING_MODEL) == before


def test_every_picture_of_the_corpus_gets_its_status_and_label(
    quick_url: str, offline: quick.Offline, same_workers: None
) -> None:
    variants = corpus.variants()
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda v: requests.post(quick_url, data=v.data, timeout=TIMEOUT), variants))
    for variant, response in zip(variants, responses, strict=True):
        if variant.pixels is None:
            assert error_of(response) == (variant.status, variant.type), variant.name
        else:
            assert response.status_code == 200, variant.name
            assert next(iter(response.json())) == next(iter(offline(variant.pixels))), variant.name


SENDABLE = items(over_http=True)


@pytest.fixture(scope="module")
def alone(quick_url: str) -> Answers:
    """What each good picture is answered by itself."""
    return Answers((data, requests.post(quick_url, data=data, timeout=TIMEOUT).content) for data in GOOD)


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(places=st.lists(st.integers(0, len(SENDABLE) - 1), min_size=3, max_size=8))
def test_any_requests_at_once_get_as_many_answers_each_its_own(
    places: list[int], quick_url: str, alone: Answers, same_workers: None
) -> None:
    with ThreadPoolExecutor(len(places)) as pool:
        responses = list(pool.map(lambda place: post(quick_url, SENDABLE[place][0]), places))
    for place, response in zip(places, responses, strict=True):
        expected = SENDABLE[place][1]
        if isinstance(expected, bytes):
            assert (response.status_code, response.content) == (200, alone[expected])
        else:
            assert error_of(response) == expected


def test_tritons_own_encoder_and_decoder(quick_url: str, offline: quick.Offline) -> None:
    pictures = [corpus.picture(90, 70, colour) for colour in ("red", "blue")]
    tensor = triton.InferInput("image", [2, 70, 90, 3], "UINT8")
    tensor.set_data_from_numpy(np.stack([np.asarray(picture) for picture in pictures]))
    body, json_length = triton.InferenceServerClient.generate_request_body([tensor], request_id="7")
    headers = {"Inference-Header-Content-Length": str(json_length), "X-Top-K": "3"}
    response = requests.post(quick_url, data=body, headers=headers, timeout=TIMEOUT)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/octet-stream")
    result = triton.InferenceServerClient.parse_response_body(
        response.content, header_length=int(response.headers["Inference-Header-Content-Length"])
    )
    labels, indices = result.as_numpy("labels"), result.as_numpy("indices")
    probabilities = result.as_numpy("probabilities")
    assert result.get_response()["id"] == "7"
    assert (labels.shape, probabilities.dtype, indices.dtype) == ((2, 3), np.float32, np.int64)
    for row, picture in enumerate(pictures):
        expected = offline(picture)
        assert [label.decode() for label in labels[row]] == list(expected)[:3]
        assert probabilities[row] == pytest.approx(list(expected.values())[:3], abs=1e-4)


def test_the_description_is_the_management_calls_alone(server: TorchServe, quick_url: str) -> None:
    management = f"{server.properties.management}/models/quick?customized=true"
    description = requests.get(management, timeout=TIMEOUT).json()[0]["customizedMetadata"]
    assert description["spec"]["handler"]["architecture"] == "resnet18"
    assert len(description["weights"]["sha256"]) == 64
    for forged in (
        requests.get(quick_url, headers={"describe": "True"}, timeout=TIMEOUT),
        requests.post(
            quick_url,
            data=b"--x--\r\n",
            headers={"describe": "True", "Content-Type": "multipart/form-data; boundary=x"},
            timeout=TIMEOUT,
        ),
    ):
        assert error_of(forged) == (400, "EmptyRequest")
    answered = requests.post(
        quick_url, data=JPEG, headers={"describe": "True", "explain": "True"}, timeout=TIMEOUT
    )
    assert set(answered.json()) <= set(colours.HUES)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "HEAD"])
def test_other_methods_without_a_body_are_a_client_error(method: str, quick_url: str) -> None:
    assert requests.request(method, quick_url, timeout=TIMEOUT).status_code == 400


def test_a_body_above_the_limit_is_413(quick_url: str, server: TorchServe, same_workers: None) -> None:
    limit = int(server.properties.values["max_request_size"])
    assert requests.post(quick_url, data=bytes(limit + 1), timeout=TIMEOUT).status_code == 413
    assert error_of(requests.post(quick_url, data=bytes(limit), timeout=TIMEOUT)) == (400, "InvalidImage")


load_all_checks()
pictures = st.sampled_from(GOOD[:3]) | st.binary()
schemathesis.openapi.media_type("image/jpeg", pictures, aliases=["application/octet-stream", "image/*"])
schema = schemathesis.openapi.from_path(documents.OPENAPI).include(path_regex="^/(predictions|explanations)")


@schema.parametrize()
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_schemathesis_finds_no_server_error_and_nothing_undocumented(
    case: schemathesis.Case[Any], server: TorchServe
) -> None:
    if case.path_parameters and len(str(case.path_parameters["model"])) % 4:
        case.path_parameters["model"] = "quick"
        if "version" in case.path_parameters:
            case.path_parameters["version"] = "1.0"
    response = case.call(base_url=server.properties.inference)
    # No schema tells a picture from other bytes.
    left_out: list[Any] = [CHECKS.get_one("positive_data_acceptance")]
    if response.status_code == 413:  # how many pictures there are is counted before any is looked at
        left_out.append(CHECKS.get_one("negative_data_rejection"))
    if response.status_code >= 500 and response.content and error_of(response) in ASKED_FOR:
        left_out.append(CHECKS.get_one("not_a_server_error"))
    case.validate_response(response, excluded_checks=left_out)
