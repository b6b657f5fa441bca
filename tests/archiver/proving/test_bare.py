"""A finished archive is opened where nothing of the project can be imported, before it gets its name."""

from __future__ import annotations

import json
import os
import sys
import types
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.archiver.test_forms import model
from tests.conftest import PROVE
from tests.support import quick
from torch import nn

from visionserve.archiver import builder, revision
from visionserve.archiver.errors import UnprovenError
from visionserve.archiver.proving import opening
from visionserve.runtime.archive import PROVENANCE_FILE
from visionserve.runtime.errors import EngineError, GoldenError

if TYPE_CHECKING:
    from visionserve.archiver.models.spec import ModelSpec

CPU = torch.device("cpu")
NET = """
{imports}
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.head = nn.Linear(3, num_classes)

    def forward(self, pictures):
        return self.head(pictures.mean(dim=(2, 3))) * {scale}
"""


@pytest.fixture(scope="module")
def own_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with weights for a network of one's own, and modules for it to import."""
    root = quick.project(tmp_path_factory.mktemp("own"))
    torch.manual_seed(0)
    state_dict = {f"head.{name}": value for name, value in nn.Linear(3, 7).state_dict().items()}
    torch.save(state_dict, root / "weights" / "net.pth")
    (root / "sizes.py").write_text("SCALE = 2.0\n")
    deep = root / "layers" / "deep"
    deep.mkdir(parents=True)
    for folder in (deep.parent, deep):
        (folder / "__init__.py").write_text("")
    (deep / "scales.py").write_text("from sizes import SCALE\n")
    (deep.parent / "relative.py").write_text("from .deep.scales import SCALE\n")
    return root


def spec(root: Path, name: str, imports: str, scale: str) -> tuple[ModelSpec, Path]:
    """A model whose architecture's module is called as it is."""
    (root / f"{name}.py").write_text(NET.format(imports=imports, scale=scale))
    given: dict[str, Any] = {"resize": 32, "crop": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    return model(root, name, architecture=f"{name}:Net", weights="net.pth", input=given)


@pytest.mark.parametrize(
    ("name", "imports", "scale"),
    [
        ("of_a_constant", "from sizes import SCALE", "SCALE"),
        ("of_a_module_in_a_package", "from layers.deep import scales", "scales.SCALE"),
        ("of_a_relative_constant", "import layers.relative", "layers.relative.SCALE"),
    ],
)
def test_what_import_statements_name_travels(
    name: str, imports: str, scale: str, own_project: Path, proven_bare: None
) -> None:
    built = builder.build(own_project, *spec(own_project, name, imports, scale))
    assert built.engine.startswith("eager in fp32")


def test_what_the_archive_lacks_is_told_and_nothing_is_written(own_project: Path, proven_bare: None) -> None:
    (own_project / "hidden.py").write_text("SCALE = 2.0\n")
    described = spec(own_project, "hiding", "import importlib", "importlib.import_module('hidden').SCALE")
    with pytest.raises(EngineError, match="No module named 'hidden'; an archive carries those modules"):
        builder.build(own_project, *described)
    assert not list((own_project / "model_store").glob("*hiding*"))


def test_a_process_that_dies_is_told_with_its_signal(own_project: Path, proven_bare: None) -> None:
    dying = f"(os.kill(os.getpid(), 11) if os.getpid() != {os.getpid()} else 1.0)"
    with pytest.raises(UnprovenError, match=r"its process was ended by SIGSEGV"):
        builder.build(own_project, *spec(own_project, "dying", "import os", dying))


def test_other_answers_there_are_the_error_that_a_worker_would_raise(own_project: Path, proven_bare: None) -> None:
    straying = f"(1.0 if os.getpid() == {os.getpid()} else -1.0)"
    with pytest.raises(GoldenError, match=r"golden picture .* its logits are"):
        builder.build(own_project, *spec(own_project, "straying", "import os", straying))


def test_an_archive_without_a_file_of_the_runtime_does_not_open(own_project: Path, tmp_path: Path) -> None:
    whole = builder.build(own_project, *spec(own_project, "whole", "", "1.0")).archive.path
    lacking = tmp_path / "lacking.mar"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(lacking, "w") as target:
        for name in source.namelist():
            if name != "visionserve/runtime/predictions.py":
                target.writestr(name, source.read(name))
    with pytest.raises(UnprovenError, match=r"cannot import name 'predictions' from 'visionserve\.runtime'"):
        PROVE(lacking, own_project, CPU)


def test_the_provenance_tells_source_commit_command_and_versions(
    own_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/srv/visionserve/__main__.py", "archive", "told"])
    path = builder.build(own_project, *spec(own_project, "told", "", "1.0")).archive.path
    with zipfile.ZipFile(path) as mar:
        told = json.loads(mar.read(PROVENANCE_FILE))
    assert told["weights"]["file"] == "net.pth"
    assert len(told["weights"]["sha256"]) == 64
    assert told["weights"]["format"]
    assert told["device"] == "cpu"
    assert told["tf32"] is False
    assert told["versions"]["torch"] == metadata.version("torch")
    assert {"python", "visionserve", "torchvision", "pillow", "numpy"} <= set(told["versions"])
    assert told["command"] == "visionserve archive told"
    assert "commit" not in told  # the folder is in no repository
    monkeypatch.setattr(revision, "of", {own_project: "c0ffee-dirty"}.get)
    path = builder.build(own_project, *spec(own_project, "told", "", "1.0")).archive.path
    with zipfile.ZipFile(path) as mar:
        assert json.loads(mar.read(PROVENANCE_FILE))["commit"] == "c0ffee-dirty"


def test_pythons_own_modules_below_a_project_are_no_part_of_it(tmp_path: Path) -> None:
    standard, home = Path(os.__file__).parent, Path(os.__file__).parents[2]
    assert not opening._is_of(standard, [home])
    assert not opening._is_of(standard / "lib-dynload", [home])
    assert not opening._is_of(tmp_path / "env" / "site-packages", [tmp_path])
    assert opening._is_of(tmp_path / "src", [tmp_path])


def test_the_finder_of_an_editable_install_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As setuptools makes them: the module that a finder is in knows where the packages are.
    editable, other = types.ModuleType("__editable___own_finder"), types.ModuleType("__editable___other_finder")
    editable.MAPPING = {"own": str(tmp_path / "src" / "own")}  # type: ignore[attr-defined]
    other.MAPPING = {"other": "/elsewhere/other"}  # type: ignore[attr-defined]
    finders: list[Any] = []
    for module in (editable, other):
        monkeypatch.setitem(sys.modules, module.__name__, module)
        finders.append(type("Finder", (), {"__module__": module.__name__}))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, *finders])
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "src")])
    opening._hide([tmp_path])
    assert finders[0] not in sys.meta_path
    assert finders[1] in sys.meta_path
    assert str(tmp_path / "src") not in sys.path


def test_a_module_that_came_from_a_project_after_all_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("stray")
    module.__file__ = str(tmp_path / "stray.py")
    monkeypatch.setitem(sys.modules, "stray", module)
    for name in [name for name in sys.modules if name.split(".")[0] == "visionserve"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match="module 'stray' is not in the archive"):
        opening._require_own(tmp_path / "unpacked", [tmp_path])
    module.__file__ = str(tmp_path / "unpacked" / "stray.py")  # such as where TMPDIR is below the project
    opening._require_own(tmp_path / "unpacked", [tmp_path])
