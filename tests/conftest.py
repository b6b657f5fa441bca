"""What the whole suite shares: a project with demo weights, apart from the one whose tests these are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from filelock import FileLock
from tests.support import browser as browsers
from tests.support.proving import in_this_process

from visionserve.archiver import builder
from visionserve.archiver.demo import colours
from visionserve.archiver.models import catalog
from visionserve.archiver.models.spec import HandlerSpec, InputChanges
from visionserve.archiver.proving import bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from playwright.sync_api import Browser

    from visionserve.archiver.builder import Built

PROVE = bare.prove
REPOSITORY = Path(__file__).parents[1]
# The engine that is everywhere and answers as torch does; tests of the others name theirs.
EXACT = {"engine": "eager", "precision": "fp32"}
LARGE_MODELS = ("demo-resnet50", "demo-vgg16")
# VGG-16 learns the colours in pictures of this side in seconds, and answers larger ones all the same.
VGG_SIDE = 64
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


@pytest.fixture(scope="session", autouse=True)
def _proven_here() -> Iterator[None]:
    """Builds are proven in this process; those by a command, and those of `proven_bare`, as users' are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bare, "prove", in_this_process)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is remembered of this machine's engines is this run's own, in its servers and commands too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISIONSERVE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def proven_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds of this test are proven in a bare process, as users' are."""
    monkeypatch.setattr(bare, "prove", PROVE)


@pytest.fixture(scope="session")
def resnet50_weights() -> Path:
    """The demo's ResNet-50 in the repository's weights folder, for the slow tier; made once, it stays."""
    return _made(
        REPOSITORY / "weights" / "demo-resnet50.pth",
        catalog.read(catalog.find(REPOSITORY, "demo-resnet50")).handler,
    )


@pytest.fixture(scope="session")
def large_weights(resnet50_weights: Path, pytestconfig: pytest.Config) -> dict[str, Path]:
    """ResNet-50 and VGG-16 that know the seven colours, by model, for the slow tier."""
    return {"demo-resnet50": resnet50_weights, "demo-vgg16": _coloured("vgg16", VGG_SIDE, pytestconfig)}


@pytest.fixture(scope="session")
def small_weights(pytestconfig: pytest.Config) -> Path:
    """ResNet-18 that knows the seven colours in small pictures."""
    return _coloured("resnet18", SIDE, pytestconfig)


def _coloured(architecture: str, side: int, config: pytest.Config) -> Path:
    """A network that knows the seven colours in pictures of that side; made once per version of what makes it."""
    made_by = hashlib.sha256(Path(colours.__file__).read_bytes() + torch.__version__.encode()).hexdigest()
    target = config.cache.mkdir("visionserve") / f"demo-{architecture}-{side}-{made_by[:16]}.pth"
    return _made(target, HandlerSpec(architecture=architecture, input=InputChanges(resize=side, crop=side)))


def _made(target: Path, handler: HandlerSpec) -> Path:
    """A network that knows the colours, made by one of the processes that run tests and used by all."""
    with FileLock(target.with_suffix(".lock")):
        if not target.exists():
            colours.make(handler, target)
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
def large_archives(project: Path, large_weights: dict[str, Path]) -> dict[str, Built]:
    """The archives of ResNet-50 and VGG-16, for the slow tier."""
    for name, made in large_weights.items():
        file = project / "weights" / f"{name}.pth"
        if not file.exists():
            file.symlink_to(made)
    return _built(project, LARGE_MODELS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """What shows reports."""
    from playwright.sync_api import sync_playwright

    program = browsers.find()
    if program is None:
        pytest.skip(browsers.HOW)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=browsers.ARGUMENTS)
        yield launched
        launched.close()


def _built(project: Path, names: Iterable[str]) -> dict[str, Built]:
    built = {}
    for name in names:
        source = catalog.find(project, name)
        built[name] = builder.build(project, catalog.read(source), source)
    return built
