"""Asking a server that refuses, that closes connections, and whose model becomes another."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY

from visionserve.evaluation import labelled
from visionserve.evaluation.errors import EvaluationError
from visionserve.evaluation.running import asking
from visionserve.evaluation.running.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from visionserve.evaluation.answers import Answers

LABELS = ("daisy", "tulip")
GOOD = b"a picture"
CUT = b"a picture whose connection is closed once"


class Answering(BaseHTTPRequestHandler):
    """Answers as the handler does, but for what a test asks of it."""

    protocol_version = "HTTP/1.1"
    refuses = False
    labels = LABELS
    cut = 0

    def do_GET(self) -> None:
        self._answer(200, {"status": "Healthy"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == CUT and not type(self).cut:
            type(self).cut += 1
            self.close_connection = True
        elif type(self).refuses and body.startswith(b"a picture"):
            self._answer(400, {"code": 400, "type": "InvalidImage", "message": "no"})
        else:
            classes = [{"label": name, "index": at, "probability": 0.5} for at, name in enumerate(self.labels)]
            self._answer(200, {"classes": classes, "stages": {}})

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in (("refuses", False), ("labels", LABELS), ("cut", 0)):
        monkeypatch.setattr(Answering, name, value)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for place, (name, content) in enumerate({"daisy": GOOD, "tulip": CUT}.items()):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        (tmp_path / "pictures" / name / f"{place}.jpg").write_bytes(content)
    return tmp_path / "pictures"


@pytest.fixture
def ask(url: str, pictures: Path) -> Callable[[], Answers]:
    places = {name: at for at, name in enumerate(LABELS)}
    found = labelled.read(pictures, LABELS).pictures
    return lambda: asking.ask(Served("m", url), LABELS, places, found, 2)


def test_a_connection_that_was_lost_is_tried_again(ask: Callable[[], Answers]) -> None:
    answers = ask()
    assert Answering.cut == 1
    assert (len(answers.pictures), answers.refused) == (2, [])


def test_a_model_that_was_replaced_meanwhile_ends_it(
    ask: Callable[[], Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answering, "labels", ("daisy", "rose"))
    with pytest.raises(EvaluationError, match=r"^m at http://.* was replaced by another model meanwhile$"):
        ask()


def test_no_answer_at_all_is_one_line_and_exit_code_1(
    url: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answering, "refuses", True)
    command = [sys.executable, "-m", "visionserve", "evaluate", "m", str(pictures), "--url", url]
    done = subprocess.run(
        [*command, "--root", str(REPOSITORY), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 1, done.stderr
    assert "m answered none of 2 pictures" in done.stderr
    assert "400 InvalidImage: no" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
