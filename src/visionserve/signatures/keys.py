"""Elliptic-curve keys in PEM files: the private one signs, the public one verifies."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from visionserve.runtime.errors import first_line
from visionserve.signatures import files
from visionserve.signatures.errors import PassphraseNeeded, SignatureError

if TYPE_CHECKING:
    from pathlib import Path

# The curves of Sigstore's bundles, by the names that OpenSSL's library and its command have for them.
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_MAKE = "'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256' makes one"
_PACKAGES = ("cryptography", "model_signing", "OpenSSL")


@dataclass(frozen=True)
class PublicKey:
    """A key that verifies.

    Attributes:
        path: Where it was read.
        pem: The key itself, as SubjectPublicKeyInfo in PEM form.
        fingerprint: The SHA-256 of `pem` in hexadecimal, by which a signature names its key.
    """

    path: Path
    pem: bytes
    fingerprint: str

    @classmethod
    def read(cls, path: Path) -> PublicKey:
        """Read a PEM file.

        Raises:
            SignatureError: It holds no public key, or one of another kind.
        """
        _require_installed()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        data = files.read(path, "key")
        if b"PRIVATE KEY" in data:
            raise SignatureError(
                f"{path} holds a private key, and a public one is wanted: 'openssl pkey -in {path} -pubout' prints"
                " it; keep the private one where archives are signed"
            )
        try:
            key = load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SignatureError(f"{path} holds no public key in PEM form ({first_line(error)})") from error
        return _public(path, key)

    @property
    def exposed(self) -> str:
        """The mode of the file, such as `0666`, if others than its owner may write it; else empty."""
        return _mode(self.path, stat.S_IWGRP | stat.S_IWOTH)

    @property
    def named(self) -> str:
        """The key in a message: its file and the beginning of its fingerprint."""
        return f"{self.path} (key {shortened(self.fingerprint)})"


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs.

    Attributes:
        path: Where it was read.
        passphrase: What decrypts it; None where it is not encrypted.
        public: What verifies its signatures.
    """

    path: Path
    passphrase: bytes | None = field(repr=False)
    public: PublicKey

    @classmethod
    def read(cls, path: Path, passphrase: str | None = None) -> PrivateKey:
        """Read a PEM file.

        Args:
            path: The file.
            passphrase: What decrypts it; a key that is not encrypted needs none.

        Raises:
            PassphraseNeeded: It is encrypted, and no passphrase was given.
            SignatureError: It holds no private key, one of another kind, or the passphrase is not its own.
        """
        _require_installed()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        data = files.read(path, "key")
        if b"PRIVATE KEY" not in data and b"PUBLIC KEY" in data:
            raise SignatureError(f"{path} holds a public key, and the private one that belongs to it signs")
        secret = None
        try:
            try:
                key = load_pem_private_key(data, None)
            except TypeError:  # what an encrypted key raises without a passphrase
                if not passphrase:
                    raise PassphraseNeeded(f"{path} is encrypted, and no passphrase was given") from None
                secret = passphrase.encode()
                key = load_pem_private_key(data, secret)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            what = "cannot be decrypted" if secret else "holds no private key in PEM form"
            raise SignatureError(f"{path} {what} ({first_line(error)})") from error
        return cls(path, secret, _public(path, key.public_key()))

    @property
    def exposed(self) -> str:
        """The mode of the file, such as `0644`, if others than its owner may read or write it; else empty."""
        return _mode(self.path, stat.S_IRWXG | stat.S_IRWXO)


def shortened(fingerprint: str) -> str:
    """As much of a fingerprint as a person compares."""
    return fingerprint[:16]


def _mode(path: Path, bits: int) -> str:
    """A file's mode if it has any of these bits, else nothing."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"{mode:04o}" if mode & bits else ""


def _public(path: Path, key: Any) -> PublicKey:
    """A public key of a kind that model-signing takes.

    Raises:
        SignatureError: It is of another kind.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    wanted = f"archives are signed with elliptic-curve keys on {', '.join(_CURVES.values())}; {_MAKE}"
    if not isinstance(key, EllipticCurvePublicKey):
        kind = type(key).__name__.removesuffix("PublicKey")
        raise SignatureError(f"{path} holds a key of kind {kind}; {wanted}")
    if key.curve.name not in _CURVES:
        raise SignatureError(f"{path} holds a key on curve {key.curve.name}; {wanted}")
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(path, pem, hashlib.sha256(pem).hexdigest())


def _require_installed() -> None:
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise SignatureError(f"signatures need {', '.join(missing)}: install visionserve's extra 'sign'")
