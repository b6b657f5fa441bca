"""What signs and verifies, and what is refused with a line that says what would."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest
from tests.support.keys import PASSPHRASE

from visionserve.signatures import bundle, signing, verification
from visionserve.signatures.errors import PassphraseNeeded, SignatureError
from visionserve.signatures.keys import PrivateKey, PublicKey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keys import Files


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_a_key_on_each_of_sigstores_curves_signs(curve: str, keys: dict[str, Files], flowers: Path) -> None:
    pair = keys[curve]
    signing.sign(flowers, pair.signs())
    signer = verification.verify(bundle.read(flowers), flowers, [pair.verifies()], flowers.name)
    # `sha256sum release.pub` tells the fingerprint.
    assert signer.fingerprint == hashlib.sha256(pair.public.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("kind", "named"), [("RSA", "kind RSA"), ("Ed25519", "kind Ed25519"), ("secp256k1", "curve secp256k1")]
)
def test_a_key_of_another_kind_is_told_what_kind_signs(kind: str, named: str, keys: dict[str, Files]) -> None:
    for read in (keys[kind].signs, keys[kind].verifies):
        with pytest.raises(SignatureError, match=f"{named}; archives are signed with elliptic-curve keys"):
            read()


def test_one_half_of_a_pair_in_place_of_the_other_is_told(keys: dict[str, Files]) -> None:
    pair = keys["P-256"]
    with pytest.raises(SignatureError, match=r"P-256\.pub holds a public key, and the private one"):
        PrivateKey.read(pair.public)
    with pytest.raises(SignatureError, match=r"P-256\.key holds a private key, and a public one is wanted"):
        PublicKey.read(pair.private)


def test_an_encrypted_key_needs_its_passphrase(keys: dict[str, Files], flowers: Path) -> None:
    path = keys["encrypted"].private
    with pytest.raises(PassphraseNeeded, match=r"encrypted\.key is encrypted"):
        PrivateKey.read(path)
    with pytest.raises(SignatureError, match=r"encrypted\.key cannot be decrypted \(Incorrect password"):
        PrivateKey.read(path, "wrong")
    key = PrivateKey.read(path, PASSPHRASE)
    assert PASSPHRASE not in repr(key)
    signing.sign(flowers, key)
    verification.verify(bundle.read(flowers), flowers, [keys["encrypted"].verifies()], flowers.name)


def test_a_passphrase_for_a_key_that_needs_none_is_no_mistake(keys: dict[str, Files]) -> None:
    assert PrivateKey.read(keys["P-256"].private, PASSPHRASE).passphrase is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty, so no key"),
        (b"x" * 100_000, "is larger than 64 KiB"),
        (b"not a key", "in PEM form"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "holds "),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds "),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "in PEM form"),
        (b"\xff\xfe\x00", "in PEM form"),
    ],
)
def test_a_file_that_is_no_key_is_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(content)
    for read in (PrivateKey.read, PublicKey.read):
        with pytest.raises(SignatureError, match=reason) as refused:
            read(path)
        assert "\n" not in str(refused.value)


def test_a_folder_or_a_pipe_is_no_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SignatureError, match="pipe is no file, so no key"):
        PublicKey.read(tmp_path / "pipe")
    with pytest.raises(SignatureError, match="the key cannot be read: Is a directory"):
        PublicKey.read(tmp_path)


def test_who_else_may_read_a_private_or_write_a_public_key(keys: dict[str, Files], tmp_path: Path) -> None:
    pair = keys["P-256"]
    assert pair.signs().exposed == pair.verifies().exposed == ""
    private, public = tmp_path / "a.key", tmp_path / "a.pub"
    for path, source, mode in ((private, pair.private, 0o640), (public, pair.public, 0o664)):
        path.write_bytes(source.read_bytes())
        path.chmod(mode)
    assert PrivateKey.read(private).exposed == "0640"
    assert PublicKey.read(public).exposed == "0664"
