"""config.properties means to us what it means to Java."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import REPOSITORY

from visionserve.server.errors import ServerError
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    values = Properties.parse(path)
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
    properties = Properties(Properties.parse(source))
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
        assert Properties.parse(path) == values


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


def written(folder: Path, text: str) -> Path:
    path = folder / "config.properties"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("job_queue_sise=100", r"knows no key 'job_queue_sise' \(did you mean 'job_queue_size'\?\)"),
        ("maxRequestSize=1000", r"knows no key 'maxRequestSize' \(did you mean 'max_request_size'\?\)"),
        ("zzz=1", r"knows no key 'zzz'$"),
        ("job_queue_size=many", r"job_queue_size is 'many': it must be a whole number of at least 1"),
        ("job_queue_size=0", r"job_queue_size is '0': it must be a whole number of at least 1"),
        ("max_request_size=3000000000", r"max_request_size is '3000000000': it must be a whole number"),
        ("max_request_size=20 MB", r"max_request_size is '20 MB': it must be a whole number"),
        ("io_ratio=101", r"io_ratio is '101': it must be a whole number of at least 1 and at most 100"),
        ("token_expiration_min=soon", r"token_expiration_min is 'soon': it must be a number above 0"),
        ("async_logging=yes", r"async_logging is 'yes': it must be one of true, false"),
        # Java keeps the blank, and then takes it for false.
        ("async_logging=true ", r"async_logging is 'true ': it must be one of true, false"),
        ("metrics_mode=prometeus", r"metrics_mode is 'prometeus': it must be one of log, prometheus, legacy"),
        ("inference_address=127.0.0.1:8080", r"inference_address is '127.0.0.1:8080': it must be an address"),
        ("inference_address=http://127.0.0.1:99999", r"it must be an address such as"),
        ("inference_address=http://[::1]:8080", r"it must be an address such as"),
        ("inference_address=http://127.0.0.1:8080/v1", r"it must be an address such as"),
        ("grpc_inference_address=http://127.0.0.1", r"it must be an IP address or the name of a host"),
        ("grpc_inference_port=70700", r"it must be a whole number of at least 0 and at most 65535"),
        ("blacklist_env_vars=(AWS_.*", r"blacklist_env_vars is '\(AWS_\.\*': it must be a regular expression"),
        ("allowed_urls=https://a/.*,(", r"it must be regular expressions with commas between"),
        ("models={resnet50}", r"it must be a JSON document of models"),
        ("metrics_config=nowhere.yaml", r"metrics_config is 'nowhere.yaml': there is no file /.*/nowhere.yaml"),
        ("model_snapshot={}", r"model_snapshot={} is not taken: it would load models beside those"),
        ("plugins_path=plugins", r"plugins_path=plugins is not taken: code beside TorchServe's own"),
        ("keystore_pass=$$NO_SUCH_VARIABLE$$", r"keystore_pass names the environment variable NO_SUCH_VARIABLE"),
    ],
)
def test_what_torchserve_would_not_take_is_refused_by_its_key(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=rf"config\.properties: .*{said}"):
        Properties.read(written(tmp_path, f"{line}\n"))


@pytest.mark.parametrize(
    "line",
    [
        "inference_address=unix:/run/visionserve/inference.sock",
        "inference_address=http://localhost",
        "async_logging=True",
        "metrics_mode=PROMETHEUS",
        "blacklist_env_vars=\\\\p{Upper}+",  # a pattern of Java's that Python does not know
        "grpc_inference_port=0",
        "token_expiration_min=.5",
        "vmargs=",
        'models={"a": {"1.0": {"marName": "a.mar"}}}',
    ],
)
def test_what_torchserve_takes_is_taken(line: str, tmp_path: Path) -> None:
    key, _, value = line.partition("=")
    assert Properties.read(written(tmp_path, f"{line}\n")).values[key] == value.replace("\\\\", "\\")


def test_variables_are_filled_in_before_anything_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_TO_BIND", "0.0.0.0")
    path = written(tmp_path, "management_address=http://$$HOST_TO_BIND$$:8081\n")
    assert Properties.read(path).values["management_address"] == "http://0.0.0.0:8081"
    monkeypatch.setenv("HOST_TO_BIND", "$$OTHER$$")
    with pytest.raises(ServerError, match="it must be an address"):
        Properties.read(path)


def test_a_file_is_looked_for_beside_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TorchServe itself is started in a folder of its own."""
    (tmp_path / "metrics.yaml").touch()
    path = written(tmp_path, "metrics_config=metrics.yaml\n")
    monkeypatch.chdir(tmp_path.parent)
    assert Properties.read(path).values["metrics_config"] == str(tmp_path / "metrics.yaml")


def test_an_instance_serves_what_is_asked_for_alone(tmp_path: Path) -> None:
    path = written(tmp_path, 'load_models=all\nmodels={"a": {"1.0": {"marName": "a.mar"}}}\nmodel_store=/srv\n')
    given = Properties.read(path).for_instance(tmp_path / "store", tmp_path / "workflows").values
    assert not {"load_models", "models"} & given.keys()
    assert given["model_store"] == str(tmp_path / "store")
    assert given["workflow_store"] == str(tmp_path / "workflows")


def test_what_is_shown_is_what_is_written_but_passwords(tmp_path: Path) -> None:
    properties = Properties.read(written(tmp_path, "keystore_pass=hush\n"))
    properties.write(tmp_path / "rendered.properties")
    assert (tmp_path / "rendered.properties").read_text() == properties.render()
    shown = properties.render(hide_secrets=True).splitlines()
    assert [line for line in properties.render().splitlines() if line not in shown] == ["keystore_pass=hush"]
    assert "keystore_pass=***" in shown
    assert [line.partition("=")[0] for line in shown] == sorted(properties.values)


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """A user who may not open every port."""
    lowest = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if not lowest.exists() or int(lowest.read_text()) < 90:
        pytest.skip("every user may open port 81 here")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.usefixtures("unprivileged")
def test_a_port_that_is_not_permitted_is_not_called_in_use() -> None:
    shipped = Properties.read(REPOSITORY / "config.properties").on_free_ports()
    with pytest.raises(
        ServerError, match=r"port 81 \(management_address .*\) is not permitted to this user; choose"
    ):
        shipped.replace(management_address="http://127.0.0.1:81").require_free_ports()


def test_a_port_is_looked_for_on_its_own_address() -> None:
    shipped = Properties.read(REPOSITORY / "config.properties").on_free_ports()
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=rf"port {port} \(metrics_address in config\.properties\) is in use"):
            shipped.replace(metrics_address=f"http://127.0.0.2:{port}").require_free_ports()
        shipped.replace(metrics_address=f"http://127.0.0.3:{port}").require_free_ports()
