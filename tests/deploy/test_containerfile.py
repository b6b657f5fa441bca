"""What can be read off the container file: who runs, how it ends, and that nothing comes from elsewhere."""

from __future__ import annotations

import json
import re

import yaml
from tests.conftest import REPOSITORY

from visionserve import schema
from visionserve.server.settings.serving import Serving

FOLDER = REPOSITORY / "deploy" / "container"
CONTINUED = re.compile(r"\\\n(?:\s*#.*\n)*")
LINES = [
    line
    for line in CONTINUED.sub(" ", (FOLDER / "Containerfile").read_text()).splitlines()
    if line and not line.startswith("#")
]
# The stage that runs: all after the last FROM.
RUNS = LINES[max(index for index, line in enumerate(LINES) if line.startswith("FROM")) :]


def said(instruction: str) -> str:
    """What the running stage says last of that."""
    return next(line.split(maxsplit=1)[1] for line in reversed(RUNS) if line.startswith(f"{instruction} "))


def test_it_runs_as_a_user_by_number_who_is_not_root() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", said("USER"))
    after = RUNS[RUNS.index(f"USER {said('USER')}") + 1 :]
    assert not [line for line in after if line.startswith(("RUN", "COPY", "USER"))]


def test_signals_reach_the_server_and_its_health_is_asked() -> None:
    assert said("STOPSIGNAL") == "SIGTERM"
    # Lists, not strings: a shell would be process 1, and passes no signal on.
    assert json.loads(said("ENTRYPOINT")) == ["tini", "--", "visionserve"]
    assert json.loads(said("CMD")) == ["serve"]
    assert json.loads(said("HEALTHCHECK").partition("CMD ")[2]) == ["visionserve", "ready"]


def test_nothing_comes_from_elsewhere() -> None:
    text = (FOLDER / "Containerfile").read_text()
    assert not [line for line in LINES if line.startswith("ADD")]
    assert "://" not in text
    assert not re.search(r"\b(?:curl|wget)\b|--(?:extra-)?index-url|--trusted-host", text)
    assert {line.split()[1] for line in LINES if line.startswith("FROM")} == {"${BASE}"}


def test_the_run_stage_has_no_pip_of_its_own() -> None:
    assert any("venv --without-pip /opt/visionserve" in line for line in LINES)
    assert not [line for line in RUNS if "apt-get" in line and re.search(r"pip|venv", line)]


def test_its_settings_are_read_and_its_port_is_the_one_that_is_exposed() -> None:
    settings = schema.read(Serving, yaml.safe_load((FOLDER / "server.yaml").read_text()))
    assert settings.edge.address == f"0.0.0.0:{said('EXPOSE')}"


def test_what_is_copied_is_let_through_and_nothing_else_is() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert next(line for line in ignored if not line.startswith("#")) == "*"
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for line in LINES
        if line.startswith("COPY") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied == let_through
    assert all((REPOSITORY / path).exists() for path in copied)
