"""The Open Inference Protocol, version 2: pictures as tensors in, predictions as tensors out.

https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/inference_rest.md,
with the binary tensor data extension of
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from reprlib import repr as _shown  # short, whatever the client sent
from typing import TYPE_CHECKING, Any

from visionserve.runtime.wire import tensors
from visionserve.runtime.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

OUTPUTS = ("labels", "indices", "probabilities")

PACKED = {"labels": "BYTES", "indices": "INT64", "probabilities": "FP32"}


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
        RequestError: The tensor holds no pictures that are taken, or an output that is asked for does not exist.
    """
    outputs = _outputs(document)
    inputs = document["inputs"]
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise InvalidRequest('"inputs" must be a list of one tensor')
    (tensor,) = inputs
    return tensors.pictures(tensor, binary, max_images, max_pixels), outputs


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
    default = tensors.parameter(document, "binary_data_output")
    binary = [
        name
        for name, output in zip(names, asked, strict=True)
        if tensors.parameter(output, "binary_data", default=default) is True
    ]
    identity = document.get("id")
    if identity is not None and not (isinstance(identity, str) and _can_be_sent_back(identity)):
        raise InvalidRequest('"id" must be text')
    return Outputs(tuple(names), frozenset(binary), identity)


def _can_be_sent_back(text: str) -> bool:
    """Whether it is Unicode: JSON may escape half of a surrogate pair, which no answer can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    outputs, tail = [], b""
    for name in wanted.names:
        rows = columns[name]
        datatype = PACKED[name]
        content = tensors.pack(datatype, rows)
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [len(rows), len(rows[0])]}
        if name in wanted.binary:
            tensor["parameters"] = {"binary_data_size": len(content)}
            tail += content
        else:
            tensor["data"] = list(chain.from_iterable(rows))
        outputs.append(tensor)
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    if wanted.id is not None:
        document["id"] = wanted.id
    if parameters:
        document["parameters"] = dict(parameters)
    document["outputs"] = outputs
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return text + tail, len(text) if wanted.binary else None
