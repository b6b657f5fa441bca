"""What `pip install` brings is all that is needed: no clone, no Java of the machine's, no YAML."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
from tests.conftest import REPOSITORY
from tests.support.quick import decoded

from visionserve.archiver.demo import colours
from visionserve.client import Client
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LABELS = ("ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine")
# What a folder may lack, as the wheel has it.
DEFAULTS = ("handlers/image_classifier.py", "config.properties", "models/demo", "tests/load/locustfile.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, REPOSITORY)
    (built,) = folder.glob("visionserve-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's contents; what it depends on is this environment's."""
    folder = tmp_path_factory.mktemp("site-packages")
    _pip("install", "--no-deps", "--no-index", "--target", folder, wheel)
    return folder


def _pip(*words: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_it_carries_what_a_folder_may_lack(wheel: Path) -> None:
    listed = ["git", "ls-files", "src", *DEFAULTS]
    tracked = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()
    with zipfile.ZipFile(wheel) as archive:
        for name in tracked:
            inside = name.removeprefix("src/") if name.startswith("src/") else f"visionserve/defaults/{name}"
            assert archive.read(inside) == (REPOSITORY / name).read_bytes(), name


class User:
    """Someone in an empty folder, with the wheel installed, no Java and no weights in torch hub's cache."""

    def __init__(self, installed: Path, folder: Path) -> None:
        self.folder = folder
        nothing = folder.parent / "nothing"
        nothing.mkdir(exist_ok=True)
        hidden = ("JAVA_HOME", "VISIONSERVE_ROOT", "PYTHONPATH")
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in hidden},
            "PATH": str(nothing),
            "PYTHONPATH": str(installed),
            "TORCH_HOME": str(nothing),
            "COLUMNS": "200",
        }

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "visionserve", *map(str, words)]

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def said(self, last: str, *words: object) -> str:
        """What `serve` says up to the line that has the last words; it is ended then, whatever its server does."""
        with subprocess.Popen(
            self.command("serve", *words),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            printed = ""
            for line in process.stdout:
                printed += line
                if last in line:
                    break
            process.terminate()
            assert process.wait(60) == 130, printed + process.stdout.read()
        return printed

    @contextmanager
    def serving(self, *words: object, models: int = 1) -> Iterator[str]:
        """The server once that many models are ready; yields all it printed until then."""
        log = self.folder.parent / "serve.log"
        with (
            log.open("w") as errors,
            subprocess.Popen(
                self.command("serve", *words),
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as process,
        ):
            assert process.stdout is not None
            printed = ""
            for line in process.stdout:
                printed += line
                if printed.count("\nready") + printed.startswith("ready") == models:
                    break
            try:
                yield log.read_text() + printed
            finally:
                process.terminate()
                try:
                    assert process.wait(30) == 0, log.read_text()
                finally:
                    process.kill()


@pytest.fixture
def user(installed: Path, tmp_path: Path) -> User:
    folder = tmp_path / "empty"
    folder.mkdir()
    return User(installed, folder)


def fine_tuned(path: Path) -> torchvision.models.ResNet:
    """A ResNet-18 of ten classes whose answers differ, saved as many training scripts do."""
    torch.manual_seed(1)
    net = torchvision.models.resnet18(num_classes=len(LABELS))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    examples = torch.stack([_input(colours.picture(colour, 0)) for colour in colours.HUES])
    with torch.no_grad():
        net.fc.weight.mul_(20)
        net.train()(examples)
        net.eval()
        net.fc.bias.sub_(net(examples).mean(dim=0))
    torch.save({"state_dict": {f"backbone.{name}": value for name, value in net.state_dict().items()}}, path)
    return net


def _input(picture: bytes) -> torch.Tensor:
    transform = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    prepared: torch.Tensor = transform(decoded(picture))
    return prepared


@pytest.mark.slow
def test_a_weights_file_is_served_from_an_empty_folder(user: User) -> None:
    net = fine_tuned(user.folder / "trees.pth")
    (user.folder / "trees.txt").write_text("\n".join(LABELS))
    # Only so that tests of one machine do not meet.
    Properties.read(REPOSITORY / "config.properties").on_free_ports().write(user.folder / "config.properties")
    settings = Properties.read(user.folder / "config.properties")

    with user.serving("trees.pth", "--labels", "trees.txt") as printed:
        for said in ("resnet18 with 10 classes", "prefix 'backbone.' removed", "resize 256", "'ash' is class 0"):
            assert said in printed
        assert f"curl -T image.jpg {settings.inference}/predictions/trees" in printed
        seen = set()
        with Client(settings.inference, settings.management) as client:
            for colour, data in colours.held_out(per_class=1):
                with torch.inference_mode():
                    probabilities = net(_input(data)[None]).softmax(dim=1)[0]
                right, probability = LABELS[int(probabilities.argmax())], float(probabilities.max())
                answer = client.predict("trees", data)
                # bf16 where the processor has it; a near tie may fall either way.
                assert answer[right] == pytest.approx(probability, abs=0.1), colour
                if probability > 0.6:
                    assert next(iter(answer)) == right
                    seen.add(right)
            red = next(iter(client.predict("trees", colours.picture("red", 5))))
        assert len(seen) > 1, "a network that always gives one answer proves nothing"
        (user.folder / "red.jpg").write_bytes(colours.picture("red", 5))
        assert user.run("predict", "red.jpg").returncode == 0
        loaded = user.run("load", "run", "--users", "1", "--duration", "3s", "--warm-up", "0.5s", "--out", "load")
        # 2: so short a run on cores that others use may be found invalid, in a line that says why.
        assert loaded.returncode == (2 if "invalid:" in loaded.stderr else 0), loaded.stderr
        assert (user.folder / "load" / "report.html").is_file()

    built = (user.folder / "model_store" / "trees.mar").stat().st_ino
    assert "model_store/trees.mar: reused" in user.said("reused", "trees.pth", "--labels", "trees.txt")
    assert (user.folder / "model_store" / "trees.mar").stat().st_ino == built

    # What an archive depends on is read from the archive, whatever the files' times are.
    (user.folder / "trees.txt").write_text("\n".join(reversed(LABELS)))
    os.utime(user.folder / "trees.txt", (0, 0))
    printed = user.said("engine", "trees.pth", "--labels", "trees.txt")
    assert "built again: changed since: labels" in printed

    # When there is more to say: a YAML, served beside an archive; what is changed in it is served.
    begun = user.run("init", "trees.pth", "--labels", "trees.txt", "--name", "grove")
    assert begun.returncode == 0, begun.stderr
    with user.serving("grove", "model_store/trees.mar", models=2) as printed:
        assert "predictions/grove" in printed
        assert "predictions/trees" in printed
        with Client(settings.inference, settings.management) as client:
            renamed = next(iter(client.predict("trees", colours.picture("red", 5))))
        assert renamed == LABELS[-1 - LABELS.index(red)]
    yaml = user.folder / "models" / "grove.yaml"
    yaml.write_text(yaml.read_text().replace("topK: 5", "topK: 2"))
    assert "built again: changed since: settings" in user.said("engine", "grove")
    summary = user.run("summary", "resnet18", "--classes", "7", "--input", "3x96x96")
    assert "7 classes, from --classes" in summary.stdout


@pytest.mark.slow
def test_nothing_is_fetched_offline(user: User) -> None:
    done = user.run("serve", "resnet50", "--offline")
    assert done.returncode == 1
    assert "put resnet50-11ad3fa6.pth into weights" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(user.folder.iterdir()) == []
