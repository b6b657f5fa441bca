"""The file formats weights are saved in, each opened without running anything that a file holds."""

from __future__ import annotations

import contextlib
import pickletools
import re
import warnings
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

import safetensors
import safetensors.torch
import torch

from visionserve.archiver.errors import UntrustedPickle
from visionserve.archiver.weights import torchscript
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

Format = Literal["torch.save (zip)", "torch.save (legacy)", "TorchScript", "safetensors", "pickle"]

# The pickled number that opens a legacy file: `MAGIC_NUMBER` in torch/serialization.py.
_LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_PICKLE_PROTOCOL = b"\x80"
_LEGACY_PICKLES = 4  # magic number, protocol, system, and the document
_TORCH_PROTOCOL = 2  # DEFAULT_PROTOCOL in torch/serialization.py
# What every state dict's pickle imports; a refusal names only what is beyond these.
_HARMLESS = (
    "torch._utils._rebuild_",
    "torch.storage.",
    "torch._tensor._rebuild_",
    "torch.serialization._get_layout",
    "collections.OrderedDict",
    "__builtin__.set",
    "builtins.set",
)
_UNRELATED = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: run 'git lfs pull'"),
    (b"\x1f\x8b", "gzip-compressed: run 'gunzip' on it first"),
    (b"\x89HDF\r\n", "an HDF5 file, as Keras writes; visionserve takes PyTorch weights"),
    (b"\x93NUMPY", "a NumPy array; save a state dict with torch.save"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"{", "JSON; weights are saved by torch.save or as safetensors"),
)
_TAR_MAGIC_AT = 257
_SHOWN_CLASSES = 3
# How torch words its refusal; it names the class where a damaged zip file keeps us from reading the pickle.
_REFUSED_GLOBAL = re.compile(r"GLOBAL ([\w.]+) was not an allowed global")


