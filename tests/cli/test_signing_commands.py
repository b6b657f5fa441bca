"""`visionserve sign`, `verify`, `inspect` of an archive and `serve --trusted-key`, as a user calls them."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY
from tests.support import keys
from tests.support.packed import pack

from visionserve.server.settings.properties import Properties
from visionserve.signatures import bundle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Done, Run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with ports of its own, and three pairs of keys."""
    root = tmp_path_factory.mktemp("signed")
    Properties.read(REPOSITORY / "config.properties").on_free_ports().write(root / "config.properties")
    keys.write(root, "release")
    keys.write(root, "other")
    keys.write(root, "encrypted", passphrase=keys.PASSPHRASE)
    return root


@pytest.fixture
def flowers(root: Path) -> Path:
    """An archive in the project's store, not signed, and no other one."""
    for path in (root / "model_store").glob("*"):
        path.unlink()
    return pack(root / "model_store", "flowers")


@pytest.fixture
def run(root: Path, flowers: Path, visionserve: Run) -> Run:
    def command(*words: object) -> Done:
        return visionserve(*words, cwd=root)

    return command


def refused(done: Done) -> str:
    """What a command said in its one line, when it refused."""
    assert done.code == 1
    assert done.out == ""
    assert len(done.err.strip().splitlines()) == 1
    return done.err


def test_an_archive_is_signed_and_verified_by_its_name_or_file(run: Run, flowers: Path) -> None:
    sha256 = hashlib.sha256(flowers.read_bytes()).hexdigest()
    assert "model_store/flowers.mar is not signed" in refused(run("verify", "flowers", "--key", "release.pub"))
    for archive in ("flowers", "model_store/flowers.mar"):
        done = run("sign", archive, "--key", "release.key")
        assert done.code == 0, done.err
        assert done.err == ""
        assert "model_store/flowers.mar.sig: flowers.mar signed with release.key (key " in done.out
        assert sha256 in done.out
        done = run("verify", archive, "--key", "release.pub")
        assert done.code == 0, done.err
        assert "model_store/flowers.mar: signed with release.pub (key " in done.out
        assert sha256 in done.out
    assert "signed by another key" in refused(run("verify", "flowers", "--key", "other.pub"))


def test_what_cannot_be_signed_is_one_line(run: Run, flowers: Path) -> None:
    assert "there is no archive model_store/trees.mar" in refused(run("sign", "trees", "--key", "release.key"))
    assert "no.key: No such file" in refused(run("sign", "flowers", "--key", "no.key"))
    assert "release.pub holds a public key" in refused(run("sign", "flowers", "--key", "release.pub"))
    flowers.write_bytes(flowers.read_bytes()[:-100])
    assert "flowers.mar" in refused(run("sign", "flowers", "--key", "release.key"))
    assert not bundle.path_of(flowers).exists()


def test_a_name_that_is_no_text_cannot_be_signed(run: Run, flowers: Path) -> None:
    odd = flowers.with_name(os.fsdecode(b"\xff.mar"))
    flowers.rename(odd)
    told = refused(run("sign", odd.relative_to(odd.parents[1]), "--key", "release.key"))
    assert r"model_store/\udcff.mar cannot be signed" in told
    assert not bundle.path_of(odd).exists()


def test_an_encrypted_key_takes_its_passphrase_from_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = refused(run("sign", "flowers", "--key", "encrypted.key"))
    assert (
        "encrypted.key is encrypted, and no passphrase was given: put it into VISIONSERVE_KEY_PASSPHRASE" in told
    )
    monkeypatch.setenv("VISIONSERVE_KEY_PASSPHRASE", "wrong")
    assert "encrypted.key cannot be decrypted" in refused(run("sign", "flowers", "--key", "encrypted.key"))
    monkeypatch.setenv("VISIONSERVE_KEY_PASSPHRASE", keys.PASSPHRASE)
    assert run("sign", "flowers", "--key", "encrypted.key").code == 0
    assert run("verify", "flowers", "--key", "encrypted.pub").code == 0


