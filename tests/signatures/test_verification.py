"""An archive is what its signer signed, or it is refused: whatever who may write beside it has written there."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_signing import hashing
from model_signing import signing as library_signing
from model_signing import verifying as library_verifying
from tests.support.packed import pack

from visionserve.signatures import bundle, signing, verification
from visionserve.signatures.errors import SignatureError, Unsigned

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keys import Files


def verify(archive: Path, *trusted: Files, content: Path | None = None) -> str:
    keys = [pair.verifies() for pair in trusted]
    return verification.verify(bundle.read(archive), content or archive, keys, archive.name).fingerprint


def refusal(archive: Path, *trusted: Files) -> str:
    """The one line that says why."""
    with pytest.raises(SignatureError) as refused:
        verify(archive, *trusted)
    assert str(archive) in str(refused.value)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def pair(keys: dict[str, Files]) -> Files:
    return keys["P-256"]


@pytest.fixture
def signed(flowers: Path, pair: Files) -> Path:
    signing.sign(flowers, pair.signs())
    return flowers


def test_signing_leaves_the_archive_as_it_is_and_only_a_signature_beside_it(flowers: Path, pair: Files) -> None:
    before = flowers.read_bytes()
    made = signing.sign(flowers, pair.signs())
    assert flowers.read_bytes() == before
    assert sorted(path.name for path in flowers.parent.iterdir()) == ["flowers.mar", "flowers.mar.sig"]
    assert bundle.path_of(flowers).stat().st_mode & 0o777 == 0o644
    assert made == bundle.read(flowers)
    assert verify(flowers, pair) == made.key


def test_an_unsigned_archive_is_told_how_to_sign(flowers: Path, pair: Files) -> None:
    with pytest.raises(Unsigned):
        bundle.read(flowers)
    assert "there is no flowers.mar.sig beside it; 'visionserve sign" in refusal(flowers, pair)


def test_another_key_is_named_by_its_fingerprint(signed: Path, pair: Files, keys: dict[str, Files]) -> None:
    told = refusal(signed, keys["other"], keys["P-384"])
    assert f"is signed by another key ({pair.verifies().fingerprint[:16]}), not by " in told
    assert str(keys["other"].public) in told
    assert str(keys["P-384"].public) in told
    assert verify(signed, keys["other"], pair) == pair.verifies().fingerprint


def test_the_library_verifies_what_we_sign_and_we_what_it_signs(flowers: Path, pair: Files) -> None:
    signature = bundle.path_of(flowers)

    def library(*words: object) -> None:
        command = [sys.executable, "-m", "model_signing", *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, cwd=flowers.parent)

    signing.sign(flowers, pair.signs())
    library("verify", "key", flowers, "--signature", signature, "--public_key", pair.public)
    signature.unlink()
    library("sign", "key", flowers, "--signature", signature, "--private_key", pair.private)
    assert verify(flowers, pair)


def test_a_build_of_the_same_is_still_signed_and_one_of_other_weights_is_not(signed: Path, pair: Files) -> None:
    pack(signed.parent, "flowers")
    assert verify(signed, pair)
    pack(signed.parent, "flowers", b"other weights")
    assert "is not what was signed: it has changed since" in refusal(signed, pair)


def test_a_signed_model_cannot_take_the_place_of_another_one(signed: Path, pair: Files) -> None:
    trees = pack(signed.parent, "trees", b"other weights")
    signing.sign(trees, pair.signs())
    shutil.copy(trees, signed)
    shutil.copy(bundle.path_of(trees), bundle.path_of(signed))
    assert "was signed as 'trees.mar', not as 'flowers.mar'" in refusal(signed, pair)


def test_a_signature_over_no_files_fits_no_archive(flowers: Path, pair: Files) -> None:
    """model-signing makes one when it is told to ignore the only file, and takes it for any file then."""
    ignoring = hashing.Config().set_ignored_paths(paths=["."], ignore_git_paths=False)
    config = library_signing.Config().use_elliptic_key_signer(private_key=pair.private)
    config.set_hashing_config(ignoring).sign(flowers, bundle.path_of(flowers))
    library = library_verifying.Config().use_elliptic_key_verifier(public_key=pair.public)
    library.verify(flowers, bundle.path_of(flowers))
    assert "is no signature of one archive made with a key" in refusal(flowers, pair)


def test_a_folders_signature_fits_no_archive(signed: Path, pair: Files) -> None:
    config = library_signing.Config().use_elliptic_key_signer(private_key=pair.private)
    folder = signed.parent / "folder"
    folder.mkdir()
    shutil.copy(signed, folder)
    config.sign(folder, bundle.path_of(signed))
    assert "is no signature of one archive made with a key" in refusal(signed, pair)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_anywhere_in_the_archive_is_refused(
    packed_and_signed: Path, keys: dict[str, Files], data: st.DataObject
) -> None:
    content = bytearray(packed_and_signed.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = packed_and_signed.with_name("copy")
    changed.write_bytes(content)
    with pytest.raises(SignatureError, match="it has changed since"):
        verify(packed_and_signed, keys["P-256"], content=changed)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_changed_signature_is_refused_or_says_the_same(
    packed_and_signed: Path, keys: dict[str, Files], data: st.DataObject
) -> None:
    """A changed byte in the white space or in a field that nobody reads changes nothing."""
    true = bundle.read(packed_and_signed)
    content = bytearray(bundle.path_of(packed_and_signed).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        said = bundle.parse(bytes(content), packed_and_signed)
        verification.verify(said, packed_and_signed, [keys["P-256"].verifies()], packed_and_signed.name)
    except SignatureError as error:
        assert "\n" not in str(error)
    else:
        assert (said.payload, said.key) == (true.payload, true.key)


@pytest.fixture(scope="module")
def packed_and_signed(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, Files]) -> Path:
    path = pack(tmp_path_factory.mktemp("signed"), "flowers")
    signing.sign(path, keys["P-256"].signs())
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty, so no signature"),
        (b" " * 100_000, "is larger than 64 KiB, so no signature"),
        (b"\x00\xff", "is no signature"),
        (b"{}", "is no signature"),
        (b"null", "is no signature"),
        (b"[" * 50_000, "is no signature"),
        (b'{"a":' * 10_000, "is no signature"),
        (b"1" * 60_000, "is no signature"),
    ],
)
def test_a_file_that_is_no_signature_is_one_line(content: bytes, reason: str, flowers: Path, pair: Files) -> None:
    bundle.path_of(flowers).write_bytes(content)
    assert reason in refusal(flowers, pair)


def test_a_folder_in_place_of_a_signature_is_one_line(flowers: Path, pair: Files) -> None:
    bundle.path_of(flowers).mkdir()
    assert "the signature cannot be read: Is a directory" in refusal(flowers, pair)


def changed(archive: Path, **changes: Any) -> None:
    """Write a true bundle's fields anew, and sign nothing."""
    document = json.loads(bundle.path_of(archive).read_bytes())
    envelope = document["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement.update(changes.pop("statement", {}))
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    envelope.update(changes.pop("envelope", {}))
    document.update(changes)
    bundle.path_of(archive).write_text(json.dumps(document))


@pytest.mark.parametrize(
    "changes",
    [
        {"mediaType": "text/plain"},
        {"verificationMaterial": {"publicKey": {}}},
        {"verificationMaterial": {"publicKey": {"hint": "a\nb"}}},
        {"verificationMaterial": {"x509CertificateChain": {}}},
        {"envelope": {"payloadType": "text/plain"}},
        {"envelope": {"payload": "e30"}},
        {"envelope": {"payload": "e 3 0 ="}},
        {"envelope": {"signatures": []}},
        {"envelope": {"signatures": [{"sig": "AA=="}, {"sig": "AA=="}]}},
        {"envelope": {"signatures": [{"sig": 1}]}},
        {"statement": {"predicateType": "https://model_signing/Digests/v0.1"}},
        {"statement": {"subject": [{"name": "\ud800"}]}},
        {"statement": {"predicate": {"resources": [{"name": ".", "algorithm": "blake3", "digest": "00"}]}}},
        {"statement": {"predicate": {"resources": [{"name": ".", "algorithm": "sha256", "digest": "00"}]}}},
        {"statement": {"predicate": {"resources": {".": 1}}}},
    ],
)
def test_a_bundle_of_another_shape_is_one_line(changes: dict[str, Any], signed: Path, pair: Files) -> None:
    changed(signed, **changes)
    assert "is no signature of one archive made with a key" in refusal(signed, pair)


def test_what_was_signed_has_one_spelling(signed: Path) -> None:
    """Base64 that ends in padding has bits that one reader may drop and another one not."""
    statement = base64.b64decode(bundle.read(signed).payload).rstrip()
    payload = base64.b64encode(statement + b" " * ((1 - len(statement)) % 3)).decode()
    changed(signed, envelope={"payload": payload})
    assert bundle.read(signed).payload == payload
    changed(signed, envelope={"payload": payload[:-3] + chr(ord(payload[-3]) + 1) + "=="})
    with pytest.raises(SignatureError, match="is no signature"):
        bundle.read(signed)


def test_a_statement_that_nobody_signed_is_refused(signed: Path, pair: Files) -> None:
    """As a forger would write it: the digest and the name of their own archive, the hint of the trusted key."""
    forged = pack(signed.parent, "forged", b"other weights")
    true = bundle.read(signed)
    signing.sign(forged, pair.signs())
    wanted = bundle.read(forged)
    shutil.copy(forged, signed)
    statement = json.loads(base64.b64decode(wanted.payload))
    statement["subject"][0]["name"] = "flowers.mar"
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    envelope = {"payload": payload, "signatures": [{"sig": true.signature, "keyid": ""}]}
    changed(signed, envelope=envelope)
    assert "is not the work of " in refusal(signed, pair)
    assert "whose it says it is" in refusal(signed, pair)


def test_what_is_verified_is_what_was_read_whatever_else_is_said(signed: Path, pair: Files) -> None:
    """The library takes `dsse_envelope` for `dsseEnvelope`."""
    document = json.loads(bundle.path_of(signed).read_bytes())
    document["dsse_envelope"] = document["dsseEnvelope"]
    document["dsseEnvelope"] = {**document["dsseEnvelope"], "signatures": [{"sig": "AA==", "keyid": ""}]}
    bundle.path_of(signed).write_text(json.dumps(document))
    assert "is not the work of " in refusal(signed, pair)


def test_signing_writes_through_no_link(
    flowers: Path, pair: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    victim = tmp_path_factory.mktemp("home") / "authorized_keys"
    victim.write_text("mine")
    bundle.path_of(flowers).symlink_to(victim)
    signing.sign(flowers, pair.signs())
    assert victim.read_text() == "mine"
    assert not bundle.path_of(flowers).is_symlink()
    assert verify(flowers, pair)


def test_an_archive_that_is_a_link_is_signed_and_verified_as_what_it_leads_to(flowers: Path, pair: Files) -> None:
    link = flowers.with_name("current.mar")
    link.symlink_to(flowers)
    signing.sign(link, pair.signs())
    assert verify(link, pair)


def test_no_network_is_asked(flowers: Path, pair: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    signing.sign(flowers, pair.signs())
    assert verify(flowers, pair)