def detect(path: Path) -> Format:
    """The format of a file, by its first bytes.

    Raises:
        WeightsError: The file cannot be read or is in none of the formats; the message says what it is.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise WeightsError(f"{printable(str(path))}: this name is no UTF-8; rename the file") from error
    try:
        if path.is_dir():
            raise WeightsError(f"{path}: is a directory; name the weights file inside it")
        with path.open("rb") as file:
            head = file.read(_TAR_MAGIC_AT + 8)
        if not head:
            raise WeightsError(f"{path}: is empty (0 bytes); copy or download it again")
        if head.startswith(b"PK\x03\x04"):
            return _zip_format(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    if head.startswith(_PICKLE_PROTOCOL):
        return "torch.save (legacy)" if _LEGACY_MAGIC in head[:32] else "pickle"
    if head[8:9] == b"{":
        return "safetensors"
    raise WeightsError(f"{path}: is no checkpoint: {_describe(head)}")


def load(path: Path, kind: Format) -> object:
    """What a file holds, with tensors on the CPU whatever device they were saved on.

    Raises:
        UntrustedPickle: It holds objects other than tensors and containers of them.
        WeightsError: It is damaged.
    """
    try:
        if kind == "safetensors":
            return safetensors.torch.load_file(path)
        if kind == "TorchScript":
            return torchscript.read(path)
        if kind == "pickle":
            raise UntrustedPickle(_refusal(path, _survey(path, kind)[0], "a pickle that torch.save did not write"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickle protocols before it fails on them
            return torch.load(path, map_location="cpu", weights_only=True, mmap=kind == "torch.save (zip)")
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged file can raise almost anything
        if kind.startswith("torch.save"):
            classes, protocol = _survey(path, kind)
            classes = classes or _REFUSED_GLOBAL.findall(str(error))
            if classes:
                raise UntrustedPickle(_refusal(path, classes, "objects other than tensors")) from error
            if protocol != _TORCH_PROTOCOL:
                what = f"tensors in pickle protocol {protocol}, where the safe reader knows {_TORCH_PROTOCOL}"
                raise UntrustedPickle(_refusal(path, [], what)) from error
        raise WeightsError(
            f"{path}: is a damaged {kind} file ({one_line(error)}); copy or download it again"
        ) from error


def one_line(error: object) -> str:
    """What is wrong, in one line without anything that a terminal would act on."""
    text = str(error).strip() or type(error).__name__
    # torch wraps the cause in four lines that advise to load the file without its safeguard.
    _, _, cause = text.rpartition("WeightsUnpickler error: ")
    return printable((cause or text).splitlines()[0])


def printable(text: str, limit: int = 160) -> str:
    """Text from a file, made safe to print: one line, no control characters, no longer than `limit`."""
    clean = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def _zip_format(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            _member(archive, "data.pkl")
            members = {PurePosixPath(name).name for name in archive.namelist()}
    # zipfile raises NotImplementedError for a compression that it does not know.
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise WeightsError(
            f"{path}: is a truncated or damaged zip file ({path.stat().st_size} bytes); copy or download it again"
        ) from error
    return "TorchScript" if "constants.pkl" in members else "torch.save (zip)"


def _member(archive: zipfile.ZipFile, name: str) -> str:
    found = next((member for member in archive.namelist() if PurePosixPath(member).parts[1:] == (name,)), None)
    if found is None:
        raise WeightsError(f"{archive.filename}: is a zip file that torch.save did not write: it has no {name}")
    return found


def _survey(path: Path, kind: Format) -> tuple[list[str], int]:
    """The classes and functions, other than those of tensors, that a pickle asks for, and its protocol.

    The pickle is read opcode by opcode, never run; up to any damage.
    """
    names: list[str] = []
    protocol = _TORCH_PROTOCOL
    try:
        with contextlib.ExitStack() as stack:
            file: IO[bytes] = stack.enter_context(path.open("rb"))
            if kind == "torch.save (zip)":
                archive = stack.enter_context(zipfile.ZipFile(file))
                file = stack.enter_context(archive.open(_member(archive, "data.pkl")))
            for _ in range(_LEGACY_PICKLES if kind == "torch.save (legacy)" else 1):
                strings: list[str] = []
                for opcode, argument, _position in pickletools.genops(file):
                    if opcode.name == "PROTO":
                        protocol = int(argument or 0)
                    elif opcode.name in ("GLOBAL", "INST"):
                        names.append(str(argument).replace(" ", "."))
                    elif opcode.name == "STACK_GLOBAL":
                        names.append(".".join(strings))
                    elif isinstance(argument, str):
                        strings = [*strings[-1:], argument]
    except Exception:  # noqa: S110  damaged: what was found until here is still worth saying
        pass
    return [name for name in dict.fromkeys(names) if not _of_tensors(name)], protocol


def _of_tensors(name: str) -> bool:
    return name.rpartition(".")[0] == "torch" or name.startswith(_HARMLESS)


def _refusal(path: Path, classes: list[str], what: str) -> str:
    shown = ", ".join(printable(name, 80) for name in classes[:_SHOWN_CLASSES])
    more = f" and {len(classes) - _SHOWN_CLASSES} more" if len(classes) > _SHOWN_CLASSES else ""
    wants = f"; it wants {shown}{more}" if classes else ""
    return (
        f"{path}: holds {what}{wants}. Save its state dict instead (torch.save(model.state_dict(), FILE)), or,"
        " if you trust whoever made it, add --trust-pickle: its code runs in a separate process, tensors are kept"
    )


def _describe(head: bytes) -> str:
    start = head.lstrip()[:64].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, most likely an error page saved under this name; download the file again"
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return "it is a tar archive; unpack it with 'tar xf' and name the file inside"
    for magic, meaning in _UNRELATED:
        if head.startswith(magic):
            return f"it is {meaning}"
    return f"it begins with {printable(repr(head[:12]))}; torch.save, TorchScript and safetensors files are read"
