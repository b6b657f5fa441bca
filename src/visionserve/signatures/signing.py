"""Signing an archive."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.runtime.errors import first_line
from visionserve.signatures import bundle
from visionserve.signatures.errors import SignatureError

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
        SignatureError: It has a name that a signature cannot hold.
        OSError: The archive cannot be read, or its folder not written.
    """
    from model_signing import hashing, signing

    with tempfile.TemporaryDirectory(prefix="visionserve-") as folder:
        # The library opens what it writes by name, and in the archive's folder others may have put a link there.
        written = Path(folder) / "bundle.sig"
        config = signing.Config().set_hashing_config(hashing.Config().set_allow_symlinks(True))
        # It asks for text, and hands it on to where bytes are wanted.
        config.use_elliptic_key_signer(private_key=key.path, password=key.passphrase)  # type: ignore[arg-type]
        try:
            config.sign(archive, written)
        except OSError:
            raise
        except Exception as error:  # whatever the library raises of what it cannot write down
            raise SignatureError(f"{archive} cannot be signed ({first_line(error)})") from error
        data = written.read_bytes()
    target = bundle.path_of(archive)
    handle, temporary = tempfile.mkstemp(dir=archive.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return bundle.parse(data, archive)
