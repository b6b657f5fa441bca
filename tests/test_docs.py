from __future__ import annotations

import ast
import re

import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.conftest import REPOSITORY
from tests.support import documents

from visionserve.archiver.models.spec import HandlerSpec
from visionserve.runtime.pictures import formats
from visionserve.runtime.wire import errors
from visionserve.runtime.wire.errors import RequestError


def test_the_openapi_file_is_valid() -> None:
    OpenAPIV31SpecValidator(yaml.safe_load(documents.OPENAPI.read_text())).validate()


def test_every_error_of_the_code_is_in_the_table_and_no_other() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RequestError)]
    assert documents.error_table() == {kind.type: kind.status for kind in kinds}


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
