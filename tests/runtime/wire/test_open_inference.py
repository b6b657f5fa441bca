from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.http as triton
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.pictures import corpus

from visionserve.runtime.wire import payload
from visionserve.runtime.wire.errors import InvalidRequest, InvalidTensor, RequestError
from visionserve.runtime.wire.open_inference import OUTPUTS, Outputs
from visionserve.runtime.wire.request import Request

MAX_IMAGES, MAX_PIXELS = 4, 20_000
PIXELS = np.stack([np.asarray(corpus.picture(40, 30, colour)) for colour in ("red", "green")])
FILES = [corpus.encoded(corpus.picture(40, 30, colour), "PNG") for colour in ("red", "green")]


def parse(body: bytes, json_length: int | None = None) -> payload.Payload:
    headers = {} if json_length is None else {payload.JSON_LENGTH: str(json_length)}
    return payload.parse(Request({"body": body}, headers), MAX_IMAGES, MAX_PIXELS)


def from_triton(values: npt.NDArray[Any], datatype: str, binary: bool, **options: Any) -> payload.Payload:
    tensor = triton.InferInput("image", list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return parse(*triton.InferenceServerClient.generate_request_body([tensor], **options))


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("datatype", ["UINT8", "FP32"])
def test_pixels_from_tritons_own_encoder(datatype: str, layout: str, binary: bool) -> None:
    values = PIXELS if datatype == "UINT8" else (PIXELS / 255).astype(np.float32)
    if layout == "NCHW":
        values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    got = from_triton(values, datatype, binary)
    assert [np.array_equal(picture, wanted) for picture, wanted in zip(got.pictures, PIXELS, strict=True)] == [
        True
    ] * 2
    assert got.pictures[0].dtype == np.uint8  # type: ignore[union-attr]


def test_files_from_tritons_own_encoder() -> None:
    got = from_triton(np.array(FILES, dtype=object), "BYTES", binary=True)
    assert got.pictures == tuple(FILES)
    text = np.array([base64.b64encode(file) for file in FILES], dtype=object)
    assert from_triton(text, "BYTES", binary=False).pictures == tuple(FILES)


def test_half_a_surrogate_pair_is_no_id() -> None:
    tensor = {"name": "a", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 3]}
    with pytest.raises(InvalidRequest, match='"id" must be text'):
        parse(json.dumps({"id": "\ud800", "inputs": [tensor]}).encode())


def test_outputs_from_tritons_own_encoder() -> None:
    everything = from_triton(PIXELS, "UINT8", binary=True, request_id="mine").reply
    assert everything == Outputs(OUTPUTS, frozenset(OUTPUTS), "mine")
    asked = [
        triton.InferRequestedOutput("probabilities", binary_data=True),
        triton.InferRequestedOutput("labels", binary_data=False),
    ]
    some = from_triton(PIXELS, "UINT8", binary=True, outputs=asked).reply
    assert some == Outputs(("probabilities", "labels"), frozenset({"probabilities"}))


def document(**changes: Any) -> bytes:
    tensor = {"name": "image", "shape": [1, 2, 2, 3], "datatype": "UINT8", "data": [0] * 12, **changes}
    return json.dumps({"inputs": [{key: value for key, value in tensor.items() if value is not None}]}).encode()


