"""The Open Inference Protocol, version 2: pictures as tensors in, predictions as tensors out.

https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/inference_rest.md,
with the binary tensor data extension of
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import base64
import binascii
import json
import reprlib
import struct
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from visionserve.runtime.wire.errors import (
    EmptyRequest,
    ImageTooLarge,
    InvalidBase64,
    InvalidRequest,
    InvalidTensor,
    TooManyImages,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

DATATYPES = ("UINT8", "FP32", "BYTES")
OUTPUTS = ("labels", "indices", "probabilities")

_PIXELS: Mapping[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
_CHANNELS = 3
_DIMENSIONS = 4
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Outputs:
    """The tensors a client asked for.

    Attributes:
        names: Some of `OUTPUTS`, in the order they go back.
        binary: Those that go back as bytes after the JSON.
        id: The client's own name for the request.
    """

    names: tuple[str, ...] = OUTPUTS
    binary: frozenset[str] = frozenset()
    id: str | None = None


def read(
    document: Mapping[str, Any], binary: memoryview, max_images: int, max_pixels: int
) -> tuple[tuple[bytes | npt.NDArray[np.uint8], ...], Outputs]:
    """The pictures of a request, encoded or as uint8 RGB `[H, W, 3]`, and the outputs it asks for.

    Args:
        document: The JSON part, with the key `inputs`.
        binary: What followed it.
        max_images: The most pictures it may hold.
        max_pixels: The most pixels its tensors may have together.

    Raises:
        RequestError: The tensor is none we take, or the outputs are none we have.
    """
    outputs = _outputs(document)
    inputs = document["inputs"]
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise InvalidRequest('"inputs" must be a list of one tensor')
    (tensor,) = inputs
    shape, datatype = tensor.get("shape"), tensor.get("datatype")
    if (
        not isinstance(shape, list)
        or len(shape) > _DIMENSIONS
        or not all(type(side) is int and 0 <= side < 1 << 40 for side in shape)
    ):
        raise InvalidTensor(f"the tensor's shape is {_shown(shape)}; send a list of a few whole numbers")
    if datatype not in DATATYPES:
        raise InvalidTensor(f"the tensor's datatype is {_shown(datatype)}; send {', '.join(DATATYPES)}")
    content = _content(tensor, binary)
    if datatype == "BYTES":
        return _encoded(shape, content, max_images), outputs
    return tuple(_pixels(shape, datatype, content, max_images, max_pixels)), outputs


def _outputs(document: Mapping[str, Any]) -> Outputs:
    asked = document.get("outputs") or [{"name": name} for name in OUTPUTS]
    if not isinstance(asked, list) or not all(isinstance(output, dict) for output in asked):
        raise InvalidRequest('"outputs" must be a list of {"name": ...}')
    names = [output.get("name") for output in asked]
    for name in names:
        if name not in OUTPUTS:
            raise InvalidRequest(f"there is no output {_shown(name)}; ask for {', '.join(OUTPUTS)}")
    if len(set(names)) < len(names):
        raise InvalidRequest('"outputs" names one of them twice')
    default = _parameter(document, "binary_data_output")
    binary = [
        name
        for name, output in zip(names, asked, strict=True)
        if _parameter(output, "binary_data", default=default) is True
    ]
    identity = document.get("id")
    if identity is not None and not isinstance(identity, str):
        raise InvalidRequest('"id" must be text')
    return Outputs(tuple(names), frozenset(binary), identity)


def _parameter(holder: Mapping[str, Any], name: str, default: Any = None) -> Any:
    parameters = holder.get("parameters")
    return parameters.get(name, default) if isinstance(parameters, dict) else default


def _content(tensor: Mapping[str, Any], binary: memoryview) -> memoryview | list[Any]:
    """The tensor's bytes, or its values as one flat list."""
    size = _parameter(tensor, "binary_data_size")
    if size is None:
        if len(binary):
            raise InvalidTensor(f"{len(binary)} bytes follow the JSON and no tensor has a binary_data_size")
        return _flat(tensor.get("data"))
    if type(size) is not int or size != len(binary):
        raise InvalidTensor(f"binary_data_size is {_shown(size)} and {len(binary)} bytes follow the JSON")
    return binary


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidTensor('the tensor has no list "data" and no binary_data_size')
    flat: list[Any] = data
    while flat and isinstance(flat[0], list):
        if not all(isinstance(row, list) for row in flat):
            raise InvalidTensor('the tensor\'s "data" mixes values and lists')
        flat = list(chain.from_iterable(flat))
    return flat


def _pixels(
    shape: list[int], datatype: str, content: memoryview | list[Any], max_images: int, max_pixels: int
) -> npt.NDArray[np.uint8]:
    """The tensor as uint8 `[N, H, W, 3]`."""
    if len(shape) != _DIMENSIONS or 0 in shape or _CHANNELS not in (shape[3], shape[1]):
        raise InvalidTensor(f"the tensor's shape is {_shown(shape)}; send [N, H, W, 3] or [N, 3, H, W]")
    count, pixels = shape[0], prod(shape) // _CHANNELS
    if count > max_images:
        raise TooManyImages(f"the tensor holds {count} images; this model takes {max_images} at once")
    if pixels > max_pixels:
        raise ImageTooLarge(f"the tensor has {pixels} pixels; this model takes {max_pixels}")
    dtype = _PIXELS[datatype]
    if isinstance(content, memoryview):
        if len(content) != prod(shape) * dtype.itemsize:
            raise InvalidTensor(
                f"{datatype} of shape {shape} is {prod(shape) * dtype.itemsize} bytes, not {len(content)}"
            )
        values = np.frombuffer(content, dtype)
    else:
        values = _numbers(content, datatype, prod(shape))
    tensor = values.reshape(shape)
    return _as_bytes(tensor if shape[3] == _CHANNELS else tensor.transpose(0, 2, 3, 1), datatype)


