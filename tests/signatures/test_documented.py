"""The commands of docs/signatures.md, run in the order in which they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support import documents
from tests.support import keys as pairs
from tests.support.packed import pack

if TYPE_CHECKING:
    from pathlib import Path

PAGE = documents.FOLDER / "signatures.md"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one archive, where the commands of this environment are at hand."""
    pack(tmp_path / "model_store", "flowers")
    (tmp_path / "bin").mkdir()
    for name in ("visionserve", "model_signing"):
        command = tmp_path / "bin" / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m {name} "$@"\n')
        command.chmod(0o755)
    return tmp_path


def run(root: Path, commands: list[str]) -> str:
    environment = {
        **os.environ,
        "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
        "VISIONSERVE_KEY_PASSPHRASE": "correct horse",
    }
    script = "\n".join(["set -e", *commands])
    done = subprocess.run(
        ["sh", "-c", script], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_every_command_of_the_page_runs(root: Path) -> None:
    commands = re.findall(r"^\$ (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    commands = [command for command in commands if not command.startswith("visionserve serve")]
    assert len(commands) >= 11
    printed = run(root, commands)
    assert "Verification succeeded" in printed
    fingerprint = re.findall(r"^([0-9a-f]{64})  release\.pub$", printed, re.MULTILINE)[0]
    assert f"flowers.mar signed with release.key (key {fingerprint[:16]})" in printed
    assert printed.count(f"flowers.mar: signed with release.pub (key {fingerprint[:16]})") == 2
    run(root, ["visionserve sign flowers --key safe.key"])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_keys_of_both_openssl_commands_are_taken(root: Path) -> None:
    from visionserve.signatures.keys import PrivateKey

    making = re.findall(r"(openssl ecparam [^`]*)`", PAGE.read_text(encoding="utf-8"))
    assert making
    run(root, [f"{making[0]} -out ecparam.key", "openssl pkey -in ecparam.key -traditional -out traditional.key"])
    for name in ("ecparam.key", "traditional.key"):
        assert PrivateKey.read(root / name).passphrase is None


def test_the_librarys_own_command_fails_on_an_encrypted_key(root: Path) -> None:
    """When a later release does not, the last sentence of the page has to go."""
    pairs.write(root, "safe", passphrase=pairs.PASSPHRASE)
    signing = ["sign", "key", "model_store/flowers.mar", "--signature", "own.sig", "--private_key", "safe.key"]
    done = subprocess.run(
        [root / "bin" / "model_signing", *signing, "--password", pairs.PASSPHRASE],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Signing failed" in done.stdout + done.stderr
    assert not (root / "own.sig").exists()
