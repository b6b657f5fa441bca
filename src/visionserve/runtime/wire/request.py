"""One request as a server hands it over: named fields and headers, whichever server it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


@dataclass(frozen=True)
class Request:
    """What a server knows of one request.

    Attributes:
        fields: `body` for a raw body, the parts' names for multipart; bytes, or an already parsed JSON document.
        sent: Headers by name as sent, and for every field a mapping with its own `content-type`.
    """

    fields: Mapping[str, Any]
    sent: Mapping[str, Any] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name, or None."""
        wanted = name.lower()
        return next(
            (
                value.strip()
                for key, value in self.sent.items()
                if key.lower() == wanted and isinstance(value, str)
            ),
            None,
        )

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty when there is none."""
        return (self.header("Content-Type") or "").split(";")[0].strip().lower()

    def is_file(self, name: str) -> bool:
        """Whether a field was sent as a file: text fields of a form have no content type."""
        part = self.sent.get(name)
        return not isinstance(part, dict) or bool(part.get("content-type"))

    @property
    def asks_description(self) -> bool:
        """Whether this is the management API's call for a description.

        That call alone has no field at all. A prediction with a forged header has the field `body`, even when it
        is empty, unless it is an empty form.
        """
        return not self.fields and self.media_type not in _FORMS and self._is_true("describe")

    @property
    def asks_explanation(self) -> bool:
        """Whether this came by the explanations API, or says so."""
        return self._is_true("explain")

    def _is_true(self, name: str) -> bool:
        return (self.header(name) or "").lower() == "true"
