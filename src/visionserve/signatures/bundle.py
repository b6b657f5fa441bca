"""The signature that lies beside an archive: a Sigstore bundle as model-signing writes it, over that one file."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visionserve.signatures import files
from visionserve.signatures.errors import SignatureError, Unsigned

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".sig"

_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Bundle:
    """What a signature says. Nothing of it is proven: `verification` does that.

    Attributes:
        archive: The archive that it lies beside.
        key: The fingerprint of the key that it names.
        subject: What the archive was called when it was signed.
        sha256: The digest of the archive that was signed, in hexadecimal.
        payload: The statement that was signed, in base64.
        signature: The signature of that, in base64.
    """

    archive: Path
    key: str
    subject: str
    sha256: str
    payload: str
    signature: str

    def document(self) -> bytes:
        """The bundle with nothing but what was understood of it.

        The library that verifies it reads a file again, in its own way: so there is only one way to read it.
        """
        signature = {"sig": self.signature, "keyid": ""}
        return json.dumps(
            {
                "mediaType": _BUNDLE,
                "verificationMaterial": {"publicKey": {"hint": self.key}, "tlogEntries": []},
                "dsseEnvelope": {"payload": self.payload, "payloadType": _PAYLOAD, "signatures": [signature]},
            }
        ).encode()


def path_of(archive: Path) -> Path:
    """Where an archive's signature lies, be it there or not."""
    return archive.with_name(archive.name + SUFFIX)


def read(archive: Path) -> Bundle:
    """The signature beside an archive.

    Raises:
        Unsigned: There is none.
        SignatureError: It cannot be read, or is no signature of one file made with a key.
    """
    try:
        data = files.read(path_of(archive), "signature")
    except FileNotFoundError:
        raise Unsigned(
            f"{archive} is not signed: there is no {path_of(archive).name} beside it; 'visionserve sign {archive}"
            " --key FILE' makes one"
        ) from None
    return parse(data, archive)


def parse(data: bytes, archive: Path) -> Bundle:
    """What a signature of that archive says.

    Raises:
        SignatureError: It is no signature of one file made with a key.
    """
    try:
        document = json.loads(data)
        envelope = document["dsseEnvelope"]
        (signature,) = envelope["signatures"]
        payload = _text(envelope["payload"])
        statement = json.loads(_decoded(payload))
        (subject,) = statement["subject"]
        kinds = document["mediaType"], envelope["payloadType"], statement["_type"], statement["predicateType"]
        if kinds != (_BUNDLE, _PAYLOAD, _STATEMENT, _PREDICATE):
            raise ValueError(kinds)
        return Bundle(
            archive=archive,
            key=_digest(document["verificationMaterial"]["publicKey"]["hint"]),
            subject=_text(subject["name"]),
            sha256=_digest_of_one_file(statement["predicate"]["resources"]),
            payload=payload,
            signature=_text(signature["sig"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SignatureError(
            f"{path_of(archive)} is no signature of one archive made with a key; 'visionserve sign' makes them,"
            " and model-signing 1.1 or newer"
        ) from error


def _digest_of_one_file(resources: Any) -> str:
    """The digest of the file that was signed.

    A folder's signature says nothing of a file, and one of no files at all, which model-signing makes when it is
    told to ignore the only one, would fit every archive.
    """
    (resource,) = resources
    if (resource["name"], resource["algorithm"]) != (".", "sha256"):
        raise ValueError(resource)
    return _digest(resource["digest"])


def _text(value: Any) -> str:
    """A text that can be written down again, which half a surrogate pair cannot."""
    if not isinstance(value, str):
        raise TypeError(type(value))
    value.encode()
    return value


def _digest(value: Any) -> str:
    if _DIGEST.fullmatch(_text(value)) is None:
        raise ValueError(value)
    return str(value)


def _decoded(text: str) -> bytes:
    """Base64 that has one reading only."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError(text)
    return data
