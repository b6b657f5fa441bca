"""A request as a file that repeats it: a line of JSON with all but its body, then the body as it was sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fuzzing.attempts import Attempt

if TYPE_CHECKING:
    from pathlib import Path


def save(attempt: Attempt, problem: str, file: Path) -> None:
    """Write it, with what was wrong with its answer."""
    head = {
        "problem": problem,
        "kind": attempt.kind,
        "method": attempt.method,
        "path": attempt.path,
        "headers": attempt.headers,
    }
    file.write_bytes(json.dumps(head).encode() + b"\n" + attempt.body)


def load(file: Path) -> Attempt:
    """What was saved, to be sent again."""
    head, _, body = file.read_bytes().partition(b"\n")
    told = json.loads(head)
    return Attempt(told["kind"], body, told["headers"], told["method"], told["path"])