def test_a_private_key_that_others_may_read_is_told(run: Run, root: Path) -> None:
    exposed = keys.write(root, "exposed").private
    exposed.chmod(0o644)
    done = run("sign", "flowers", "--key", "exposed.key")
    assert done.code == 0
    assert "note: exposed.key may be read by others (mode 0644): chmod 600 exposed.key" in done.err


def test_inspect_tells_whether_and_by_which_key_an_archive_says_it_is_signed(run: Run, root: Path) -> None:
    archive = "model_store/flowers.mar"
    assert json.loads(run("inspect", archive, "--json").out)["signature_key"] is None
    run("sign", "flowers", "--key", "release.key")
    key = hashlib.sha256((root / "release.pub").read_bytes()).hexdigest()
    facts = json.loads(run("inspect", archive, "--json").out)
    assert facts == {
        "path": archive,
        "model": "flowers",
        "version": "1.0",
        "size": (root / archive).stat().st_size,
        "sha256": hashlib.sha256((root / archive).read_bytes()).hexdigest(),
        "signature_key": key,
    }
    assert key in run("inspect", archive).out
    pack(root / "model_store", "flowers", b"other weights")
    assert "of other bytes" in " ".join(run("inspect", archive).out.split())


def test_serve_refuses_what_nobody_trusted_has_signed(run: Run, root: Path, flowers: Path) -> None:
    """Before TorchServe is started, whose logs would be there."""
    serve = ("serve", "--trusted-key", "release.pub")
    assert "model_store/flowers.mar is not signed: there is no flowers.mar.sig" in refused(run(*serve))
    run("sign", "flowers", "--key", "other.key")
    assert "model_store/flowers.mar is signed by another key" in refused(run(*serve, "flowers"))
    run("sign", "flowers", "--key", "release.key")
    pack(root / "model_store", "flowers", b"other weights")
    told = refused(run(*serve, "model_store/flowers.mar", "--trusted-key", "other.pub"))
    assert "model_store/flowers.mar is not what was signed: it has changed since" in told
    assert not (root / "logs" / "a").exists()  # no TorchServe was started


def test_a_name_of_a_file_writes_no_lines_of_its_own(run: Run, flowers: Path) -> None:
    flowers.rename(flowers.with_name("x\n\x1b[32mready flowers.mar"))
    told = refused(run("serve", "--trusted-key", "release.pub"))
    assert r"model_store/x\n\x1b[32mready flowers.mar is not signed" in told


def test_serve_takes_what_is_signed_to_torchserve(run: Run, root: Path) -> None:
    """Which ends at once here: the archive has no network in it."""
    config = root / "config.properties"
    right = config.read_text()
    config.write_text(right + "vmargs=-XX:NoSuchFlag\n")
    run("sign", "flowers", "--key", "release.key")
    told = refused(run("serve", "flowers", "--trusted-key", "other.pub", "--trusted-key", "release.pub"))
    config.write_text(right)
    assert "TorchServe ended with code 1: " in told
    assert "NoSuchFlag" in told


def test_serve_with_trusted_keys_builds_nothing(run: Run, root: Path) -> None:
    (root / "flowers.pth").touch()
    told = refused(run("serve", "flowers.pth", "--trusted-key", "release.pub"))
    assert "there is no archive model_store/flowers.pth.mar" in told


def test_serve_takes_no_private_key_and_tells_who_else_may_change_a_public_one(run: Run, root: Path) -> None:
    assert "release.key holds a private key" in refused(run("serve", "--trusted-key", "release.key"))
    keys.write(root, "shared").public.chmod(0o666)
    done = run("serve", "--trusted-key", "shared.pub")
    assert "note: shared.pub may be changed by others (mode 0666): chmod 644 shared.pub" in done.err


def test_without_the_extra_a_line_says_which_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    for words in (
        ("sign", "flowers", "--key", "release.key"),
        ("serve", "--trusted-key", "release.pub"),
    ):
        assert "model_signing: install visionserve's extra 'sign'" in refused(run(*words))
