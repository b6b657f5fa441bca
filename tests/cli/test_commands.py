"""The command line as a user meets it: what it prints, what it exits with, and never a traceback."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY
from tests.support import packed
from tests.support.service_manager import ServiceManager

from visionserve.archiver.demo import colours
from visionserve.cli import predict
from visionserve.cli.console import output
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Run

    from visionserve.archiver.builder import Built

COMMAND = [sys.executable, "-m", "visionserve"]


def run(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", **variables}
    done = subprocess.run(
        [*COMMAND, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """A project with models and nothing built, no torch hub cache, and ports where nothing answers."""
    root = tmp_path_factory.mktemp("empty")
    for name in ("models", "handlers"):
        (root / name).symlink_to(project / name)
    Properties.read(project / "config.properties").on_free_ports().write(root / "config.properties")
    return root


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["archive", "resnet50"], "error: no weights for resnet50: run 'visionserve weights resnet50', or put"),
        (
            ["archive", "nothing"],
            "error: no model 'nothing': models/nothing.yaml does not exist; there are ",
        ),
        (["archive", "resnet50", "--weights", "no.pth"], "error: no.pth: no such file"),
        (["archive", "resnet50", "--weights", "models"], "error: models: is a directory; name the weights file"),
        (
            ["serve", "resnet50", "--offline"],
            "--offline forbids fetching them: put resnet50-11ad3fa6.pth into weights",
        ),
        (["serve", "no.pth"], "error: no.pth: no such file"),
        (["serve", "no.mar"], "error: no.mar: no such archive"),
        (["serve", "resnet5"], "no torchvision classifier; did you mean resnet50?"),
        (["serve", "resnet50", "--labels", "x"], "models/resnet50.yaml says itself how it is served"),
        (["serve", "a.pth", "b.pth", "--labels", "x"], "and the like are for one target, and 2 are given"),
        (["serve"], "visionserve serve flowers.pth"),
        (["init", "no.pth"], "error: no.pth: cannot be read: No such file"),
        (["predict", "config.properties", "--model", "x"], "no answer from http://127.0.0.1:"),
        (["evaluate", "x", "models"], "no answer from http://127.0.0.1:"),
        (["predict", "models"], "no answer from http://127.0.0.1:"),
        (["predict", "no.jpg", "models"], "error: no.jpg: no such file or folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(
    words: list[str], message: str, empty: Path, visionserve: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(empty))
    done = visionserve(*words, cwd=empty)
    assert done.code == 1
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert done.out == ""


def test_a_mistake_in_a_process_of_its_own_is_the_same(empty: Path) -> None:
    done = run("serve", "no.pth", cwd=empty)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: no.pth: no such file\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "no archives in model_store"),
        (
            ["run", "resnet50"],
            "model_store/resnet50.mar does not exist; build it with 'visionserve archive resnet50'",
        ),
        (["search", "p99<1s"], "no archives in model_store"),
        (["soak"], "no archives in model_store"),
        (["sweep"], "no archives in model_store"),
    ],
)
def test_a_load_test_of_nothing_says_so(words: list[str], message: str, empty: Path, visionserve: Run) -> None:
    done = visionserve("load", *words, cwd=empty)
    assert done.code == 1
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "nowhere"], "error: no results in nowhere: none of run.json"),
        (["run", "x", "--out", "config.properties"], "error: config.properties: is no folder"),
    ],
)
def test_a_load_test_without_a_place_for_results_is_one_line_and_exit_code_2(
    words: list[str], message: str, empty: Path, visionserve: Run
) -> None:
    done = visionserve("load", *words, cwd=empty)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, project: Path, visionserve: Run) -> None:
    (tmp_path / "model_store").write_text("a file where the folder would be")
    (tmp_path / "models").symlink_to(project / "models")
    done = visionserve(
        "archive", "demo-resnet18", "--weights", project / "weights" / "demo-resnet18.pth", cwd=tmp_path
    )
    assert done.code == 1
    assert "error: model_store: is a file, where a folder has to be" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_weights_are_relative_to_where_the_user_stands(tmp_path: Path, project: Path, visionserve: Run) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine.pth").write_bytes(b"no weights")
    done = visionserve(
        "archive", "demo-resnet18", "--weights", "mine.pth", "--root", project, cwd=tmp_path / "here"
    )
    assert "error: mine.pth: is no checkpoint" in done.err


def test_a_wrong_option_is_exit_code_2(empty: Path, visionserve: Run) -> None:
    assert visionserve("serve", "--no-such-option", cwd=empty).code == 2


def test_stop_and_status_without_a_server(empty: Path, visionserve: Run) -> None:
    assert visionserve("stop", cwd=empty).out == "not running\n"
    assert visionserve("status", cwd=empty).code == 3


def test_without_a_server_nothing_is_ready_or_reloaded(empty: Path, visionserve: Run) -> None:
    asked = visionserve("ready", cwd=empty)
    assert (asked.code, asked.out) == (3, "not running\n")
    told = visionserve("reload", cwd=empty)
    assert told.code == 1
    assert "no server runs for this folder; start it with 'visionserve serve'" in told.err


def test_what_would_be_run_is_shown(empty: Path, visionserve: Run) -> None:
    (empty / "server.yaml").write_text("edge: {address: '127.0.0.1:9443'}\ninstances: 2\n")
    shown = visionserve("serve", "--print-config", cwd=empty).out
    assert "inference_address=unix\\:" in shown
    assert "enable_model_api=false" in shown
    assert "bind 127.0.0.1:9443" in shown
    assert all(f"server {slot} " in shown for slot in "abc")
    alone = visionserve("serve", "--print-config", "--no-edge", cwd=empty).out
    assert "inference_address=http\\://127.0.0.1" in alone
    assert "frontend" not in alone
    (empty / "server.yaml").write_text("instance: 2\n")
    told = visionserve("serve", "--print-config", cwd=empty)
    assert told.code != 0
    assert "unknown key 'instance' (did you mean 'instances'?)" in told.err
    (empty / "server.yaml").unlink()


@pytest.mark.parametrize("pid", ["x", -5, 1.5, None])
def test_a_damaged_record_of_a_server_is_no_server(pid: object, tmp_path: Path, visionserve: Run) -> None:
    record = {"pid": pid, "started": 1, "java": pid, "java_started": 1, "folder": "", "inference": ""}
    (tmp_path / ".visionserve").mkdir()
    (tmp_path / ".visionserve" / "server.json").write_text(
        json.dumps({**record, "management": "", "archives": {}})
    )
    assert visionserve("status", cwd=tmp_path).out == "not running\n"


@pytest.mark.parametrize("url", ["here", "ftp://127.0.0.1:80", "http://"])
def test_what_is_no_address_is_told(url: str, empty: Path, visionserve: Run) -> None:
    done = visionserve("predict", "config.properties", "--url", url, "--model", "x", cwd=empty)
    assert done.code == 1
    assert "is no address of a server; one is http://127.0.0.1:8080" in done.err


def test_labels_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    output.print(predict._table(Path("a[b].jpg"), {"crane [bird]": 0.5, "a [/] b:x:c": 0.25}))
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("a[b].jpg", "crane [bird]", "a [/] b:x:c"))


def test_the_help_lists_every_verb(empty: Path, visionserve: Run) -> None:
    listed = visionserve("--help", cwd=empty).out
    for verb in ("weights", "archive", "init", "serve", "stop", "status", "predict", "evaluate", "load", "demo"):
        assert re.search(rf"\b{verb}\b", listed)


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, project: Path, demo_archives: dict[str, Built]
) -> Iterator[tuple[Path, subprocess.Popen[str], ServiceManager]]:
    """A project whose server `visionserve serve` runs, ready, and the service manager that it tells."""
    root = tmp_path_factory.mktemp("serving")
    for name in ("models", "handlers", "model_store"):
        (root / name).symlink_to(project / name)
    Properties.read(project / "config.properties").on_free_ports().write(root / "config.properties")
    with (
        ServiceManager(root / "notify") as manager,
        subprocess.Popen(
            [*COMMAND, "serve", "demo-resnet18"],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NOTIFY_SOCKET": str(manager.path)},
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert re.match(
            r"ready demo-resnet18 after [\d.]+ s:  curl -T image\.jpg http://127\.0\.0\.1:\d+/pred", line
        )
        yield root, process, manager
        process.terminate()


def test_serve_status_predict_and_stop(
    serving: tuple[Path, subprocess.Popen[str], ServiceManager], tmp_path: Path
) -> None:
    root, process, manager = serving
    since = time.monotonic()
    running = run("status", cwd=root)
    assert running.returncode == 0
    assert "1 of 1" in running.stdout
    shown = run("serve", "--print-config", "demo-resnet18", cwd=root).stdout
    written = root / ".visionserve" / "run"
    assert (written / "a" / "config.properties").read_text() in shown
    assert shown.partition("# HAProxy\n")[2] == (written / "edge" / "haproxy.cfg").read_text()

    for colour, data in colours.held_out(per_class=1)[:2]:
        (tmp_path / f"{colour}.jpg").write_bytes(data)
    table = run("predict", str(tmp_path), cwd=root)
    assert table.returncode == 0
    assert table.stdout.index("orange.jpg") < table.stdout.index("red.jpg")

    (tmp_path / "zz.txt").write_text("not a picture")
    lines = run("predict", str(tmp_path), "--json", "--model", "demo-resnet18", cwd=root)
    assert lines.returncode == 1
    orange, red, bad = map(json.loads, lines.stdout.splitlines())
    assert next(iter(orange["predictions"])) == "orange"
    assert next(iter(red["predictions"])) == "red"
    assert bad["error"]["code"] == 400

    picture = base64.b64encode((tmp_path / "red.jpg").read_bytes()).decode()
    (tmp_path / "asked.json").write_text(json.dumps({"instances": [{"b64": picture}]}))
    asked = run("predict", str(tmp_path / "asked.json"), cwd=root)
    assert asked.returncode == 1
    assert "the answer is no prediction" in asked.stderr
    strange = run("predict", str(tmp_path / "red.jpg"), "--model", "demo-resnet18/../../ping", cwd=root)
    assert strange.returncode == 1
    assert "404" in strange.stderr

    again = run("serve", "demo-resnet18", cwd=root)
    assert again.returncode == 1
    assert "already running" in again.stderr
    record = root / ".visionserve" / "server.json"
    before = record.read_text()
    record.unlink()  # as it is while the first one still builds and loads
    at_once = run("serve", "demo-resnet18", cwd=root)
    assert at_once.returncode == 1
    assert f"another server is starting or running here (process {process.pid})" in at_once.stderr
    record.write_text(before)
    assert manager.times("READY=1")
    manager.wait_for("WATCHDOG=1", since)

    assert "stopped" in run("stop", cwd=root).stdout
    assert process.wait(30) == 0
    assert run("status", cwd=root).returncode == 3


@pytest.mark.parametrize(("content", "message"), [(b"PK", "is no archive"), (None, "lacks MAR-INF/MANIFEST.json")])
def test_a_damaged_archive_is_one_line(
    content: bytes | None, message: str, tmp_path: Path, project: Path, visionserve: Run
) -> None:
    mar = tmp_path / "model_store" / "x.mar"
    mar.parent.mkdir()
    (tmp_path / "config.properties").symlink_to(project / "config.properties")
    if content is None:
        with zipfile.ZipFile(mar, "w") as file:
            file.writestr("nothing", "")
    else:
        mar.write_bytes(content)
    done = visionserve("serve", "x", cwd=tmp_path)
    assert done.code == 1
    assert len(done.err.strip().splitlines()) == 1
    assert message in done.err


@pytest.mark.parametrize("targets", [[], ["net"], ["model_store/net.mar"]], ids=["all", "name", "file"])
def test_a_changed_bit_is_refused_before_torchserve_sees_the_archive(
    targets: list[str], tmp_path: Path, visionserve: Run
) -> None:
    Properties.read(REPOSITORY / "config.properties").on_free_ports().write(tmp_path / "config.properties")
    mar = packed.pack(tmp_path / "model_store", "net")
    content = bytearray(mar.read_bytes())
    content[content.index(packed.WEIGHTS) + 100] ^= 1
    mar.write_bytes(content)
    done = visionserve("serve", *targets, cwd=tmp_path)
    assert done.code == 1
    (line,) = done.err.strip().splitlines()
    assert "net.mar: net.pth is not what was built" in line
    assert not (tmp_path / "logs").exists()  # nothing was started
