"""Which commit of its repository a project's folder is at."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 10.0  # seconds, for a repository on a slow disk


def of(folder: Path) -> str | None:
    """The commit's full hash, with `-dirty` where tracked files have changed since; None where git knows none."""
    # Git writes nothing then, and two builds at once do not wait for each other.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        found = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git here, or no answer
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None
