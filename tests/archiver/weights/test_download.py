"""Downloads against a real HTTP server on loopback."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from visionserve.archiver.weights.download import NotFetched, download
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"net-{DIGEST[:8]}.pth"


@dataclass
class Mirror:
    """A server of one file that can break off after some bytes."""

    url: str
    break_after: int | None = None
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            served.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if start >= len(CONTENT):
                self.send_error(416)
                return
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(CONTENT) - start))
            self.end_headers()
            self.wfile.write(CONTENT[start : served.break_after])

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Mirror(f"http://127.0.0.1:{server.server_port}/{NAME}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_whole_download_is_verified_and_in_place(mirror: Mirror, tmp_path: Path) -> None:
    assert download(mirror.url, tmp_path / "new" / NAME) == DIGEST
    assert (tmp_path / "new" / NAME).read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == [NAME]


def test_a_broken_download_leaves_nothing_that_looks_whole_and_is_resumed(mirror: Mirror, tmp_path: Path) -> None:
    mirror.break_after = mirror_broke_at = 300_000
    with pytest.raises(WeightsError, match=f"{NAME} could not be downloaded"):
        download(mirror.url, tmp_path / NAME)
    assert not (tmp_path / NAME).exists()

    mirror.break_after = None
    assert download(mirror.url, tmp_path / NAME) == DIGEST
    first, second = mirror.ranges
    assert first is None
    assert second is not None
    assert 200_000 < int(second.removeprefix("bytes=").rstrip("-")) <= mirror_broke_at
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_download_that_broke_off_after_its_last_byte_needs_no_more(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert download(mirror.url, tmp_path / NAME) == DIGEST


def test_what_has_not_arrived_within_the_limit_is_left_to_the_next_call(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match="bytes arrived in 0 s") as error:
        download(mirror.url, tmp_path / NAME, limit=0)
    assert "bytes arrived in 0 s" in error.value.cause
    kept = (tmp_path / f"{NAME}.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    assert download(mirror.url, tmp_path / NAME) == DIGEST
    assert mirror.ranges == [None, f"bytes={kept}-"]


def test_a_wrong_digest_leaves_nothing(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"arrived with SHA-256 [0-9a-f]{64}, expected 00000000\.\.\."):
        download(mirror.url, tmp_path / "net-00000000.pth")
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_message_says_which_file_to_put_where(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:1/{NAME}"
    with pytest.raises(WeightsError) as error:
        download(url, tmp_path / NAME)
    assert url in str(error.value)
    assert str(tmp_path / NAME) in str(error.value)
    assert DIGEST[:8] in str(error.value)


def test_a_full_disk_is_told_as_such(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").symlink_to("/dev/full")
    with pytest.raises(WeightsError, match=f"{NAME}: cannot be written: No space left on device$"):
        download(mirror.url, tmp_path / NAME)
    assert not (tmp_path / NAME).exists()


def test_a_place_that_cannot_be_written_is_told_as_such(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / NAME).mkdir()
    (tmp_path / "other.pth.part").mkdir()

    for destination, cause in (
        (tmp_path / "file" / NAME, "File exists"),
        (tmp_path / "file" / "deep" / NAME, "Not a directory"),
        (tmp_path / NAME, "Is a directory"),
        (tmp_path / "other.pth", "Is a directory"),
    ):
        with pytest.raises(WeightsError, match=f"^{destination}: cannot be written: {cause}$"):
            download(mirror.url, destination)
