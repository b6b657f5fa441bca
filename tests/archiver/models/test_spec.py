from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from visionserve.archiver.models.spec import ModelSpec
from visionserve.runtime.errors import SpecError

INPUT = {"resize": 232, "crop": 224, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}


def read(text: str) -> ModelSpec:
    return ModelSpec.from_mapping("net", yaml.safe_load(text), "models/net.yaml")


def test_defaults_are_written_out_so_that_an_archive_behaves_the_same_elsewhere() -> None:
    written = read("handler: {architecture: resnet50}").to_mapping()
    assert written["minWorkers"] == written["maxWorkers"] == 1
    assert written["responseTimeout"] == 120
    assert written["startupTimeout"] == 300
    assert written["maxBatchDelay"] > 0
    assert written["handler"]["topK"] == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "batchsize: 8\nhandler: {architecture: a}",
            "unknown key 'batchsize' (did you mean 'batchSize'?); allowed:",
        ),
        ("handler: {architecture: a, topk: 3}", "unknown key 'handler.topk' (did you mean 'topK'?)"),
        ("batchSize: '8'\nhandler: {architecture: a}", "batchSize is '8': it must be a whole number"),
        ("batchSize: true\nhandler: {architecture: a}", "batchSize is True: it must be a whole number"),
        ("maxBatchDelay: 0\nhandler: {architecture: a}", "TorchServe takes 0 to mean 100 ms"),
        (
            "handler: {architecture: a, input: {crop: -1}}",
            "input.crop is -1: it must be a positive number of pixels",
        ),
        (
            "handler: {architecture: a, input: {std: [0, 1, 1]}}",
            "input.std is [0.0, 1.0, 1.0]: every value must be",
        ),
        (
            "handler: {architecture: a, options: [1]}",
            "handler.options is [1]: it must be a mapping of names to values",
        ),
        ("minWorkers: 3\nhandler: {architecture: a}", "maxWorkers is 1, below minWorkers 3"),
        ("minWorkers: 1", "key 'handler' is missing"),
        ("handler: resnet50", "handler is 'resnet50': it must be a mapping"),
        ("handler: {}", "key 'handler.architecture' is missing"),
        ("handler: {architecture: a, engine: warp}", "handler.engine is 'warp'; allowed: "),
        (
            "handler: {architecture: a, engine: ncnn, precision: bf16}",
            "handler.engine is ncnn, which runs fp32 alone",
        ),
        (
            "handler: {architecture: a, engine: ncnn, precision: int8}",
            "handler.engine is ncnn, which does not run",
        ),
        ("handler: {architecture: a, topK: 0}", "handler.topK is 0"),
        ("handler: {architecture: a, sha256: XYZ}", "64 hexadecimal digits"),
        (
            "handler: {architecture: a, input: {resize: 1, crop: 1, mean: [0, 0], std: [1, 1, 1]}}",
            "list of 3 values",
        ),
        ("handler: {architecture: a, input: {resize: 1, crop: 1, mean: [0, 0, 0], std: [1, 0, 1]}}", "above 0"),
        ("deviceType: tpu\nhandler: {architecture: a}", "deviceType is 'tpu'; allowed: cpu, gpu"),
    ],
)
def test_a_mistake_names_the_file_the_key_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        read(text)
    assert str(error.value).startswith("models/net.yaml: ")
    assert message in str(error.value)


def test_a_part_of_the_transform_is_changed_and_only_a_whole_one_is_served() -> None:
    changes = read("handler: {architecture: a, input: {crop: 288}}").handler.input
    assert changes is not None
    assert changes.given() == {"crop": 288}
    with pytest.raises(SpecError, match=r"handler\.input has no resize, mean, std"):
        changes.complete()
    whole = ModelSpec.from_mapping(
        "net", {"handler": {"architecture": "a", "input": INPUT}}, "net.yaml"
    ).handler.input
    assert whole is not None
    assert whole.complete().resize == 232


@pytest.mark.parametrize("name", ["models", "workflows", "", "-x", "a b", "a/b"])
def test_names_torchserve_cannot_serve_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="model name"):
        ModelSpec.from_mapping(name, {"handler": {"architecture": "a"}}, "x")


@given(
    st.fixed_dictionaries(
        {"handler": st.fixed_dictionaries({"architecture": st.text()}, optional={"input": st.just(INPUT)})},
        optional={
            "batchSize": st.integers(1, 512),
            "maxBatchDelay": st.integers(1, 9),
            "deviceIds": st.just([0, 1]),
        },
    )
)
def test_what_is_written_reads_back_as_the_same_model(document: dict[str, Any]) -> None:
    spec = ModelSpec.from_mapping("net", document, "x")
    assert ModelSpec.from_mapping("net", yaml.safe_load(yaml.safe_dump(spec.to_mapping())), "x") == spec
