"""What a `config.properties` may not open.

TorchServe gets no security fixes: nobody but this machine may reach it, no code gets into it but that of the
archives that are served, and others ask the edge.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from visionserve.server.errors import ServerError
from visionserve.server.settings.kinds import Address

if TYPE_CHECKING:
    from visionserve.server.settings.properties import Properties

_ADDRESSES = ("inference_address", "management_address", "metrics_address")
_GRPC = ("grpc_inference_address", "grpc_management_address")
_EDGE = "to be reached from elsewhere, write edge.address into server.yaml"

# A URL that begins with one host, or one folder: in a pattern only these stand for themselves.
_LITERAL = r"(?:[\w%@:-]|\\[.\-])+"
_ONE_HOST = rf"(?:https?|https\?|http\(s\)\?)://{_LITERAL}/(?![?*{{])[^|]*"
_ONE_FOLDER = rf"file:///?{_LITERAL}(?:/(?![?*{{])[^|]*)?"
_ONE_PLACE = re.compile(f"{_ONE_HOST}|{_ONE_FOLDER}")

# What each would open, were it true.
_FLAGS = {
    "enable_model_api": "it lets whoever reaches the management address load code",
    "enable_envvars_config": "it lets variables of the environment override what is written and checked here",
    "use_env_allowed_urls": "it takes the URLs that code may come from out of the environment, unchecked",
    "install_py_dep_per_model": "it has an archive install packages where it is served, from wherever pip is told"
    " to look; install them in the environment that runs visionserve",
}


def require_closed(properties: Properties) -> None:
    """Check that the settings open nothing.

    Raises:
        ServerError: Names the first setting that does, why it is none to serve with, and what to write.
    """
    values = properties.values
    for key in _ADDRESSES:
        address = Address.read(values[key])
        if not address.path and not _is_loopback(address.host):
            raise _refused(key, values[key], f"{_why_closed(key)}; write http://127.0.0.1:PORT")
        if address.scheme == "https":
            _require_certificate(properties, key)
    for key in _GRPC:
        if key in values and not _is_loopback(values[key]):
            raise _refused(key, values[key], f"{_why_closed(key)}; write 127.0.0.1")
    if _is_on(properties, "enable_grpc_ssl"):
        _require_certificate(properties, "enable_grpc_ssl")
    for key, reason in _FLAGS.items():
        if _is_on(properties, key):
            raise _refused(key, values[key], f"{reason}; write {key}=false")
    if not _is_on(properties, "disable_token_authorization"):
        raise _refused(
            "disable_token_authorization",
            values.get("disable_token_authorization", "false"),
            "TorchServe's tokens are new at every start and expire, so neither clients nor visionserve could keep"
            " one; every address here is loopback, and keys for the edge are server.yaml's keys.file",
        )
    for pattern in values.get("allowed_urls", ".*").split(","):
        if _ONE_PLACE.fullmatch(pattern) is None:
            raise _refused(
                "allowed_urls",
                pattern,
                "it could match a URL of anybody's, and code is loaded from there; begin with one host or folder,"
                r" its dots written \\., without |, as https://models\\.example\\.com/.*, or take"
                " file://none-allowed",
            )


def overridden(properties: Properties) -> list[str]:
    """What is written and does not count here, a sentence each, though plain `torchserve` goes by it."""
    served = "what is served is what 'visionserve serve' is given"
    reasons = {
        "load_models": served,
        "models": "each archive brings its own settings; write them into models/NAME.yaml",
    }
    return [
        f"{key} in config.properties does not count: {reason}"
        for key, reason in reasons.items()
        if key in properties.values
    ]


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_on(properties: Properties, key: str) -> bool:
    return properties.values.get(key, "false").lower() == "true"


def _why_closed(key: str) -> str:
    if "management" in key:
        return "whoever reaches it may load and remove models"
    if "metrics" in key:
        return f"it asks nobody for a key; {_EDGE}, whose /metrics has keys"
    return f"TorchServe gets no security fixes, and tokens are off; {_EDGE}"


def _require_certificate(properties: Properties, key: str) -> None:
    has = properties.values.keys()
    if "keystore" not in has and not {"private_key_file", "certificate_file"} <= has:
        raise _refused(
            key,
            properties.values[key],
            "TorchServe would make itself a certificate that nobody can check; name keystore, or private_key_file"
            " and certificate_file, or leave TLS to the edge: edge.certificate in server.yaml",
        )


def _refused(key: str, value: str, reason: str) -> ServerError:
    return ServerError(f"config.properties: {key}={value} is not served with: {reason}")
