"""One model as every contender gets it: the same weights, labels and pictures; and our archives of it."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks.errors import NotRun
from visionserve.archiver import builder, contents
from visionserve.archiver.demo import colours
from visionserve.archiver.models import catalog
from visionserve.project import Project
from visionserve.runtime.errors import VisionserveError
from visionserve.runtime.proof import drawing

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.reference import Reference

# What each variant says in the `handler` section of its YAML; the rest is models/demo's.
VARIANTS: dict[str, dict[str, object]] = {
    "fp32": {"precision": "fp32"},
    "auto": {"engine": "auto", "precision": "auto"},
    "int8": {"engine": "auto", "precision": "int8", "calibration": "calibration"},
    # What auto was before it measured ncnn too.
    "openvino": {"engine": "openvino", "precision": "auto"},
}
# Photographs that show none of their classes are close calls to the demo networks, and VGG-16 in int8 decides some
# in a hundred of those otherwise: it is measured all the same, and its agreement stands in the results.
_LENIENT: dict[str, dict[str, object]] = {"demo-vgg16-int8": {"minAgreement": 0.9}}

_PER_CLASS = 20
_PHOTOGRAPHS = 160
# Not the seeds of the demo's training pictures, nor of those that are held out or sent.
_CALIBRATION_SEED = 5_000_000


class Deployment:
    """A demo model, and a project folder in which its variants are built.

    Args:
        repository: The repository's root.
        work: A folder for what is built; archives in it are used again while nothing they carry has changed.
        name: The demo model.
        reference: Where its weights, labels and right answers come from.
    """

    def __init__(self, repository: Path, work: Path, name: str, reference: Reference) -> None:
        self.name = name
        self.source = catalog.find(repository, name)
        self.spec = catalog.read(self.source)
        self.labels = reference.labels
        self.weights = reference.weights
        self.greeting = drawing.pictures()[0].data
        self.root = work / "project"
        self._repository = repository
        self._failed: dict[str, str] = {}
        for entry in ("handlers", "config.properties", "weights"):
            link = self.root / entry
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(repository / entry)

    def variant_name(self, variant: str) -> str:
        """The name under which a variant is served."""
        return f"{self.name}-{variant}"

    def handler_settings(self, variant: str) -> dict[str, object]:
        """What a variant says in the `handler` section beyond models/demo's."""
        return VARIANTS[variant] | _LENIENT.get(self.variant_name(variant), {})

    def archive(self, variant: str) -> Path:
        """The variant's .mar, built if it is not there.

        Raises:
            NotRun: It cannot be built; the message is the build's.
        """
        if variant in self._failed:
            raise NotRun(self._failed[variant])
        try:
            return self._archive(variant)
        except VisionserveError as error:
            self._failed[variant] = str(error)
            raise NotRun(str(error)) from error

    def unpacked(self, variant: str) -> Path:
        """The variant's archive as a folder.

        Raises:
            NotRun: It cannot be built.
        """
        mar = self.archive(variant)
        folder = mar.with_suffix("")
        if not folder.exists():
            with zipfile.ZipFile(mar) as archive:
                archive.extractall(folder)
        return folder

    def _archive(self, variant: str) -> Path:
        source = self._write_yaml(variant)
        spec = catalog.read(source)
        mar = Project(self.root).archive(spec.name)
        key, key_file = self._digest(source), mar.with_suffix(".key")
        if mar.exists() and key_file.exists() and key_file.read_text(encoding="utf-8") == key:
            return mar
        shutil.rmtree(mar.with_suffix(""), ignore_errors=True)
        key_file.unlink(missing_ok=True)
        builder.build(self.root, spec, source)
        key_file.write_text(key, encoding="utf-8")
        return mar

    def _write_yaml(self, variant: str) -> Path:
        document: dict[str, Any] = yaml.safe_load(self.source.read_text(encoding="utf-8"))
        document["handler"].update(self.handler_settings(variant))
        models = Project(self.root).models
        labels = self._repository / str(document["handler"]["labels"])
        target = self.root / str(document["handler"]["labels"])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(labels.read_bytes())
        if "calibration" in VARIANTS[variant]:
            _write_calibration(self.root / str(VARIANTS[variant]["calibration"]))
        source = models / f"{self.variant_name(variant)}.yaml"
        source.write_text(yaml.safe_dump(document), encoding="utf-8")
        return source

    def _digest(self, source: Path) -> str:
        """Of everything that decides what the archive holds: our code, the YAML, the weights."""
        digest = hashlib.sha256()
        folder = Path(builder.__file__).parent
        code = [Project(self._repository).handler, *folder.rglob("*.py"), *contents.runtime_files().values()]
        for path in (*sorted(code), source, Path(__file__)):
            digest.update(path.read_bytes())
        status = self.weights.stat()
        digest.update(f"{self.weights} {status.st_size} {status.st_mtime_ns}".encode())
        return digest.hexdigest()


def _write_calibration(folder: Path) -> None:
    """Pictures like those that are asked about: of every class, and photographs that show none of them."""
    drawn: dict[str, Callable[[], bytes]] = {
        f"{colour}-{seed}.jpg": partial(colours.picture, colour, _CALIBRATION_SEED + seed)
        for colour in colours.HUES
        for seed in range(_PER_CLASS)
    }
    drawn |= {f"photograph-{seed}.jpg": partial(_photograph, seed) for seed in range(_PHOTOGRAPHS)}
    if folder.exists() and {path.name for path in folder.iterdir()} == set(drawn):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, draw in drawn.items():
        (folder / name).write_bytes(draw())


def _photograph(seed: int) -> bytes:
    return drawing.encode(drawing.photograph(_CALIBRATION_SEED + seed, 500, 375), "JPEG")
