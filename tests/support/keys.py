"""Keys of every kind, in PEM files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from visionserve.signatures.keys import PrivateKey, PublicKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PASSPHRASE = "correct horse"
KINDS: dict[str, Callable[[], PrivateKeyTypes]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


@dataclass(frozen=True)
class Files:
    """A pair of keys in PEM files."""

    private: Path
    public: Path

    def signs(self) -> PrivateKey:
        return PrivateKey.read(self.private)

    def verifies(self) -> PublicKey:
        return PublicKey.read(self.public)


def write(folder: Path, name: str, kind: str = "P-256", passphrase: str | None = None) -> Files:
    """A pair of that kind, readable as it should be: NAME.key and NAME.pub."""
    key = KINDS[kind]()
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    files = Files(folder / f"{name}.key", folder / f"{name}.pub")
    files.private.touch(mode=0o600)
    files.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    files.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    files.public.chmod(0o644)
    return files
