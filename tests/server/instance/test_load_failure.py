"""The cause that is told is that of the model it is about, though models load side by side and log together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from visionserve.server.errors import ServerError
from visionserve.server.instance import health

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.server.instance.launcher import TorchServe

LINE = "2026-01-01T00:00:00,000 INFO  W-90{number:02}-{model}_1.0-{stream} MODEL_LOG - {said}\n"


def logged(folder: Path, *said: tuple[str, str]) -> None:
    (folder / "workers.log").write_text(
        "".join(
            LINE.format(number=number, model=model, said=text, stream="stderr" if number % 2 else "stdout")
            for number, (model, text) in enumerate(said)
        )
    )


def progress(logs: Path, name: str, ended: int | None = None) -> None:
    server = cast(
        "TorchServe", SimpleNamespace(logs=logs, process=SimpleNamespace(poll=lambda: ended, returncode=ended))
    )
    health._require_progress(server, {name: logs}, 60.0, float("inf"))


NAMES = ("net", "net-2", "other.net", "a.net", "net_2")


@pytest.mark.parametrize("ill", NAMES)
def test_a_refusal_is_told_of_the_model_that_refused(ill: str, tmp_path: Path) -> None:
    logged(
        tmp_path, *((name, "loading") for name in NAMES), (ill, f"visionserve cannot serve {ill}: it is damaged")
    )
    for name in NAMES:
        if name == ill:
            with pytest.raises(ServerError, match=f"^{ill} cannot be served: it is damaged$"):
                progress(tmp_path, name)
            assert health.refusal(tmp_path, name) == "it is damaged"
        else:
            progress(tmp_path, name)
            assert health.refusal(tmp_path, name) is None


def test_what_a_process_died_of_is_told_of_its_model(tmp_path: Path) -> None:
    logged(
        tmp_path,
        ("one", "ModuleNotFoundError: No module named 'timm'"),
        ("one", "Backend worker process died."),
        ("two", "ValueError: a warning that nobody died of"),
    )
    with pytest.raises(ServerError, match=r"^one cannot be served: ModuleNotFoundError: No module named 'timm'$"):
        progress(tmp_path, "one")
    progress(tmp_path, "two")


def test_a_server_that_ended_is_told_with_its_last_errors(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text(
        "INFO all is well\n1 ERROR one\n2 ERROR two\n3 ERROR three\n4 ERROR four\n"
    )
    with pytest.raises(
        ServerError, match=r"^TorchServe ended with code 3: 2 ERROR two \| 3 ERROR three \| 4 ERROR four$"
    ):
        progress(tmp_path, "one", ended=3)
