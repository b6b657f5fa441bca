"""What opens the server is refused, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY

from visionserve.server.errors import ServerError
from visionserve.server.settings import safety
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shipped() -> Properties:
    return Properties.read(REPOSITORY / "config.properties")


def test_what_is_shipped_is_closed(shipped: Properties, tmp_path: Path) -> None:
    safety.require_closed(shipped)
    safety.require_closed(shipped.on_free_ports())
    safety.require_closed(shipped.on_sockets(tmp_path))
    assert safety.overridden(shipped) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "inference_address",
            "http://0.0.0.0:8080",
            "write edge.address into server.yaml; write http://127.0.0.1",
        ),
        ("inference_address", "http://192.168.1.5:8080", "edge.address"),
        ("inference_address", "http://example.com:8080", "edge.address"),
        # Java takes it for 127.0.0.1, others for something else.
        ("inference_address", "http://127.1:8080", "edge.address"),
        ("management_address", "http://0.0.0.0:8081", "may load and remove models"),
        ("metrics_address", "http://0.0.0.0:8082", "asks nobody for a key; .*edge.address"),
        ("grpc_inference_address", "0.0.0.0", "edge.address"),
        ("grpc_inference_address", "::", "edge.address"),
        ("grpc_management_address", "0.0.0.0", "may load and remove models"),
        ("inference_address", "https://127.0.0.1:8443", "a certificate that nobody can check; .*edge.certificate"),
        ("enable_grpc_ssl", "true", "a certificate that nobody can check"),
        ("enable_model_api", "true", "load code"),
        ("enable_model_api", "True", "load code"),
        ("enable_envvars_config", "true", "override what is written"),
        ("use_env_allowed_urls", "true", "unchecked"),
        ("install_py_dep_per_model", "true", "install packages"),
        ("disable_token_authorization", "false", "tokens are new at every start .*keys.file"),
    ],
)
def test_what_opens_the_server_is_refused_with_the_reason(
    key: str, value: str, said: str, shipped: Properties
) -> None:
    with pytest.raises(ServerError, match=rf"config\.properties: {key}={value} is not served with: .*{said}"):
        safety.require_closed(shipped.replace(**{key: value}))


@pytest.mark.parametrize("key", ["management_address", "metrics_address", "grpc_management_address"])
def test_tokens_open_no_address(key: str, shipped: Properties) -> None:
    """With TorchServe's tokens on, these are refused all the same."""
    value = "0.0.0.0" if key.startswith("grpc") else "http://0.0.0.0:9000"
    with pytest.raises(ServerError, match=key):
        safety.require_closed(shipped.replace(disable_token_authorization="false", **{key: value}))


@pytest.mark.parametrize(
    "pattern",
    [
        ".*",
        "",
        "https?://.*",
        "http(s)?://.*",
        "file://.*",
        "file:///.*",
        "file:///?.*",
        "https://models.example.com/.*",  # a dot is any character, and that domain may be anybody's
        r"https://models\.example\.com.*",
        r"https://models\.example\.com/?.*",
        r"https://models\.example\.com/.*|.*",
        r"https://(models\.)?example\.com/.*",
        r"https://.*\.example\.com/.*",
        r"file://none-allowed,.*",
        r".*models\.example\.com/.*",
    ],
)
def test_urls_that_could_be_anybodys_are_refused(pattern: str, shipped: Properties) -> None:
    with pytest.raises(ServerError, match=r"allowed_urls=.* a URL of anybody's"):
        safety.require_closed(shipped.replace(allowed_urls=pattern))


@pytest.mark.parametrize(
    "pattern",
    [
        "file://none-allowed",
        "file:///srv/models/.*",
        r"https://models\.example\.com/.*\.mar",
        r"https?://models\.example\.com:8443/a/.*,file:///srv/.*",
        r"http(s)?://localhost/.*",
    ],
)
def test_urls_of_one_place_are_taken(pattern: str, shipped: Properties) -> None:
    safety.require_closed(shipped.replace(allowed_urls=pattern))


def test_without_urls_torchserve_would_take_any(shipped: Properties) -> None:
    values = {key: value for key, value in shipped.values.items() if key != "allowed_urls"}
    with pytest.raises(ServerError, match="a URL of anybody's"):
        safety.require_closed(Properties(values))


@pytest.mark.parametrize(
    "certificate", [{"keystore": "k.p12"}, {"private_key_file": "k.pem", "certificate_file": "c.pem"}]
)
def test_tls_with_a_certificate_is_taken(certificate: dict[str, str], shipped: Properties) -> None:
    safety.require_closed(shipped.replace(inference_address="https://127.0.0.1:8443", **certificate))


def test_half_a_certificate_is_refused(shipped: Properties) -> None:
    with pytest.raises(ServerError, match="certificate that nobody can check"):
        safety.require_closed(
            shipped.replace(inference_address="https://127.0.0.1:8443", certificate_file="c.pem")
        )


def test_what_does_not_count_is_said(shipped: Properties) -> None:
    said = safety.overridden(shipped.replace(load_models="all", models="{}"))
    assert [sentence.split()[0] for sentence in said] == ["load_models", "models"]
    assert "what 'visionserve serve' is given" in said[0]
