"""One real TorchServe for the whole run."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
import yaml
from tests.archiver.conftest import FORMS
from tests.conftest import EXACT, SIDE
from tests.support import quick

from visionserve.archiver import builder
from visionserve.archiver.models import catalog
from visionserve.client import Client
from visionserve.server.instance import health
from visionserve.server.instance.launcher import TorchServe
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from visionserve.archiver.builder import Built

# The small network again, waiting long enough for a batch to fill: requests sent together are answered together.
BATCHING_MODEL = "demo-batching"
# What the server's own environment holds and its workers must not: whatever it is called.
SECRETS = {
    **dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "HF_TOKEN", "PGPASSWORD"), "looks like one"),
    **dict.fromkeys(("APP_SECRET_KEY", "VISIONSERVE_KEY_PASSPHRASE", "MAPS_APIKEY"), "looks like one"),
    **dict.fromkeys(("OPENAI_API_KEY", "VISIONSERVE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"), "looks like one"),
    **dict.fromkeys(("DATABASE_URL", "OPENAI_KEY", "GH_PAT", "xyzzy"), "does not"),
}
# What server.yaml could name, and workers then have.
NAMED = {"HANDED_ON": "as it is"}
CHECKPOINT = "demo-checkpoint"
CHECKPOINT_FORMS = ("DataParallel checkpoint", "whole DataParallel, legacy", "TorchScript, scripted")


@contextmanager
def proven(
    archives: Mapping[str, Path], properties: Properties, logs: Path, variables: Sequence[str] = ()
) -> Iterator[TorchServe]:
    """TorchServe with every model proven ready; ended at once, where `stop` would wait for requests under way."""
    with TorchServe(archives, properties, logs, variables=variables) as running:
        for _ in health.wait_until_ready(running, timeout=240):
            pass
        yield running
        running.process.kill()


@pytest.fixture(scope="session")
def batching_archive(project: Path, demo_archives: dict[str, Built]) -> Path:
    text = (project / "models" / "demo" / "demo-resnet18.yaml").read_text()
    source = project / "models" / "demo" / f"{BATCHING_MODEL}.yaml"
    source.write_text(text.replace("maxBatchDelay: 1", "maxBatchDelay: 1000"))
    return builder.build(project, catalog.read(source), source).archive.path


@pytest.fixture(scope="session")
def checkpoint_archives(project: Path, small_weights: Path) -> dict[str, Path]:
    """The small network once more, from files as training scripts leave them, by the form of the file."""
    net = torchvision.models.resnet18(num_classes=7)
    net.load_state_dict(torch.load(small_weights, weights_only=True))
    archives = {}
    for name in CHECKPOINT_FORMS:
        form = FORMS[name]
        file = project / "weights" / f"{CHECKPOINT}-{form.file}"
        form.save(net.eval(), file)
        source = project / "models" / "demo" / f"{CHECKPOINT}.yaml"
        handler = {
            **EXACT,
            "architecture": "resnet18",
            "input": {"resize": SIDE, "crop": SIDE},
            "weights": file.name,
            "labels": "models/demo/colours.txt",
            "topK": 7,
        }
        source.write_text(yaml.safe_dump({"handler": handler}))
        spec = catalog.read(source)
        built = builder.build(project, spec, source, trust_pickle=form.trust).archive.path
        archives[name] = built.rename(built.with_stem(re.sub(r"\W+", "-", name)))
        file.unlink()
    return archives


@pytest.fixture(scope="session")
def server(
    project: Path,
    demo_archives: dict[str, Built],
    batching_archive: Path,
) -> Iterator[TorchServe]:
    """TorchServe with every small model, the quick one too, each proven ready: the one server of the fast tier."""
    archives = {name: built.archive.path for name, built in demo_archives.items()}
    archives[BATCHING_MODEL] = batching_archive
    archives["quick"] = quick.build(project, "quick").archive.path
    # One of the gRPC ports is where TorchServe would have it, so that tests can ask it.
    properties = Properties.read(project / "config.properties").on_free_ports()
    properties = properties.replace(grpc_management_address="127.0.0.1")
    with ExitStack() as ending:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**SECRETS, **NAMED}.items():
                patch.setenv(name, value)
            running = ending.enter_context(proven(archives, properties, project / "logs", tuple(NAMED)))
        yield running


@pytest.fixture(scope="session")
def client(server: TorchServe) -> Iterator[Client]:
    with Client(server.properties.inference, server.properties.management) as opened:
        yield opened


@pytest.fixture(scope="session")
def large_client(
    project: Path, large_archives: dict[str, Built], checkpoint_archives: dict[str, Path]
) -> Iterator[Client]:
    """A client of a TorchServe of its own with ResNet-50, VGG-16 and a checkpoint, for the slow tier."""
    archives = {name: built.archive.path for name, built in large_archives.items()}
    archives[CHECKPOINT] = checkpoint_archives[CHECKPOINT_FORMS[0]]
    # One that answers in detail unless asked for labels: proving it ready asks for them.
    more = "  response: detailed\n"
    archives["detailed"] = quick.build(project, "detailed", workers=1, more=more).archive.path
    properties = Properties.read(project / "config.properties").on_free_ports()
    with (
        proven(archives, properties, project / "logs-large"),
        Client(properties.inference, properties.management) as opened,
    ):
        yield opened


@pytest.fixture(scope="session")
def quick_url(server: TorchServe) -> str:
    return f"{server.properties.inference}/predictions/quick"


@pytest.fixture(scope="session")
def offline(server: TorchServe, project: Path) -> quick.Offline:
    """The quick network without us."""
    return quick.Offline(project)


@pytest.fixture
def same_workers(server: TorchServe) -> Iterator[None]:
    """The quick model's workers are the same processes after the test as before."""
    with Client(server.properties.inference, server.properties.management) as opened:
        before = opened.worker_pids("quick")
        yield
        assert opened.worker_pids("quick") == before
