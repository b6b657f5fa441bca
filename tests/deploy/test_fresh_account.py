"""docs/production.md, followed on a new account under a systemd of its own, from nothing to a drained stop."""

from __future__ import annotations

import re
import socket
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.chaos.harness.traffic import Traffic
from tests.conftest import REPOSITORY
from tests.deploy.machine import Machine, may_run
from tests.support import quick

from visionserve.archiver.demo import colours
from visionserve.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.manual,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(may_run()), reason=may_run() or "it can be run"),
]

FOLDER, URL = Path("/srv/visionserve"), "http://127.0.0.1:8080"
PICTURE = colours.picture("red", 0)
# Installing takes minutes and a network: what is installed here is used, with the clone's own code before it.
PACKAGES = sysconfig.get_path("purelib")
INSTALL = f"""/usr/bin/python3 -m venv --without-pip .venv
printf '%s\\n' {FOLDER}/src {PACKAGES} > "$(echo .venv/lib/python3*/site-packages)/here.pth"
printf '%s\\n' '#!{FOLDER}/.venv/bin/python' 'from visionserve.cli import main' 'main()' > .venv/bin/visionserve
chmod +x .venv/bin/visionserve && touch .venv/.installed"""


def commands() -> tuple[list[str], list[str]]:
    """The page's commands for a service, and those for weights of one's own."""
    page = (REPOSITORY / "docs" / "production.md").read_text()
    part = page.partition("## As a service")[2].partition("\n## ")[0]
    service, own = re.findall(r"^```console\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    found = [[line.removeprefix("# ") for line in block.splitlines()] for block in (service, own)]
    return found[0], found[1]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which the page has been followed up to where the service runs."""
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", 8080))  # that of the page
    weights = tmp_path_factory.mktemp("weights")
    quick.make(weights / "flowers.pth")
    (weights / "flowers.txt").write_text("".join(f"{label}\n" for label in quick.LABELS))
    service, own = commands()
    script = []
    for line in service:
        if "make weights" in line:
            script += [f"cp {weights}/flowers.* . && chown visionserve: flowers.*", *own]
        elif "systemctl enable" in line:
            break
        else:
            script.append(
                line.replace("CLONE", str(REPOSITORY)).replace("make install PYTHON=/usr/bin/python3", INSTALL)
            )
    with Machine() as machine:
        machine.run("\n".join(["set -e", *script]))
        machine.run(line)
        yield machine


@contextmanager
def loaded() -> Iterator[Traffic]:
    """Four clients, who ask all the time."""
    with Client(URL) as client:
        expected = client.predict("flowers", PICTURE)
    begin = f'{{"{next(iter(expected))}"'.encode()
    with Traffic(url=URL, path="/predictions/flowers", picture=PICTURE, expected=begin, clients=4) as traffic:
        traffic.wait_for(60)
        yield traffic


def test_it_runs_without_rights_and_writes_two_folders_alone(machine: Machine) -> None:
    assert machine.run("systemctl is-active visionserve").stdout == "active\n"
    inside = (
        "nsenter -t $(systemctl show --property=MainPID --value visionserve) --mount"
        f" setpriv --reuid=visionserve --regid=visionserve --clear-groups sh -c 'cd {FOLDER} && touch"
    )
    for path in ("src/file", ".venv/bin/visionserve", "model_store/flowers.mar", "keys.txt", "/etc/file"):
        assert "Read-only file system" in machine.run(f"{inside} {path}'", check=False).stderr, path
    for path in (".visionserve/file", "logs/file"):
        machine.run(f"{inside} {path} && rm {path}'")


def test_a_reload_fails_no_request(machine: Machine) -> None:
    with loaded() as traffic:
        machine.run("systemctl reload visionserve")
        traffic.wait_for(60)
    print(f"\nsystemctl reload: {traffic}")  # noqa: T201
    assert traffic.lost == {} and traffic.count("refused") == 0


def test_a_killed_server_leaves_nothing_and_the_next_is_started(machine: Machine) -> None:
    machine.run("systemctl kill --kill-who=main --signal=KILL visionserve")
    end = time.monotonic() + 90
    state = "systemctl show --property=NRestarts,ActiveState visionserve"
    while set((found := machine.run(state).stdout).split()) != {"NRestarts=1", "ActiveState=active"}:
        assert time.monotonic() < end, found
        time.sleep(0.2)
    assert machine.run("pgrep --count java").stdout == "1\n"
    with loaded() as traffic:
        pass
    assert traffic.lost == {}


def test_a_stop_answers_what_was_accepted(machine: Machine) -> None:
    with loaded() as traffic:
        machine.run("systemctl stop visionserve")
    gone = min(each.start for each in traffic.asked if each.outcome == "ConnectionRefusedError")
    traffic.asked[:] = [each for each in traffic.asked if each.start < gone]
    print(f"\nsystemctl stop, until the server has ended: {traffic}")  # noqa: T201
    assert traffic.lost == {}
    said = machine.run("systemctl show --property=Result,ExecMainStatus visionserve").stdout
    assert set(said.split()) == {"Result=success", "ExecMainStatus=0"}
    assert machine.run("pgrep --uid visionserve", check=False).stdout == ""
