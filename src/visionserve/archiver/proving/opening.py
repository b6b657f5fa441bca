"""The program of the bare process: open an unpacked archive as TorchServe does, and ask it its golden pictures.

    python opening.py FOLDER REPORT GPU [PROJECT ...]

REPORT becomes a JSON document: `why` (the engine, and why it was taken) or `kind` and `message` of the error. GPU
is the index of the device that TorchServe would assign, or empty. What is at or below a PROJECT folder, installed
packages aside, cannot be imported. This file imports nothing of visionserve but what the archive carries.
"""

from __future__ import annotations

import importlib
import json
import sys
import sysconfig
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_INSTALLED = {"site-packages", "dist-packages"}
# Python's own modules, which may lie below a project too: in an environment of its own, or in a home folder.
_STANDARD = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")]


def main(folder: Path, report: Path, gpu: str, projects: Sequence[Path]) -> None:
    """Open the archive and write the report."""
    _hide(projects)
    sys.path.insert(0, str(folder))
    try:
        document = {"why": _opened(folder, int(gpu) if gpu else None)}
        _require_own(folder, projects)
    except Exception as error:  # a network's own code may raise anything; the handler tells the cause in a line
        cause = error.__cause__ or error
        message = " ".join(str(error).split()) or type(error).__name__
        document = {"kind": type(cause).__name__, "message": message}
    report.write_text(json.dumps(document), encoding="utf-8")


def _hide(projects: Sequence[Path]) -> None:
    """Take the projects off the path, and the finders that editable installs put before it."""
    sys.path[:] = [entry for entry in sys.path if not _is_of(Path(entry), projects)]
    for finder in list(sys.meta_path):
        # setuptools' finder keeps the packages' folders in its module's MAPPING.
        mapping = getattr(sys.modules.get(getattr(finder, "__module__", "")), "MAPPING", None)
        if isinstance(mapping, dict) and any(_is_of(Path(path), projects) for path in mapping.values()):
            sys.meta_path.remove(finder)


def _is_of(path: Path, projects: Sequence[Path]) -> bool:
    """Whether a path is a project's own: at or below its folder, and not installed there."""
    found = path.resolve()
    installed = _INSTALLED & set(found.parts) or any(found.is_relative_to(folder) for folder in _STANDARD)
    return not installed and any(found.is_relative_to(project) for project in projects)


def _opened(folder: Path, gpu: int | None) -> str:
    import yaml  # installed with TorchServe, and no part of the standard library

    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8"))["model"]
    handler = importlib.import_module(Path(manifest["handler"]).stem).ImageClassifier()
    context = SimpleNamespace(
        model_name=manifest["modelName"],
        model_yaml_config=yaml.safe_load((folder / manifest["configFile"]).read_text(encoding="utf-8")),
        system_properties={"model_dir": str(folder), "gpu_id": gpu},
    )
    handler.initialize(context)
    try:
        _ask(handler, folder)
    finally:
        handler.worker.close()
    return str(handler.worker.why)


def _ask(handler: Any, folder: Path) -> None:
    """Have the golden pictures answered as a client has: decoded, computed, and named by a label.

    That the logits are right is proven already, within the precision's bounds, which leave a narrow margin open;
    the surest picture's label is what `serve` will ask for.
    """
    archive = importlib.import_module("visionserve.runtime.archive")
    request = importlib.import_module("visionserve.runtime.wire.request").Request
    labels = archive.read_labels(folder)
    expected: Collection[str]
    for index, (picture, surest) in enumerate(archive.known_answers(folder)):
        (response,) = handler.inference([request({"body": picture.data}, {"X-Response": "labels"})])
        best = next(iter(json.loads(response.body)), None)
        expected = labels if index else surest
        if response.status != HTTPStatus.OK or best not in expected:
            raise RuntimeError(f"golden picture {picture.name} is answered with {response.status} and {best!r}")


def _require_own(folder: Path, projects: Sequence[Path]) -> None:
    """Refuse a module that came from a project after all."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or Path(file).is_relative_to(folder):  # built into Python, or of the archive
            continue
        strange = _is_of(Path(file), projects) and Path(file).resolve() != Path(__file__).resolve()
        if strange or name.split(".")[0] == "visionserve":
            raise ModuleNotFoundError(f"module '{name}' is not in the archive: it was found in {file}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], [Path(path) for path in sys.argv[4:]])
