"""A request's body to encoded pictures.

TorchServe hands over a mapping of field name to value: `body` for a raw body, the field's name for multipart,
and, where the content type was JSON, the already parsed document. Accepted forms:

    raw body                              one picture
    multipart field `data` or `body`      one picture
    {"instances": [{"b64": "..."}, ...]}   any number, answered as {"predictions": [...]}
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visionserve.runtime.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELDS = ("data", "body")
_FORMS = 'send the image as the body, as multipart field "data", or as {"instances": [{"b64": "..."}]}'


@dataclass(frozen=True)
class Payload:
    """The encoded pictures of one request.

    Attributes:
        pictures: At least one.
        listed: Whether the client sent a list and expects `{"predictions": [...]}`.
    """

    pictures: tuple[bytes | bytearray, ...]
    listed: bool


def parse(fields: Mapping[str, Any]) -> Payload:
    """Find the pictures in a request.

    Raises:
        InvalidRequest: The body is empty or none of the accepted forms.
    """
    value = next((fields[name] for name in _FIELDS if fields.get(name) is not None), None)
    if value is None or (isinstance(value, (bytes, bytearray, str)) and len(value) == 0):
        raise InvalidRequest(f"the request has no body; {_FORMS}")
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, (bytes, bytearray)):
        if value.lstrip()[:1] != b"{":
            return Payload((value,), listed=False)
        try:
            value = json.loads(value)
        except ValueError:
            raise InvalidRequest(f"the body starts like JSON and is not; {_FORMS}") from None
    return Payload(_instances(value), listed=True)


def _instances(document: Any) -> tuple[bytes, ...]:
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or not instances:
        raise InvalidRequest(f'the JSON body has no list "instances"; {_FORMS}')
    pictures = []
    for position, instance in enumerate(instances):
        encoded = instance.get("b64") if isinstance(instance, dict) else None
        if not isinstance(encoded, str):
            raise InvalidRequest(f'instances[{position}] has no text "b64"; {_FORMS}')
        try:
            pictures.append(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            raise InvalidRequest(f'instances[{position}]."b64" is not valid base64') from None
    return tuple(pictures)
