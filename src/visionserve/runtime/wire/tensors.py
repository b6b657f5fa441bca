"""The tensors of the Open Inference Protocol: pictures in those that arrive, bytes of those that go back."""

from __future__ import annotations

import base64
import binascii
import struct
from itertools import chain
from math import prod
from reprlib import repr as _shown  # short, whatever the client sent
from typing import TYPE_CHECKING, Any

import numpy as np

from visionserve.runtime.wire.errors import (
    EmptyRequest,
    ImageTooLarge,
    InvalidBase64,
    InvalidTensor,
    TooManyImages,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

DATATYPES = ("UINT8", "FP32", "BYTES")

_PIXELS: Mapping[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
_CHANNELS = 3
_DIMENSIONS = 4
_LENGTH = struct.Struct("<I")


def pictures(
    tensor: Mapping[str, Any], binary: memoryview, max_images: int, max_pixels: int
) -> tuple[bytes | npt.NDArray[np.uint8], ...]:
    """The pictures of a tensor, encoded or as uint8 RGB `[H, W, 3]`.

    Args:
        tensor: One of the request's `inputs`.
        binary: What followed the JSON.
        max_images: The most pictures it may hold.
        max_pixels: The most pixels it may have.

    Raises:
        RequestError: Its shape, datatype or values are none of pictures, or it holds too much.
    """
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
        return _encoded(shape, content, max_images)
    return tuple(_pixels(shape, datatype, content, max_images, max_pixels))


def pack(datatype: str, rows: Sequence[Sequence[Any]]) -> bytes:
    """The bytes of an output tensor, row after row, numbers with the lowest byte first.

    Args:
        datatype: BYTES for texts, INT64 or FP32.
        rows: `[N, K]` values.
    """
    if datatype == "BYTES":
        encoded = [str(label).encode() for label in chain.from_iterable(rows)]
        return b"".join(_LENGTH.pack(len(label)) + label for label in encoded)
    if datatype == "INT64":
        return np.array(rows, "<i8").tobytes()
    return np.array(rows, "<f4").tobytes()


def parameter(holder: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """A value among the `parameters` of a request, a tensor or an output."""
    parameters = holder.get("parameters")
    return parameters.get(name, default) if isinstance(parameters, dict) else default


def _content(tensor: Mapping[str, Any], binary: memoryview) -> memoryview | list[Any]:
    """The tensor's bytes, or its values as one flat list."""
    size = parameter(tensor, "binary_data_size")
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
        with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite and is refused as too large
            values: npt.NDArray[Any] = np.array(content, _PIXELS[datatype])
    except OverflowError:
        raise InvalidTensor("FP32 pixels go from 0 to 1") from None
    return values


def _as_bytes(tensor: npt.NDArray[Any], datatype: str) -> npt.NDArray[np.uint8]:
    if datatype == "UINT8":
        return tensor
    if not (tensor.min() >= 0 and tensor.max() <= 1):  # NaN fails both comparisons, so it is refused too
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
