"""Archives: complete, reproducible, and what torch-model-archiver would have made."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
import torch
import yaml

from visionserve.archiver import builder, contents
from visionserve.archiver.demo import colours
from visionserve.archiver.errors import LabelsError
from visionserve.archiver.models import catalog
from visionserve.runtime import archive
from visionserve.runtime.errors import WeightsError
from visionserve.runtime.proof import drawing

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.archiver.builder import Built

MEMBERS = {
    "MAR-INF/MANIFEST.json",
    "demo-resnet18.pth",
    "golden.json",
    "labels.json",
    "model-config.yaml",
    "provenance.json",
    "visionserve/__init__.py",
    "visionserve_image_classifier.py",
    *(archive.picture_file(picture.name) for picture in drawing.pictures()),
    *(archive.pixels_file(picture.name) for picture in drawing.pictures()),
}

# Answers one picture in a process that sees the unpacked archive and the installed libraries only; the context is
# TorchServe's own.
ANSWER = """
import json, pathlib, sys, yaml
import visionserve, visionserve_image_classifier
from ts.context import Context, RequestProcessor
folder = pathlib.Path.cwd()
assert pathlib.Path(visionserve.__file__).is_relative_to(folder), visionserve.__file__
manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())
config = yaml.safe_load((folder / "model-config.yaml").read_text())
context = Context("demo-resnet18", str(folder), manifest, 1, None, "0.12.0", model_yaml_config=config)
context.request_processor = [RequestProcessor({})]
handler = visionserve_image_classifier.ImageClassifier()
handler.initialize(context)
(body,) = handler.handle([{"body": sys.stdin.buffer.read()}], context)
print(body.decode())
"""


def test_two_builds_are_byte_identical(project: Path, demo_archives: dict[str, Built]) -> None:
    first = demo_archives["demo-resnet18"].archive
    source = catalog.find(project, "demo-resnet18")
    again = builder.build(project, catalog.read(source), source).archive
    assert again == first
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a model of two workers, loaded before in this process, would leave it
    try:
        assert builder.build(project, catalog.read(source), source).archive == first
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    assert hashlib.sha256(again.path.read_bytes()).hexdigest() == first.sha256


def test_the_members_are_exactly_these_each_with_its_digest(demo_archives: dict[str, Built]) -> None:
    runtime = {name for name in contents.runtime_files() if name.startswith("visionserve/runtime/")}
    with zipfile.ZipFile(demo_archives["demo-resnet18"].archive.path) as mar:
        assert set(mar.namelist()) == MEMBERS | runtime
        digests = json.loads(mar.read(archive.MANIFEST_FILE))["sha256"]
        assert {name: hashlib.sha256(mar.read(name)).hexdigest() for name in digests} == digests
        assert set(digests) == set(mar.namelist()) - {archive.MANIFEST_FILE}


def test_weights_travel_untouched(demo_archives: dict[str, Built], small_weights: Path) -> None:
    with zipfile.ZipFile(demo_archives["demo-resnet18"].archive.path) as mar:
        assert mar.read("demo-resnet18.pth") == small_weights.read_bytes()


def test_the_carried_configuration_has_the_transform_resolved(demo_archives: dict[str, Built]) -> None:
    with zipfile.ZipFile(demo_archives["demo-resnet18-224"].archive.path) as mar:
        config = yaml.safe_load(mar.read(archive.CONFIG_FILE))
    assert config["handler"]["input"]["resize"] == 256
    assert config["handler"]["input"]["mean"] == [0.485, 0.456, 0.406]
    assert config["maxBatchDelay"] == 1


def test_unpacked_in_an_empty_folder_it_answers_with_nothing_of_the_repository(
    demo_archives: dict[str, Built], tmp_path: Path
) -> None:
    with zipfile.ZipFile(demo_archives["demo-resnet18"].archive.path) as mar:
        mar.extractall(tmp_path)
    answered = subprocess.run(
        [sys.executable, "-c", ANSWER],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        input=colours.picture("green", 5),
        capture_output=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr.decode()
    assert next(iter(json.loads(answered.stdout))) == "green"


def test_missing_weights_are_an_error_that_says_what_to_do(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    source = catalog.find(project, "vgg16")
    with pytest.raises(WeightsError) as error:
        builder.build(project, catalog.read(source), source)
    assert "visionserve weights vgg16" in str(error.value)
    assert "vgg16-397923af.pth" in str(error.value)
    assert not (project / "model_store" / "vgg16.mar").exists()


def test_weights_of_ones_own_need_labels(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "mine.yaml"
    source.write_text("handler: {architecture: resnet18, weights: weights/demo-resnet18.pth}")
    with pytest.raises(LabelsError, match="add 'labels: FILE'"):
        builder.build(project, catalog.read(source), source)


def test_a_failed_build_leaves_the_earlier_archive(
    project: Path, demo_archives: dict[str, Built], tmp_path: Path
) -> None:
    before = demo_archives["demo-resnet18"].archive
    source = tmp_path / "demo-resnet18.yaml"
    source.write_text(
        catalog.find(project, "demo-resnet18")
        .read_text()
        .replace("architecture: resnet18", "architecture: resnet34")
    )
    with pytest.raises(WeightsError, match="not those of resnet34"):
        builder.build(project, catalog.read(source), source)
    assert hashlib.sha256(before.path.read_bytes()).hexdigest() == before.sha256
    assert not list(before.path.parent.glob(".*.mar"))


@pytest.mark.slow
@pytest.mark.usefixtures("proven_bare")
def test_a_network_that_fast_decoding_decides_is_built_and_knows_both_answers(
    project: Path, demo_archives: dict[str, Built], tmp_path: Path
) -> None:
    """Photographs are close calls to one that knows colours, and the two ways of decoding name two of them.

    Both are right answers of its archive, which would be refused else when it is asked in a bare process.
    """
    source = tmp_path / "demo-resnet18-fast.yaml"
    source.write_text(catalog.find(project, "demo-resnet18").read_text() + "  decode: fast\n")
    fast, exact = (
        {picture.name: labels for picture, labels in archive.known_answers(zipfile.Path(built.archive.path))}
        for built in (builder.build(project, catalog.read(source), source), demo_archives["demo-resnet18"])
    )
    assert all(exact[name] <= labels for name, labels in fast.items())
    assert any(exact[name] < labels for name, labels in fast.items())
