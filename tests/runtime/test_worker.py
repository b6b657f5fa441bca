"""The seam by itself: an unpacked archive and requests, with no server anywhere near."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import shutil
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from tests.runtime.decoders.test_pool import templates
from tests.support import quick
from tests.support.pictures.encoding import encoded
from tests.support.unpacked import with_config, with_members

from visionserve.runtime import archive
from visionserve.runtime.decoders.pool import Decoders
from visionserve.runtime.engines import isolation, selection
from visionserve.runtime.errors import GoldenError, SpecError, VisionserveError
from visionserve.runtime.model import Model
from visionserve.runtime.pictures import decode
from visionserve.runtime.proof import drawing
from visionserve.runtime.wire import responses
from visionserve.runtime.wire.request import Request
from visionserve.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from visionserve.runtime.decoders.process import Decoded

CPU = torch.device("cpu")
LARGE = encoded(Image.new("1", (30_000, 30_000)), "PNG")
PHOTOGRAPH = drawing.encode(drawing.photograph(7, 500, 375), "JPEG")


@pytest.fixture(scope="module")
def unpacked(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(quick.build(project, "quick-seam").archive.path) as mar:
        mar.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def worker(unpacked: Path) -> Iterator[Worker]:
    opened = Worker.open(unpacked, device=CPU)
    yield opened
    opened.close()


def test_an_archive_is_all_it_needs(worker: Worker, project: Path) -> None:
    (response,) = worker.answer([Request({"body": PHOTOGRAPH})])
    expected = quick.Offline(project)(PHOTOGRAPH)
    assert (response.status, response.content_type) == (200, "application/json")
    assert json.loads(response.body) == pytest.approx(dict(list(expected.items())[:5]), abs=1e-4)
    assert response.headers["X-Batch-Size"] == "1"
    assert (worker.model.name, worker.model.version) == ("quick-seam", "1.0")


def test_it_is_called_what_its_server_calls_it(unpacked: Path) -> None:
    renamed = Worker.open(unpacked, name="other", device=CPU)
    (described,) = renamed.answer([Request({}, {"describe": "True"})])
    assert json.loads(described.body)["model"] == "other"
    renamed.close()


def test_what_decodes_is_started_before_the_network_is_loaded(
    unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So no process that reads what clients send was forked from one that holds the network."""
    before, loading = templates(), selection.choose
    started: list[int] = []

    def watched(*arguments: Any) -> selection.Choice:
        started.extend(one.pid for one in templates() if one not in before)
        return loading(*arguments)

    monkeypatch.setattr(selection, "choose", watched)
    Worker.open(unpacked, device=CPU).close()
    assert len(started) == 1


def test_no_requests_have_no_responses(worker: Worker) -> None:
    assert worker.answer([]) == []


