"""A machine of its own for systemd: this one's files in namespaces, of which nothing stays when it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from types import TracebackType

_SYSTEMD = "/lib/systemd/systemd"
_START_SECONDS = 30.0
# What would change files and settings of the machine below.
_MASKED = (
    "network-online.target",
    "systemd-tmpfiles-clean.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup.service",
)
# Accounts, units and temporary files are written over this machine's, and the project's folder is empty.
_BEGIN = f"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
for folder in etc tmp var; do
    mkdir -p /run/over/$folder /run/work/$folder
    mount -t overlay overlay -o lowerdir=/$folder,upperdir=/run/over/$folder,workdir=/run/work/$folder /$folder
done
mount -t tmpfs tmpfs /srv
# Nothing is started but what is asked for: no mounts, timers and sockets of this machine's.
for folder in /lib/systemd/system/*.wants /lib/systemd/system-generators; do mount -t tmpfs tmpfs $folder; done
rm -rf /etc/systemd/system/*.wants /etc/systemd/system/*.requires
: > /etc/fstab
mkdir -p /run/systemd/system
for unit in {" ".join(_MASKED)}; do ln -s /dev/null /run/systemd/system/$unit; done
printf '[Unit]\\nDefaultDependencies=no\\n' > /run/systemd/system/quiet.target
exec {_SYSTEMD} --system --unit=quiet.target --log-target=null
"""


class Machine:
    """Namespaces with a systemd in them; a context manager that leaves none behind."""

    def __enter__(self) -> Machine:
        self._outer = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--pid",
                "--cgroup",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "sh",
                "-c",
                _BEGIN,
            ],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + _START_SECONDS
        while not self._runs():
            assert self._outer.poll() is None, "it has ended"
            assert time.monotonic() < end, "systemd does not answer"
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # With its first process all others of the namespace end.
        self._outer.kill()
        self._outer.wait()

    def _runs(self) -> bool:
        children = psutil.Process(self._outer.pid).children()
        if not children or children[0].exe() != str(Path(_SYSTEMD).resolve()):
            return False
        self._first = children[0].pid
        return self.run("systemctl show --property=Version", check=False).returncode == 0

    def run(self, command: str, *, check: bool = True, timeout: float = 200.0) -> subprocess.CompletedProcess[str]:
        """A shell command of root's, in the project's folder if there is one."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._first), "--mount", "--pid", "--cgroup", "sh", "-c", f"cd /srv\n{command}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done


def may_run() -> str:
    """Why no such machine can be had here; nothing if one can."""
    if os.geteuid() != 0:
        return "namespaces need root"
    if not Path(_SYSTEMD).exists():
        return "there is no systemd"
    missing = [each for each in ("unshare", "nsenter", "useradd", "git") if shutil.which(each) is None]
    return f"there is no {missing[0]}" if missing else ""