def _numbers(content: list[Any], datatype: str, size: int) -> npt.NDArray[Any]:
    if len(content) != size:
        raise InvalidTensor(f'the tensor\'s "data" has {len(content)} values, its shape {size}')
    kinds = set(map(type, content))
    if not kinds <= ({int} if datatype == "UINT8" else {int, float}):
        wanted = "whole numbers" if datatype == "UINT8" else "numbers"
        raise InvalidTensor(f'the tensor\'s "data" must be {wanted} for {datatype}')
    if datatype == "UINT8" and not (min(content) >= 0 and max(content) <= 0xFF):
        raise InvalidTensor("UINT8 values go from 0 to 255")
    try:
        values: npt.NDArray[Any] = np.array(content, _PIXELS[datatype])
    except OverflowError:
        raise InvalidTensor("FP32 pixels go from 0 to 1") from None
    return values


def _as_bytes(tensor: npt.NDArray[Any], datatype: str) -> npt.NDArray[np.uint8]:
    if datatype == "UINT8":
        return tensor
    if not (tensor.min() >= 0 and tensor.max() <= 1):  # written so that NaN is refused
        raise InvalidTensor("FP32 pixels go from 0 to 1, neither 0 to 255 nor normalised: the model does that")
    scaled: npt.NDArray[np.uint8] = np.rint(tensor * 255).astype(np.uint8)
    return scaled


def _encoded(shape: list[int], content: memoryview | list[Any], max_images: int) -> tuple[bytes, ...]:
    count = prod(shape)
    if not shape or count == 0 or count != shape[0]:
        raise InvalidTensor(f"the tensor's shape is {_shown(shape)}; send [N] for N encoded images as BYTES")
    if count > max_images:
        raise TooManyImages(f"the tensor holds {count} images; this model takes {max_images} at once")
    if isinstance(content, list) and len(content) != count:
        raise InvalidTensor(f'the tensor\'s "data" has {len(content)} values, its shape {count}')
    pictures = [_decoded(item) for item in content] if isinstance(content, list) else _elements(content, count)
    if not all(pictures):
        raise EmptyRequest("an element of the tensor is empty")
    return tuple(pictures)


def _elements(content: memoryview, count: int) -> list[bytes]:
    """Elements of BYTES, each after its length in 4 bytes, the lowest first."""
    elements: list[bytes] = []
    start = 0
    for _ in range(count):
        end = start + _LENGTH.size
        length = _LENGTH.unpack_from(content, start)[0] if end <= len(content) else len(content)
        if length > len(content) - end:
            raise InvalidTensor(f"the BYTES tensor ends within element {len(elements)} of {count}")
        elements.append(bytes(content[end : end + length]))
        start = end + length
    if start < len(content):
        raise InvalidTensor(f"{len(content) - start} bytes follow the {count} elements of the BYTES tensor")
    return elements


def _decoded(item: Any) -> bytes:
    if not isinstance(item, str):
        raise InvalidTensor("BYTES in JSON are images in base64, as text")
    try:
        return base64.b64decode(item, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidBase64("an element of the BYTES tensor is not valid base64") from None


def write(
    model: str,
    version: str,
    columns: Mapping[str, Sequence[Sequence[Any]]],
    wanted: Outputs,
    parameters: Mapping[str, Any],
) -> tuple[bytes, int | None]:
    """The response and, when tensors follow its JSON as bytes, the length of the JSON.

    Args:
        model: The model's name.
        version: Its version.
        columns: For every name in `OUTPUTS`, one row per picture.
        wanted: What the client asked for.
        parameters: Anything more to tell; left out when empty.
    """
    tensors, tail = [], b""
    for name in wanted.names:
        rows = columns[name]
        datatype, content = _packed(name, rows)
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [len(rows), len(rows[0])]}
        if name in wanted.binary:
            tensor["parameters"] = {"binary_data_size": len(content)}
            tail += content
        else:
            tensor["data"] = list(chain.from_iterable(rows))
        tensors.append(tensor)
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    if wanted.id is not None:
        document["id"] = wanted.id
    if parameters:
        document["parameters"] = dict(parameters)
    document["outputs"] = tensors
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return text + tail, len(text) if wanted.binary else None


def _packed(name: str, rows: Sequence[Sequence[Any]]) -> tuple[str, bytes]:
    if name == "labels":
        encoded = [str(label).encode() for label in chain.from_iterable(rows)]
        return "BYTES", b"".join(_LENGTH.pack(len(label)) + label for label in encoded)
    if name == "indices":
        return "INT64", np.array(rows, "<i8").tobytes()
    return "FP32", np.array(rows, "<f4").tobytes()


def _shown(value: Any) -> str:
    return reprlib.repr(value)  # short and shallow, whatever the client sent
