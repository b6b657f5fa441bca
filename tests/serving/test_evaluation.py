"""`visionserve evaluate` against the real server: what it finds, and that nothing ends it badly."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from visionserve.archiver.demo import colours
from visionserve.calls import Unreachable
from visionserve.cli import app
from visionserve.evaluation.errors import EvaluationError
from visionserve.evaluation.layouts import pictures_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from visionserve.server.instance.launcher import TorchServe

    Evaluate = Callable[..., tuple[int, str, dict[str, Any]]]

NAMES = list(colours.HUES)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four of each colour that the network never saw, one file that is no picture, and one that is too large."""
    folder = tmp_path_factory.mktemp("labelled")
    for colour in colours.HUES:
        (folder / colour).mkdir()
        for seed in range(4):
            (folder / colour / f"{seed}.jpg").write_bytes(colours.picture(colour, 2_000_000 + seed))
    (folder / "red" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (folder / "blue" / "large.bmp").write_bytes(bytes(21_000_000))
    return folder


@pytest.fixture
def evaluate(server: TorchServe, project: Path, tmp_path: Path) -> Evaluate:
    """Runs the command; returns its exit code, what it printed, and the report's JSON."""

    def run(*words: object) -> tuple[int, str, dict[str, Any]]:
        at = ["--url", server.properties.inference, "--management", server.properties.management]
        arguments = ["evaluate", *map(str, words), *at, "--root", str(project), "--out", str(tmp_path / "out")]
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        return done.exit_code, done.output, json.loads((tmp_path / "out" / "report.json").read_text())

    return run


def test_a_good_model_is_told_so_and_compared_with_a_bad_one(
    evaluate: Evaluate, pictures: Path, tmp_path: Path
) -> None:
    code, said, found = evaluate("demo-resnet18", pictures, "--against", "quick", "--fail-below", "0.9")
    assert code == 0, said
    assert (found["top1"]["of"], found["mistakes"]) == (28, [])
    assert found["top1"]["count"] >= 27
    assert found["calibration"]["meanProbability"] > 0.5
    # Top-1 of seven classes is known from each answer's whole distribution.
    assert all(0 <= row["ofClass"] <= row["probability"] <= 1 for row in found["pictures"])

    refused = {row["pictures"][0]["file"]: (row["status"], row["type"]) for row in found["refused"]}
    assert refused["red/broken.jpg"] == (400, "InvalidImage")
    # The server ends the connection while it is still being sent to, which a client may see before the answer.
    assert refused["blue/large.bmp"][0] in (413, 0)
    assert "not answered: 400 InvalidImage" in said

    against = found["against"]
    assert against["pValue"] < 0.01
    assert against["verdict"] == "better, and that by more than chance"
    assert "beyond chance" in said
    assert against["ours"]["count"] > against["theirs"]["count"]
    assert found["server"]["engine"] == against["server"]["engine"] == "eager"

    assert len(found["slowest"]) == 10
    # A picture that could be decoded tells how long that took.
    assert all(row["refused"] or 0 < row["stages"]["decode"] <= row["milliseconds"] for row in found["slowest"])
    assert "data:image/jpeg;base64," in (tmp_path / "out" / "report.html").read_text()


def test_permuted_labels_are_the_worst_confused_pairs(evaluate: Evaluate, pictures: Path, tmp_path: Path) -> None:
    turned = dict(zip(NAMES, NAMES[1:] + NAMES[:1], strict=True))
    for name, other in turned.items():
        (tmp_path / "turned" / other).mkdir(parents=True)
        for path in sorted((pictures / name).glob("[0-3].jpg")):
            (tmp_path / "turned" / other / path.name).symlink_to(path)
    code, said, found = evaluate("demo-resnet18", tmp_path / "turned", "--fail-below", "0.9")
    assert code == 1
    assert "failed: top-1 is" in said
    worst = {(cell["class"], cell["answer"]) for cell in found["confusion"] if cell["count"] >= 3}
    assert worst == {(other, name) for name, other in turned.items()}
    assert "the labels are in the wrong order" in found["mistakes"][0]
    assert "class 0 'orange' instead of 'red'" in said.replace("\n", " ")


def test_a_limit_takes_as_many_of_each_class(evaluate: Evaluate, pictures: Path) -> None:
    _, said, found = evaluate("demo-resnet18", pictures, "--limit", 14, "--clients", 2)
    asked = [row["file"] for row in found["pictures"]] + [
        one["file"] for row in found["refused"] for one in row["pictures"]
    ]
    assert sorted(name.split("/")[0] for name in asked) == sorted(NAMES * 2)
    assert f"14 of {len(pictures_in(pictures))} pictures were asked, evenly of each class" in said


def test_a_model_that_is_not_served_is_told_with_those_that_are(evaluate: Evaluate, pictures: Path) -> None:
    with pytest.raises(EvaluationError, match=r"no model 'rose' is served at http.*; there are .*demo-resnet18,"):
        evaluate("rose", pictures)


class Leaving(BaseHTTPRequestHandler):
    """Answers as the handler does, a few times; then nothing answers any more."""

    protocol_version = "HTTP/1.1"
    left = 6

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        Leaving.left -= 1
        if Leaving.left < 0:
            self.server.server_close()
            self.close_connection = True
            return
        classes = [{"label": name, "index": i, "probability": 1 / 7} for i, name in enumerate(NAMES)]
        body = json.dumps({"classes": classes, "stages": {}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def leaving() -> Iterator[str]:
    """The address of a server that goes away after six answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Leaving) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_that_is_not_there_or_goes_away_ends_it_with_one_line(
    leaving: str, pictures: Path, tmp_path: Path
) -> None:
    def evaluate(url: str) -> None:
        arguments = ["evaluate", "m", str(pictures), "--url", url, "--out", str(tmp_path / "out")]
        CliRunner().invoke(app, [*arguments, "--root", str(tmp_path)], catch_exceptions=False)

    with pytest.raises(
        EvaluationError, match=r"the server went away: no answer from http://127\.0\.0\.1:\d+/pred"
    ):
        evaluate(leaving)
    with pytest.raises(Unreachable, match="is the server running"):
        evaluate("http://127.0.0.1:1")
    assert not (tmp_path / "out").exists()
