"""What the whole suite shares: a project with demo weights, apart from the one whose tests these are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from visionserve.archiver import builder, catalog, demo

if TYPE_CHECKING:
    from visionserve.archiver.builder import Built

REPOSITORY = Path(__file__).parents[1]
# The engine that is everywhere and answers as torch does; tests of the others name theirs.
EXACT = {"engine": "eager", "precision": "fp32"}
DEMO_MODELS = ("demo-resnet50", "demo-vgg16")


def pytest_report_header() -> str:
    import platform

    import torch
    import torchvision

    return (
        f"torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"{'GPU' if torch.cuda.is_available() else 'no GPU'}, {platform.processor() or platform.machine()}"
    )


@pytest.fixture(scope="session")
def demo_weights() -> Path:
    """The repository's weights folder with the demo weights in it; made once, they stay for the next run."""
    folder = REPOSITORY / "weights"
    for name in DEMO_MODELS:
        spec = catalog.read(catalog.find(REPOSITORY, name))
        target = folder / f"{name}.pth"
        if not target.exists():
            demo.make(spec.handler, target)
    return folder


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, demo_weights: Path) -> Path:
    """A project's folder like the repository's with folders of its own; its models are exact."""
    root = tmp_path_factory.mktemp("project")
    (root / "handlers").symlink_to(REPOSITORY / "handlers")
    (root / "config.properties").symlink_to(REPOSITORY / "config.properties")
    (root / "weights").mkdir()
    for name in DEMO_MODELS:
        (root / "weights" / f"{name}.pth").symlink_to(demo_weights / f"{name}.pth")
    (root / "models" / "demo" / "photographs").mkdir(parents=True)
    exact = "".join(f"  {key}: {value}\n" for key, value in EXACT.items())
    for path in (REPOSITORY / "models").rglob("*.*"):
        text = path.read_text().replace("handler:\n", f"handler:\n{exact}")
        (root / "models" / path.relative_to(REPOSITORY / "models")).write_text(text)
    return root


@pytest.fixture(scope="session")
def demo_archives(project: Path) -> dict[str, Built]:
    """The archive of each demo model, built in the project."""
    built = {}
    for name in DEMO_MODELS:
        source = catalog.find(project, name)
        built[name] = builder.build(project, catalog.read(source), source)
    return built
