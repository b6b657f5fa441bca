"""Signing an archive."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.signatures import bundle

if TYPE_CHECKING:
    from visionserve.signatures.bundle import Bundle
    from visionserve.signatures.keys import PrivateKey


def sign(archive: Path, key: PrivateKey) -> Bundle:
    """Write an archive's signature beside it, whole or not at all; one that is there is replaced.

    Args:
        archive: The .mar, which stays as it is.
        key: What signs.

    Returns:
        The signature as it was written.

    Raises:
        OSError: The archive cannot be read, or its folder not written.
    """
    from model_signing import hashing, signing

    target = bundle.path_of(archive)
    handle, temporary = tempfile.mkstemp(dir=archive.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        config = signing.Config()
        # It asks for text, and hands it on to where bytes are wanted.
        signer = config.use_elliptic_key_signer(private_key=key.path, password=key.passphrase)  # type: ignore[arg-type]
        signer.set_hashing_config(hashing.Config().set_allow_symlinks(True)).sign(archive, temporary)
        Path(temporary).chmod(0o644)
        # Not written to: it may be a link that somebody put there.
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return bundle.read(archive)
