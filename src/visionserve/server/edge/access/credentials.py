"""Keys and certificate of an edge: those of their files or, while a file is bad, those that were good before."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from visionserve.server import private_file
from visionserve.server.edge import control
from visionserve.server.edge.access import client_keys
from visionserve.server.edge.access.client_keys import Key
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from visionserve.server.settings.serving import EdgeSettings, Serving

logger = logging.getLogger(__name__)

CERTIFICATE = "certificate.pem"

T = TypeVar("T")


class Credentials:
    """Gives HAProxy what it is to know of them.

    What it was given last lies in its folder, and is good: what it refuses is taken back.

    Args:
        settings: How to serve; nothing in it may be left open.
        folder: HAProxy's private folder.

    Attributes:
        trouble: What is wrong with a file whose content of before is used; empty if nothing is.
    """

    def __init__(self, settings: Serving, folder: Path) -> None:
        self._edge, self._keys = settings.edge, settings.keys
        self._given, self._map = folder / CERTIFICATE, folder / control.KEYS
        self._before: bytes | None = None
        self.trouble = ""

    def give(self, *, strict: bool) -> list[Key]:
        """Put the certificate where HAProxy reads it, and return the keys.

        Args:
            strict: Whether a bad file is an error even though there is a good content of before.

        Raises:
            ServerError: A file cannot be read, or is none.
        """
        self.trouble = ""
        self._before = self._given.read_bytes() if self._given.exists() else None
        if self._edge.certificate is not None:
            pem = self._or_before(lambda: certificate(self._edge), self._before, "certificate", strict)
            private_file.write(self._given, pem)
        if self._keys is None:
            return []
        file = Path(self._keys.file)
        return self._or_before(lambda: client_keys.read(file), _mapped(self._map), "keys", strict)

    def take_back(self, complaint: str) -> bool:
        """Put the certificate of before in the place of one that HAProxy refuses, if that is another one."""
        if self._before is None or self._before == self._given.read_bytes():
            return False
        private_file.write(self._given, self._before)
        self._tell(f"{self._edge.certificate}: HAProxy refuses it: {complaint.rstrip('.')}", "certificate")
        return True

    def _or_before(self, read: Callable[[], T], before: T | None, what: str, strict: bool) -> T:
        try:
            return read()
        except ServerError as error:
            if before is None:
                raise
            self._tell(str(error), what)
            if strict:
                raise
            return before

    def _tell(self, wrong: str, what: str) -> None:
        said = f"{wrong}; the {what} of before {'are' if what == 'keys' else 'is'} used"
        self.trouble = "; ".join(filter(None, (self.trouble, said)))
        logger.warning("%s", said)


def require_readable(settings: Serving) -> None:
    """Check that keys and certificate can be read.

    Raises:
        ServerError: One cannot.
    """
    certificate(settings.edge)
    if settings.keys is not None:
        client_keys.read(Path(settings.keys.file))


def certificate(edge: EdgeSettings) -> bytes:
    """What its files hold of a certificate, those that signed it, and its key.

    Raises:
        ServerError: One cannot be read.
    """
    try:
        return b"\n".join(Path(part).read_bytes() for part in (edge.certificate, edge.certificate_key) if part)
    except OSError as error:
        raise ServerError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _mapped(path: Path) -> list[Key] | None:
    """The keys that HAProxy was given; None if it was given none yet."""
    if not path.exists():
        return None
    pairs = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return [Key(name, digest) for digest, name in pairs]