@pytest.mark.parametrize(
    ("module", "function"),
    [(Decoders, "prepare"), (isolation, "run"), (responses, "_document")],
    ids=["decoding", "network", "answer"],
)
def test_whatever_breaks_inside_is_an_answer_and_never_raised(
    module: Any, function: str, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise KeyError("/srv/secret")

    monkeypatch.setattr(module, function, breaks)
    got = worker.answer([Request({"body": PHOTOGRAPH}), Request({"body": b""})])
    assert [response.status for response in got] == [500, 400]
    assert json.loads(got[0].body)["type"] == "ModelFailure"
    assert b"secret" not in got[0].body


def test_a_picture_that_fails_takes_its_own_request_along_and_no_other(worker: Worker) -> None:
    both = Request({"a": PHOTOGRAPH, "b": b"no picture"})
    got = worker.answer([Request({"body": PHOTOGRAPH}), both, Request({"body": PHOTOGRAPH})])
    assert [response.status for response in got] == [200, 400, 200]
    assert got[0].body == got[2].body


@pytest.mark.parametrize(("version", "exactly"), [("12.3.0", True), ("13.0.0", False)])
def test_an_unsafe_pillow_is_only_trusted_with_the_exact_way(
    version: str,
    exactly: bool,
    unpacked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("PIL.__version__", version)
    config = archive.read_config(unpacked)
    config["handler"]["decode"] = "fast"
    with_config(unpacked, tmp_path, config)
    with caplog.at_level(logging.WARNING):
        opened = Worker.open(tmp_path, device=CPU)
    warned = [record.getMessage() for record in caplog.records if "corrupt memory" in record.getMessage()]
    assert len(warned) == exactly
    large = drawing.encode(drawing.photograph(8, 800, 600), "JPEG")
    seen: list[np.ndarray[Any, Any]] = []
    logits = opened.engine.logits

    def watched(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(pixels[0].numpy())
        return logits(pixels)

    monkeypatch.setattr(opened.engine, "logits", watched)
    opened.answer([Request({"body": large})])
    right, _ = decode.prepare(large, 1 << 20, opened.model.transform, exact=True)
    assert np.array_equal(seen[0], right) == exactly
    opened.close()


def test_the_pictures_of_a_request_share_the_time_that_one_may_take(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool: Decoders = worker._decoders
    prepare, left = pool.prepare, []

    def recorded(data: bytes, max_pixels: int, seconds: float, *, exact: bool) -> Decoded:
        left.append(seconds)
        return prepare(data, max_pixels, exact=exact)._replace(seconds=0.4 * pool.seconds)

    four = json.dumps({"instances": [{"b64": base64.b64encode(PHOTOGRAPH).decode()}] * 4}).encode()
    monkeypatch.setattr(pool, "prepare", recorded)
    worker.answer([Request({"body": four}, {"content-type": "application/json"})])
    assert left == pytest.approx([share * pool.seconds for share in (1, 0.6, 0.2, -0.2)])


def test_the_tensors_of_a_request_share_it_too(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = bytes(4 * 100 * 3)
    tensor = {
        "name": "a",
        "datatype": "UINT8",
        "shape": [4, 1, 100, 3],
        "parameters": {"binary_data_size": len(pixels)},
    }
    document = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(document))}
    request = Request({"body": document + pixels}, headers)
    (answered,) = worker.answer([request])
    assert answered.status == 200
    monkeypatch.setattr(worker._decoders, "seconds", 1e-6)
    (refused,) = worker.answer([request])
    assert refused.status == 400
    assert "the images of this request take more than" in json.loads(refused.body)["message"]


@pytest.mark.parametrize("key", ["architecture", "weights", "input", "topK", "maxPixels"])
def test_settings_without_what_the_worker_needs_name_it(key: str, unpacked: Path) -> None:
    config = archive.read_config(unpacked)
    del config["handler"][key]
    with pytest.raises(SpecError, match=rf"model net: its model-config\.yaml lacks '{key}'; build it again"):
        Model.from_config(config, quick.LABELS, "net", "1.0")


def test_labels_in_another_order_never_become_ready(unpacked: Path, tmp_path: Path) -> None:
    turned = json.dumps(archive.read_labels(unpacked)[::-1])
    with_members(unpacked, tmp_path, {archive.LABELS_FILE: turned.encode()})
    with pytest.raises(GoldenError, match="the labels are not those that the golden answers are of"):
        Worker.open(tmp_path, device=CPU)


@pytest.mark.parametrize("text", ["a: [", "- 1", ""])
def test_damaged_settings_are_one_line(text: str, unpacked: Path, tmp_path: Path) -> None:
    with_members(unpacked, tmp_path, {archive.CONFIG_FILE: text.encode()})
    with pytest.raises(SpecError, match=r"the archive's model-config\.yaml is missing or damaged"):
        Worker.open(tmp_path, device=CPU)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"3", b"null", b"{}", b"[[[", b'["a", "a"]'])
@pytest.mark.parametrize("member", [archive.LABELS_FILE, archive.GOLDEN_FILE, archive.MANIFEST_FILE])
def test_a_damaged_member_is_one_line(member: str, content: bytes | None, unpacked: Path, tmp_path: Path) -> None:
    for path in unpacked.iterdir():
        if path.name != "MAR-INF":
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "MAR-INF").mkdir()
    (tmp_path / archive.MANIFEST_FILE).symlink_to(unpacked / archive.MANIFEST_FILE)
    (tmp_path / member).unlink()
    if content is not None:
        (tmp_path / member).write_bytes(content)
    with pytest.raises(VisionserveError) as error:
        Worker.open(tmp_path, device=CPU)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("", "batchSize", 0),
        ("", "batchSize", "8"),
        ("handler", "topK", -1),
        ("handler", "maxPixels", "x"),
        ("handler", "maxImages", None),
        ("handler", "decode", "zzz"),
        ("handler", "response", "x"),
        ("handler", "engine", "x"),
        ("handler", "sha256", 3),
        ("", "handler", []),
    ],
)
def test_impossible_settings_never_become_ready(section: str, key: str, value: object, unpacked: Path) -> None:
    config = archive.read_config(unpacked)
    (config[section] if section else config)[key] = value
    with pytest.raises(SpecError, match=r"^model net: .*(must be|allowed:|no section handler)"):
        Model.from_config(config, quick.LABELS, "net", "1.0")


@pytest.mark.parametrize(
    ("key", "value"), [("std", []), ("std", [0.0, 1.0, 1.0]), ("interpolation", "x"), ("mean", [0.5]), ("crop", 0)]
)
def test_an_impossible_transform_is_refused(key: str, value: object, unpacked: Path) -> None:
    config = archive.read_config(unpacked)
    config["handler"]["input"][key] = value
    with pytest.raises(SpecError, match=r"input\."):
        Model.from_config(config, quick.LABELS, "net", "1.0")


def test_a_model_that_takes_small_pictures_alone_is_proven_on_larger_ones(project: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(quick.build(project, "quick-small", 10_000).archive.path) as mar:
        mar.extractall(tmp_path)
    opened = Worker.open(tmp_path, device=CPU)
    (response,) = opened.answer([Request({"body": PHOTOGRAPH})])
    assert response.status == 413
    opened.close()


@pytest.mark.parametrize(
    ("member", "data", "message"),
    [
        (
            "golden/photograph-2-224x224.png",
            b"garbage",
            "golden picture photograph-2-224x224.png cannot be decoded",
        ),
        (
            "golden/photograph-2-224x224.png.pixels.png",
            b"garbage",
            "is missing or damaged; build the archive again",
        ),
        ("golden/photograph-2-224x224.png.pixels.png", LARGE, "is missing or damaged; build the archive again"),
    ],
    ids=["picture", "pixels", "pixels-too-many"],
)
def test_damaged_golden_pictures_are_named(
    member: str, data: bytes, message: str, unpacked: Path, tmp_path: Path
) -> None:
    shutil.copytree(unpacked, tmp_path, dirs_exist_ok=True)
    (tmp_path / member).write_bytes(data)
    manifest = json.loads((tmp_path / archive.MANIFEST_FILE).read_text())
    manifest["sha256"][member] = hashlib.sha256(data).hexdigest()
    (tmp_path / archive.MANIFEST_FILE).write_text(json.dumps(manifest))
    with pytest.raises(VisionserveError, match=message):
        Worker.open(tmp_path, device=CPU)
