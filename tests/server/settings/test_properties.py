"""config.properties means to us what it means to Java."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import REPOSITORY

from visionserve.server.errors import ServerError
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

MULTI_LINE = """\
models={\\
  "resnet50": {\\
    "1.0": {"marName": "resnet50.mar", "minWorkers": 2}\\
  }\\
}
# a comment = no key
! nor is this = one
allowed_urls=file://none-allowed
inference_address : http://127.0.0.1:9080
vmargs -Xmx1g
name=Z\\u00fcrich
"""


def test_a_value_of_several_lines_leaves_the_key_after_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.properties"
    path.write_text(MULTI_LINE)
    values = Properties.read(path).values
    assert values["allowed_urls"] == "file://none-allowed"
    assert values["models"] == '{"resnet50": {"1.0": {"marName": "resnet50.mar", "minWorkers": 2}}}'
    assert values["inference_address"] == "http://127.0.0.1:9080"
    assert values["vmargs"] == "-Xmx1g"
    assert values["name"] == "Z\u00fcrich"
    assert not {"# a comment", "! nor is this"} & set(values)


def test_what_a_file_leaves_open_is_as_shipped(tmp_path: Path) -> None:
    path = tmp_path / "config.properties"
    path.write_text("inference_address=http://127.0.0.1:9080\nmax_request_size=1000\n")
    values = Properties.read(path).values
    shipped = Properties.read(REPOSITORY / "config.properties").values
    changed = {"inference_address": "http://127.0.0.1:9080", "max_request_size": "1000"}
    assert values == {**shipped, **changed}
    assert values["enable_model_api"] == "false"


def test_java_reads_what_we_write(tmp_path: Path) -> None:
    """Java's own reader is asked, in a program that Java compiles as it starts."""
    source = tmp_path / "config.properties"
    source.write_text(MULTI_LINE)
    rendered = tmp_path / "rendered.properties"
    properties = Properties.read(source)
    properties.write(rendered)
    program = tmp_path / "Show.java"
    program.write_text(
        "import java.io.*; import java.util.*; public class Show { public static void main(String[] a) throws"
        " Exception { Properties p = new Properties(); p.load(new FileInputStream(a[0]));"
        " for (String key : new TreeSet<>(p.stringPropertyNames()))"
        ' System.out.println(key + "\\t" + p.getProperty(key)); } }'
    )
    if shutil.which("javac") is None:
        pytest.skip("no Java with a compiler here: apt-get install default-jdk-headless")
    for path in (source, rendered):
        printed = subprocess.run(
            ["java", "-Dstdout.encoding=UTF-8", program, path],
            capture_output=True,
            text=True,
            check=True,
            encoding="utf-8",
            timeout=60,
        ).stdout
        read = dict(line.split("\t") for line in printed.splitlines())
        assert {key: properties.values[key] for key in read} == read
        assert read["allowed_urls"] == "file://none-allowed"


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=4))
def test_any_settings_survive_being_written_and_read(values: dict[str, str]) -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.properties"
        properties = Properties({}).replace(**values)
        properties.write(path)
        assert {key: value for key, value in Properties.read(path).values.items() if key in values} == values


def test_a_damaged_escape_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.properties"
    path.write_text("key=C:\\users\n")
    with pytest.raises(ServerError, match=r"config\.properties: cannot be read: .*users"):
        Properties.read(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("grpc_inference_port", "abc"),
        ("grpc_inference_port", "99999999"),
        ("inference_address", "http://127.0.0.1:notaport"),
        ("inference_address", "http://127.0.0.1:99999"),
        ("management_address", "http://[::1"),
    ],
)
def test_an_impossible_address_is_named(key: str, value: str) -> None:
    settings = Properties.read(REPOSITORY / "config.properties").on_free_ports().replace(**{key: value})
    with pytest.raises(ServerError, match=rf"config\.properties: {key}=.* is no address"):
        settings.require_free_ports()
