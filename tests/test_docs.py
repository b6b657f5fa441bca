from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from PIL.PngImagePlugin import MAX_TEXT_CHUNK
from tests.conftest import REPOSITORY
from tests.support import documents

from visionserve.archiver.models.spec import HandlerSpec
from visionserve.runtime.decoders import limits
from visionserve.runtime.pictures import formats, gate, tiff
from visionserve.runtime.wire import errors, json_document
from visionserve.runtime.wire.errors import RequestError
from visionserve.server import edge
from visionserve.server.edge import configuration


def test_the_openapi_file_is_valid() -> None:
    OpenAPIV31SpecValidator(yaml.safe_load(documents.OPENAPI.read_text())).validate()


def test_every_error_of_the_code_is_in_the_table_and_no_other() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RequestError)]
    assert documents.error_table() == {kind.type: kind.status for kind in kinds}


def test_every_error_of_the_edge_is_in_its_table_and_no_other() -> None:
    template = (Path(edge.__file__).parent / "haproxy.cfg.j2").read_text()
    written = re.findall(r'answer\((\d+), "(\w+)"', template) + re.findall(r'error\((\d+), "(\w+)"', template)
    own = {(status, kind) for status, kind, _ in (*configuration.ERRORS, *configuration.WAITS) if status != 502}
    assert documents.edge_errors() == own | {(int(status), kind) for status, kind in written}


def test_every_command_of_the_contract_promises_a_status() -> None:
    blocks = documents.shell_blocks()
    assert len(blocks) >= 10
    for block in blocks:
        assert len(documents.promised(block)) == len(re.findall("^curl", block, re.MULTILINE)) > 0


def test_the_limits_in_the_contract_are_the_codes() -> None:
    text = documents.API.read_text()
    spec = HandlerSpec(architecture="resnet50")
    assert f"`handler.maxPixels` ({spec.max_pixels // 1_000_000} million)" in text
    assert f"`handler.maxImages` ({spec.max_images})" in text
    assert formats.TAKEN in text
    assert (json_document._MAX_VALUES, json_document._MAX_PARTS) == (5_000_000, 250_000)
    assert "five million values and 250,000 lists, objects and names" in " ".join(text.split())


def test_what_a_picture_may_cost_in_the_contract_is_the_codes() -> None:
    text = " ".join(documents.API.read_text().split())
    assert gate.MAX_PNG_CHUNKS == gate.MAX_WEBP_CHUNKS
    assert (tiff._TILED_SHARE, tiff._READ_SHARE) == (4, 2)
    for bound in (
        f"{gate.MAX_JPEG_SEGMENTS:,} segments, {gate.MAX_JPEG_SCANS} of them scans; {gate.MAX_JPEG_FILL:,} bytes",
        f"| PNG, WebP | {gate.MAX_PNG_CHUNKS:,} chunks; compressed metadata of {MAX_TEXT_CHUNK >> 20} MB",
        f"{gate.MAX_GIF_BLOCKS:,} blocks ahead of the first frame",
        f"{gate.MAX_BMP_RUNS >> 20} MiB if it is run-length coded",
        f"{tiff.MAX_ENTRIES:,} tags of {tiff.MAX_VALUES:,} values, {tiff.MAX_TRANSFER_VALUES:,} of a transfer",
        f"tiles of 4 times the picture, or of {tiff.MAX_TILED_PIXELS // 1_000_000} million pixels together",
        f"strips and tiles that cover the picture {tiff.MAX_LAYERS} times",
        f"strips and tiles of twice the file, or of {tiff.MAX_READ >> 20} MiB together",
        f"with {limits.MEMORY // 1_000_000} MB beside {limits.BYTES_PER_PIXEL} bytes for each pixel",
        f"together may take {limits.CPU_SECONDS} seconds of a core",
    ):
        assert bound in text


def test_each_promise_of_security_names_tests_that_are_there() -> None:
    promised = (REPOSITORY / "SECURITY.md").read_text().partition("## What is promised")[2]
    rows = re.findall(r"^\| (?!promise|-)(.+) \| (.+) \|$", promised, re.MULTILINE)
    assert len(rows) >= 10
    for promise, shown_by in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", shown_by)
        assert named, promise
        for file, test in named:
            module = ast.parse((REPOSITORY / file).read_bytes())
            assert test in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}, (
                promise,
                test,
            )
