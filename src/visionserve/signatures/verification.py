"""Whether an archive is what somebody trusted has signed."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.runtime.errors import first_line
from visionserve.signatures import bundle
from visionserve.signatures.errors import SignatureError
from visionserve.signatures.keys import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.signatures.bundle import Bundle
    from visionserve.signatures.keys import PublicKey


def trusted(signature: Bundle, keys: Sequence[PublicKey]) -> PublicKey:
    """The key that a signature says it was made with, if it is one of these.

    Raises:
        SignatureError: It is another one.
    """
    for key in keys:
        if key.fingerprint == signature.key:
            return key
    raise SignatureError(
        f"{signature.archive} is signed by another key ({shortened(signature.key)}), not by"
        f" {' or '.join(key.named for key in keys)}"
    )


def verify(signature: Bundle, content: Path, keys: Sequence[PublicKey], called: str) -> PublicKey:
    """Check that one of the keys has signed just these bytes, under that name.

    Args:
        signature: What lay beside the archive.
        content: The bytes: the archive, or a copy of it that nobody else can change.
        keys: Who is trusted.
        called: The file name that the archive must have had when it was signed, so that no model takes the place
            of another one by the same signer.

    Returns:
        The key.

    Raises:
        SignatureError: None of them has.
        OSError: The content cannot be read.
    """
    from model_signing import hashing, verifying

    key = trusted(signature, keys)
    with content.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != signature.sha256:
            raise SignatureError(f"{signature.archive} is not what was signed: it has changed since")
    with tempfile.TemporaryDirectory(prefix="visionserve-") as folder:
        public, document = Path(folder) / "public.pem", Path(folder) / "bundle.sig"
        public.write_bytes(key.pem)
        document.write_bytes(signature.document())
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=public)
        try:
            verifier.set_hashing_config(hashing.Config().set_allow_symlinks(True)).verify(content, document)
        except OSError:  # of reading the content, or of the temporary folder
            raise
        except Exception as error:  # whatever the library raises of what a forger wrote
            raise SignatureError(
                f"{bundle.path_of(signature.archive)} is not the work of {key.named}, whose it says it is"
                f" ({first_line(error)})"
            ) from error
    if signature.subject != called:
        raise SignatureError(
            f"{signature.archive} was signed as {signature.subject[:80]!r}, not as {called!r}: give it that name,"
            " or sign it again"
        )
    return key