WRONG: dict[str, tuple[bytes, int]] = {
    "no tensor": (b'{"inputs": []}', 400),
    "two tensors": (b'{"inputs": [{}, {}]}', 400),
    "no list": (b'{"inputs": {"a": 1}}', 400),
    "no shape": (document(shape=None), 422),
    "shape no list": (document(shape="[1]"), 422),
    "shape of words": (document(shape=["1"]), 422),
    "shape negative": (document(shape=[1, -2, 2, 3]), 422),
    "shape true": (document(shape=[True, 2, 2, 3]), 422),
    "shape huge": (document(shape=[1, 10**30, 2, 3]), 422),
    "shape long": (document(shape=[1] * 100_000), 422),
    "no channels": (document(shape=[1, 2, 2, 4]), 422),
    "three dimensions": (document(shape=[2, 2, 3]), 422),
    "none": (document(shape=[0, 2, 2, 3], data=[]), 422),
    "no height": (document(shape=[1, 0, 2, 3], data=[]), 422),
    "unknown type": (document(datatype="FP16"), 422),
    "no type": (document(datatype=None), 422),
    "type no text": (document(datatype=["UINT8"]), 422),
    "no data": (document(data=None), 422),
    "data text": (document(data="AAAA"), 422),
    "too few": (document(data=[0] * 11), 422),
    "too many": (document(data=[0] * 13), 422),
    "above 255": (document(data=[256] * 12), 422),
    "below 0": (document(data=[-1] * 12), 422),
    "fractions": (document(data=[0.5] * 12), 422),
    "words": (document(data=["1"] * 12), 422),
    "truths": (document(data=[True] * 12), 422),
    "nothings": (document(data=[None] * 12), 422),
    "mixed": (document(data=[[0] * 11, 0]), 422),
    "normalised": (document(datatype="FP32", data=[-2.1] * 12), 422),
    "up to 255": (document(datatype="FP32", data=[200.0] * 12), 422),
    "endless": (document(datatype="FP32", data=[10**400] * 12), 422),
    "no bytes": (document(datatype="BYTES", shape=[0], data=[]), 422),
    "bytes of two dimensions": (document(datatype="BYTES", shape=[1, 2], data=["", ""]), 422),
    "bytes too few": (document(datatype="BYTES", shape=[2], data=["aaaa"]), 422),
    "bytes no text": (document(datatype="BYTES", shape=[1], data=[5]), 422),
    "bytes no base64": (document(datatype="BYTES", shape=[1], data=["*"]), 400),
    "bytes empty": (document(datatype="BYTES", shape=[1], data=[""]), 400),
    "too many pictures": (document(shape=[5, 1, 1, 3], data=[0] * 15), 413),
    "too many files": (document(datatype="BYTES", shape=[5], data=["aaaa"] * 5), 413),
    "too many pixels": (document(shape=[2, 101, 100, 3], data=[]), 413),
    "binary size without bytes": (document(data=None, parameters={"binary_data_size": 12}), 422),
    "binary size no number": (document(data=None, parameters={"binary_data_size": "0"}), 422),
}


@pytest.mark.parametrize("name", WRONG)
def test_anything_else_is_refused(name: str) -> None:
    body, status = WRONG[name]
    with pytest.raises(RequestError) as refused:
        parse(body)
    assert refused.value.status == status
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "outputs",
    [[{"name": "logits"}], [{}], "labels", [{"name": "labels"}] * 2, [{"name": ["labels"]}], {"name": "labels"}],
)
def test_unknown_outputs_are_refused(outputs: Any) -> None:
    body = json.loads(document())
    with pytest.raises(RequestError) as refused:
        parse(json.dumps({**body, "outputs": outputs}).encode())
    assert refused.value.status == 400


@pytest.mark.parametrize("tail", [b"", b"\4\0\0", b"\5\0\0\0abcd", b"\xff\xff\xff\xffabcd", b"\4\0\0\0abcdmore"])
def test_a_binary_tensor_must_fill_its_bytes_exactly(tail: bytes) -> None:
    head = document(datatype="BYTES", shape=[1], data=None, parameters={"binary_data_size": len(tail)})
    with pytest.raises(RequestError) as refused:
        parse(head + tail, len(head))
    assert refused.value.status == 422


def test_bytes_that_belong_to_no_tensor_are_refused() -> None:
    with pytest.raises(RequestError, match="4 bytes follow"):
        parse(document() + b"more", len(document()))


@pytest.mark.parametrize(
    "value", [1e300, -1e300, 10**300, 10**400], ids=lambda value: f"{str(value)[:3]}, {type(value).__name__}"
)
def test_a_number_beyond_float32_is_refused_without_a_warning(value: float) -> None:
    with pytest.raises(InvalidTensor, match="FP32 pixels go from 0 to 1"):  # warnings are errors in this suite
        parse(document(datatype="FP32", data=[value] + [0.5] * 11))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(
    tensor=st.fixed_dictionaries(
        {},
        optional={
            "shape": st.lists(st.integers(-1, 5), max_size=5) | JSON_VALUES,
            "datatype": st.sampled_from(["UINT8", "FP32", "BYTES"]) | JSON_VALUES,
            "data": st.lists(st.integers(-1, 300), max_size=60) | JSON_VALUES,
            "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 20)}) | JSON_VALUES,
        },
    ),
    outputs=JSON_VALUES,
    tail=st.binary(max_size=20),
)
def test_any_document_is_parsed_or_refused(tensor: Any, outputs: Any, tail: bytes) -> None:
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    try:
        got = parse(head + tail, len(head))
    except RequestError as error:
        assert error.status in (400, 413, 422)
    else:
        assert 1 <= len(got.pictures) <= MAX_IMAGES
