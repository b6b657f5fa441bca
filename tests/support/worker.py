"""TorchServe's own worker code, fed the bytes that its Java front end would send."""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import ts
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.model_loader import TsModelLoader
from ts.protocol import otf_message_handler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.exchanges import Sent
    from ts.service import Service


@dataclass(frozen=True)
class Got:
    """One response as the front end receives it."""

    status: int
    phrase: str
    content_type: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Worker:
    """A model loaded as a TorchServe worker loads it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.handler = service._entry_point.__self__

    @classmethod
    def load(cls, archive: Path, folder: Path) -> Worker:
        """Unpack an archive and load it; needs the folder on `sys.path`, as TorchServe has it."""
        with zipfile.ZipFile(archive) as mar:
            mar.extractall(folder)
            manifest = json.loads(mar.read("MAR-INF/MANIFEST.json"))["model"]
        metrics = MetricsCacheYamlImpl(str(Path(ts.__file__).parent / "configs" / "metrics.yaml"))
        metrics.initialize_cache()
        sys.path.insert(0, str(folder))
        try:
            service = TsModelLoader().load(
                manifest["modelName"], str(folder), manifest["handler"], None, 8, None, True, metrics
            )
        finally:
            sys.path.remove(str(folder))
        service.set_cl_socket(None)
        return cls(service)

    def ask(self, batch: Sequence[Sent]) -> list[Got]:
        """A batch's responses, over the wire in both directions; fails when the batch failed as a whole."""
        command, received = otf_message_handler.retrieve_msg(_Connection(_encoded(batch)))
        assert command == otf_message_handler.PREDICT_MSG
        code, got = _decoded(bytes(self.service.predict(received)))
        assert code == 200
        assert len(got) == len(batch)
        return got


# What no message to a client may hold: where our files are, or what an exception said.
LEAKS = (".py", "/srv", "/tmp", "Traceback", "secret")


def error_of(got: Got) -> tuple[int, str]:
    document = got.document
    assert set(document) == {"code", "type", "message"}
    assert document["code"] == got.status
    assert not any(leak in document["message"] for leak in LEAKS)
    return got.status, document["type"]


@contextmanager
def decoding(requests_decoded: bool) -> Iterator[None]:
    """TorchServe's setting `decode_input_request`, as its workers see it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TS_DECODE_INPUT_REQUEST", str(requests_decoded).lower())
        yield


class _Connection:
    def __init__(self, data: bytes) -> None:
        self._data = BytesIO(data)

    def recv(self, length: int) -> bytes:
        return self._data.read(length)


def _text(value: bytes) -> bytes:
    return struct.pack("!i", len(value)) + value


def _encoded(batch: Sequence[Sent]) -> bytes:
    end = struct.pack("!i", -1)
    message = b"I"
    for number, request in enumerate(batch):
        message += _text(f"id-{number}".encode())
        for name, value in request.headers.items():
            message += _text(name.encode()) + _text(value.encode())
        message += end
        for part in request.parts:
            message += _text(part.name.encode()) + _text(part.content_type.encode()) + _text(part.value)
        message += end
    return message + end


def _decoded(message: bytes) -> tuple[int, list[Got]]:
    """As TorchServe's `ModelResponseDecoder` reads it: lengths first."""
    stream = BytesIO(message)

    def number() -> int:
        value: int = struct.unpack("!i", stream.read(4))[0]
        return value

    def text() -> bytes:
        return stream.read(number())

    code, _ = number(), text()
    got: list[Got] = []
    while (length := number()) != -1:
        assert stream.read(length) == f"id-{len(got)}".encode()
        content_type, status, phrase = text().decode(), number(), text().decode("ascii")
        headers = {text().decode(): text().decode() for _ in range(number())}
        got.append(Got(status, phrase, content_type, headers, text()))
    assert stream.read() == b""
    return code, got
