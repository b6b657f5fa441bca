"""What the whole suite shares: a project with demo weights, apart from the one whose tests these are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from visionserve.archiver import builder
from visionserve.archiver.demo import colours
from visionserve.archiver.models import catalog
from visionserve.archiver.models.spec import HandlerSpec, InputChanges

if TYPE_CHECKING:
    from collections.abc import Iterable

    from visionserve.archiver.builder import Built

REPOSITORY = Path(__file__).parents[1]
# The engine that is everywhere and answers as torch does; tests of the others name theirs.
EXACT = {"engine": "eager", "precision": "fp32"}
LARGE_MODELS = ("demo-resnet50", "demo-vgg16")
# One small network under two names: with an input of its own, and with torchvision's transform.
SIDE = 96
SMALL_MODELS = {"demo-resnet18": f"  input: {{resize: {SIDE}, crop: {SIDE}}}\n", "demo-resnet18-224": ""}


def pytest_report_header() -> str:
    import platform

    import torchvision

    return (
        f"torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"{'GPU' if torch.cuda.is_available() else 'no GPU'}, {platform.processor() or platform.machine()}"
    )


@pytest.fixture(scope="session")
def demo_weights() -> Path:
    """The repository's weights folder with ResNet-50 and VGG-16 in it, for the slow tier; made once, they stay."""
    folder = REPOSITORY / "weights"
    for name in LARGE_MODELS:
        spec = catalog.read(catalog.find(REPOSITORY, name))
        target = folder / f"{name}.pth"
        if not target.exists():
            colours.make(spec.handler, target)
    return folder


@pytest.fixture(scope="session")
def small_weights(request: pytest.FixtureRequest) -> Path:
    """ResNet-18 that knows the seven colours in small pictures; made once per version of what makes it."""
    made_by = hashlib.sha256(Path(colours.__file__).read_bytes() + torch.__version__.encode()).hexdigest()
    target = request.config.cache.mkdir("visionserve") / f"demo-resnet18-{SIDE}-{made_by[:16]}.pth"
    if not target.exists():
        spec = HandlerSpec(architecture="resnet18", input=InputChanges(resize=SIDE, crop=SIDE))
        colours.make(spec, target)
    return target


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, small_weights: Path) -> Path:
    """A project's folder like the repository's with folders of its own; its models are exact."""
    root = tmp_path_factory.mktemp("project")
    (root / "handlers").symlink_to(REPOSITORY / "handlers")
    (root / "config.properties").symlink_to(REPOSITORY / "config.properties")
    (root / "weights").mkdir()
    (root / "weights" / "demo-resnet18.pth").symlink_to(small_weights)
    (root / "models" / "demo" / "photographs").mkdir(parents=True)
    exact = "".join(f"  {key}: {value}\n" for key, value in EXACT.items())
    for path in (REPOSITORY / "models").rglob("*.*"):
        text = path.read_text().replace("handler:\n", f"handler:\n{exact}")
        (root / "models" / path.relative_to(REPOSITORY / "models")).write_text(text)
    large = (root / "models" / "demo" / "demo-resnet50.yaml").read_text()
    for name, changes in SMALL_MODELS.items():
        small = large.replace("resnet50", "resnet18") + changes
        (root / "models" / "demo" / f"{name}.yaml").write_text(small)
    return root


@pytest.fixture(scope="session")
def demo_archives(project: Path) -> dict[str, Built]:
    """The archive of each small model, built in the project."""
    return _built(project, SMALL_MODELS)


@pytest.fixture(scope="session")
def large_archives(project: Path, demo_weights: Path) -> dict[str, Built]:
    """The archives of ResNet-50 and VGG-16, for the slow tier."""
    for name in LARGE_MODELS:
        file = project / "weights" / f"{name}.pth"
        if not file.exists():
            file.symlink_to(demo_weights / file.name)
    return _built(project, LARGE_MODELS)


def _built(project: Path, names: Iterable[str]) -> dict[str, Built]:
    built = {}
    for name in names:
        source = catalog.find(project, name)
        built[name] = builder.build(project, catalog.read(source), source)
    return built
