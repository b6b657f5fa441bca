"""The tensors of a TorchScript file, read without the TorchScript interpreter.

`torch.jit.load` compiles the code in the file and runs its `__setstate__` methods, which can touch the disk.
The tensors need none of that: the file is a zip of one pickle of plain objects and one member per storage, so
every class of the pickle becomes an inert record here.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch

from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1 << 20
_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class _Record:
    """An object of the file: its attributes, and nothing it could do."""

    attributes: dict[str, Any]

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}


# The unpickler in Python: in the one in C, a damaged memo index allocates any amount of memory.
class _Unpickler(pickle._Unpickler):
    def __init__(self, data: bytes, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(data))
        self._archive = archive
        self._root = root
        self._storages: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return type(name, (_Record,), {})
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._rebuild_tensor
        if module == "torch.jit._pickle" and name.startswith("build_"):
            return self._build_list
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"TorchScript object {module}.{name} holds no plain tensors")

    def persistent_load(self, pid: Any) -> torch.Tensor:
        _, kind, key, _, _ = pid
        if key not in self._storages:
            self._storages[key] = _read_storage(self._archive, f"{self._root}/data/{key}", _DTYPES[kind])
        return self._storages[key]

    def _rebuild_tensor(
        self, storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
    ) -> torch.Tensor:
        return storage.as_strided(size, stride, offset)

    def _build_list(self, items: Any, *_: Any) -> Any:
        return items


def read(path: Path) -> dict[str, torch.Tensor]:
    """The parameters and buffers of a scripted or traced module, by the names they had in it.

    Raises:
        WeightsError: The module has no parameters of its own: freezing made them constants of its code.
        Exception: The file is damaged; of whatever kind the damage provokes.
    """
    with zipfile.ZipFile(path) as archive:
        pickled = next(name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1)
        root = pickled.removesuffix("/data.pkl")
        module = _Unpickler(archive.read(pickled), archive, root).load()
        tensors = dict(_walk(module, "", set()))
    if not tensors:
        raise WeightsError(
            f"{path}: is a TorchScript module that is frozen or packs its own state: its parameters have no names;"
            " use the file it was made from"
        )
    return tensors


def _read_storage(archive: zipfile.ZipFile, member: str, dtype: torch.dtype) -> torch.Tensor:
    size = archive.getinfo(member).file_size
    stored = archive.start_dir  # torch stores members uncompressed, so none is longer than the file
    if size > stored:
        raise zipfile.BadZipFile(f"{member} claims {size} bytes in a file of {stored}")
    buffer = bytearray(size)
    view = memoryview(buffer)
    with archive.open(member) as file:
        start = 0
        while chunk := file.read(_CHUNK):
            view[start : start + len(chunk)] = chunk
            start += len(chunk)
    return torch.frombuffer(buffer, dtype=dtype) if size else torch.empty(0, dtype=dtype)


def _walk(value: Any, name: str, above: set[int]) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, _Record) and id(value) not in above:
        for key, child in vars(value).get("attributes", {}).items():
            yield from _walk(child, f"{name}.{key}" if name else str(key), above | {id(value)})
