"""What a running server says of where it can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from visionserve.project import Project
from visionserve.server.run import record

if TYPE_CHECKING:
    from pathlib import Path

OWN = "unix:/run/own.sock"


@pytest.mark.parametrize(
    ("inference", "own", "near"),
    [
        ("https://0.0.0.0:8443", OWN, OWN),  # no certificate names that
        ("https://10.1.2.3:8443", OWN, OWN),
        ("http://127.0.0.1:8080", OWN, "http://127.0.0.1:8080"),
        ("https://127.0.0.1:8443", "", "https://127.0.0.1:8443"),  # a TorchServe alone
    ],
)
def test_with_tls_it_is_asked_by_its_own_address(inference: str, own: str, near: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    with record.held(project):
        record.write(project, record.Running(inference, "", {}, own=own))
        found = record.addresses(project)
    assert (found.inference, found.near) == (inference, near)


def test_without_a_server_it_is_asked_where_one_would_be(tmp_path: Path) -> None:
    (tmp_path / "config.properties").write_text("inference_address=http://127.0.0.1:9999\n")
    assert record.addresses(Project(tmp_path)).near == "http://127.0.0.1:9999"
