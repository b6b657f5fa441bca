"""server.yaml's own checks."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY

from visionserve import schema
from visionserve.runtime.errors import SpecError
from visionserve.server.settings.serving import EdgeSettings, KeySettings, LimitSettings, Serving

if TYPE_CHECKING:
    from pathlib import Path


def test_the_environment_is_named_not_written(tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    path.write_text("environment: [DATABASE_URL, http_proxy]\n")
    assert Serving.read(path).environment == ("DATABASE_URL", "http_proxy")
    path.write_text("environment: [DATABASE_URL=postgres]\n")
    with pytest.raises(SpecError, match=r"environment holds 'DATABASE_URL=postgres': .* without its value"):
        Serving.read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "edge: {adress: a:1}",
            r"unknown key 'edge\.adress' \(did you mean 'address'\?\); allowed: accessLog, address",
        ),
        ("limits: {boddy: 1}", r"unknown key 'limits\.boddy' \(did you mean 'body'\?\)"),
        ("drain_seconds: 1", r"unknown key 'drain_seconds' \(did you mean 'drainSeconds'\?\)"),
        ("keys: keys", "keys is 'keys': it must be a mapping"),
        ("keys: {}", r"key 'keys\.file' is missing"),
        (
            "keys: {file: k, requestsPerSecond: -1}",
            r"keys\.requestsPerSecond is -1\.0: it must be 0 \(no limit\) or more",
        ),
        ("instances: 0", "instances is 0: it must be at least 1"),
        ("instances: '2'", "instances is '2': it must be a whole number"),
        ("drainSeconds: soon", "drainSeconds is 'soon': it must be a number"),
        ("instances: 26", "instances is 26: it must be at least 1 and at most 25"),
        ("drainSeconds: .inf", "drainSeconds is inf: it must be a finite number"),
        (
            "keys: {file: k, requestsPerSecond: .inf}",
            r"keys\.requestsPerSecond is inf: it must be a finite",
        ),
        (f"drainSeconds: 1{400 * '0'}", "drainSeconds is 10000.*: it must be a finite number"),
        ("keys: {file: 2026-13-45}", "cannot be read: month must be in 1..12"),
        ("[" * 5000, "cannot be read: "),
        ("drainSeconds: -1", r"drainSeconds is -1\.0: it must be 0 or more"),
        ("limits: {queue: 0}", r"limits\.queue is 0: it must be at least 1"),
        ("limits: {retriedBody: 1.5}", r"limits\.retriedBody is 1\.5: it must be a whole number"),
        ("limits: {body: 1000000000}", r"limits\.body is 1000000000: it must be less than 1000000000"),
        ("limits: {queueSeconds: 0}", r"limits\.queueSeconds is 0\.0: it must be more than 0"),
        ("edge: {accessLog: yesterday}", r"edge\.accessLog is 'yesterday': it must be true or false"),
        ("edge: {address: '8443'}", r"edge\.address is '8443': it must be host:port, such as"),
        ("edge: {address: '127.0.0.1:0'}", r"edge\.address is '127\.0\.0\.1:0'"),
        ("edge: {address: '127.0.0.1:65536'}", r"edge\.address is '127\.0\.0\.1:65536'"),
        ("edge: {address: 'a:1 ssl crt /etc'}", r"edge\.address is 'a:1 ssl crt /etc'"),
        ("edge: {certificateKey: key.pem}", r"edge\.certificateKey is given without edge\.certificate"),
        ("- edge", r"is \['edge'\]: it must be a mapping of keys to values"),
        ("edge: [", "cannot be read: "),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=said) as refused:
        Serving.read(path)
    assert str(refused.value).startswith(str(path))


def test_all_of_it_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    assert Serving.read(path) == Serving()
    path.write_text("# nothing yet\n")
    assert Serving.read(path) == Serving()
    path.write_text("edge: {address: '[::1]:8443'}\nlimits: {queueSeconds: 3}\n")
    said = Serving.read(path)
    assert (said.edge.address, said.limits.queue_seconds) == ("[::1]:8443", 3.0)


def test_what_is_left_open_is_as_config_properties_has_it(tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    path.write_text("edge: {certificate: tls/c.pem}\nkeys: {file: /etc/keys}\n")
    whole = Serving.read(path).completed(tmp_path, address="127.0.0.1:8080", body=20_000_000)
    assert (whole.edge.address, whole.limits.body) == ("127.0.0.1:8080", 20_000_000)
    assert whole.edge.certificate == str(tmp_path / "tls" / "c.pem")
    assert whole.keys is not None and whole.keys.file == "/etc/keys"


def test_the_page_for_production_has_every_setting_and_the_defaults(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "production.md").read_text()
    text = page.partition("## Settings: `server.yaml`")[2].partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "server.yaml"
    path.write_text(text)
    said = Serving.read(path)
    assert replace(said.limits, body=None) == LimitSettings()
    assert (said.instances, said.drain_seconds) == (Serving().instances, Serving().drain_seconds)
    for settings in (Serving, EdgeSettings, KeySettings, LimitSettings):
        for field in fields(settings):
            assert re.search(rf"^ *{schema.camel(field.name)}:", text, re.MULTILINE), field.name
