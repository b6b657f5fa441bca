"""Speeds that were measured on this processor, kept from one start to the next.

They are no part of an archive, which is the same bytes wherever it is built: another machine measures other ones.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import math
import os
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import visionserve
from visionserve.runtime.engines.loading import Way
from visionserve.runtime.engines.speed import Speed
from visionserve.runtime.machine import processor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from visionserve.runtime.engines import Source

logger = logging.getLogger(__name__)

_LIBRARIES = ("openvino", "ncnn")
_LARGEST = 100_000  # bytes


class Remembered:
    """The speeds of one network's engines on this machine.

    Args:
        source: What runs, and on how many threads.
        ways: Those that may be compared.
    """

    def __init__(self, source: Source, ways: Sequence[Way]) -> None:
        model = source.model
        self._ways = tuple(ways)
        self._of: Mapping[str, Any] = {
            "weights": model.sha256,
            "architecture": [model.architecture, dict(model.options)],
            "input": asdict(model.transform),
            "batch": model.batch_size,
            "threads": source.threads,
            "ways": self._ways,
            "processor": processor.identity(),
            "versions": {
                "visionserve": visionserve.__version__,
                "torch": torch.__version__,
                **{name: _version(name) for name in _LIBRARIES},
            },
        }
        key = hashlib.sha256(json.dumps(self._of, sort_keys=True, default=str).encode()).hexdigest()
        self._file = _file(f"{model.name}-{key[:16]}.json")

    def read(self) -> dict[Way, Speed]:
        """The two ways that were compared, with their speeds; nothing where nothing is remembered, or nonsense."""
        if self._file is None:
            return {}
        try:
            with self._file.open("rb") as file:
                found = json.loads(file.read(_LARGEST))["pictures a second"]
            (usual, rival) = [(Way(*way), Speed(*map(float, rates))) for way, rates in found]
        except (OSError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
            return {}
        rates = (usual[1].alone, usual[1].batch, rival[1].alone, rival[1].batch)
        if not all(math.isfinite(rate) and rate > 0 for rate in rates) or usual[0] == rival[0]:
            return {}
        return dict([usual, rival]) if {usual[0], rival[0]} <= set(self._ways) else {}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Only one process measures at a time; others wait, and then find what it has found."""
        with ExitStack() as stack:
            if self._file is not None:
                with suppress(OSError):  # a full disk, or one that knows no locks: all of them measure
                    lock = stack.enter_context(self._file.with_suffix(".lock").open("wb"))
                    fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def keep(self, speeds: Mapping[Way, Speed]) -> None:
        """Remember speeds; a full disk costs no more than that the next start measures again."""
        if self._file is None:
            return
        rates = [[way, [speed.alone, speed.batch]] for way, speed in speeds.items()]
        document = {"pictures a second": rates, "of": self._of}
        try:
            with tempfile.NamedTemporaryFile("w", dir=self._file.parent, delete=False) as file:
                file.write(json.dumps(document, indent=1, default=str))
            Path(file.name).replace(self._file)
        except OSError as error:
            logger.info("which engine is fastest is not remembered: %s", error)


def _file(name: str) -> Path | None:
    """Where it is remembered, if this user can write anywhere."""
    with suppress(OSError, RuntimeError):  # no home, or one that cannot be written to
        folder = _cache() / "engines"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder / name
    return None


def _cache() -> Path:
    """Visionserve's folder for what it may lose (https://specifications.freedesktop.org/basedir-spec/latest/)."""
    if own := os.environ.get("VISIONSERVE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "visionserve"


def _version(library: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(library)
    return None
