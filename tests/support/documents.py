"""The documents that tests hold the server to."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs"
API = FOLDER / "api.md"
OPENAPI = FOLDER / "openapi.yaml"


def shell_blocks() -> list[str]:
    """Every block of commands in the contract."""
    return re.findall(r"^```sh\n(.*?)^```$", API.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def promised(block: str) -> list[int]:
    """The statuses that a block's comments promise, in order."""
    return [int(status) for status in re.findall(r"  # (\d{3})$", block, re.MULTILINE)]


def error_table() -> dict[str, int]:
    """Every type of error in the contract's first table of errors, with its status."""
    text = API.read_text(encoding="utf-8")
    ours = text[text.index("## Errors") : text.index("`visionserve serve` puts HAProxy")]
    return {kind: int(code) for code, kind in re.findall(r"^\| (\d{3}) \| `(\w+)` \|", ours, re.MULTILINE)}


def edge_errors() -> set[tuple[int, str]]:
    """Every status with its type in the edge's table of errors."""
    text = API.read_text(encoding="utf-8")
    start, end = map(text.index, ("`visionserve serve` puts HAProxy", "TorchServe answers some requests itself"))
    edges = text[start:end]
    rows = re.findall(r"^\| (\d{3}) \| ([^|]*) \|", edges, re.MULTILINE)
    return {(int(code), kind) for code, kinds in rows for kind in re.findall(r"`(\w+)`", kinds)}


def documented() -> set[tuple[int, str]]:
    """Every status with its type in both tables of errors; the type of an empty answer is empty."""
    text = API.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3}) \| ([^|]*) \|", text, re.MULTILINE)
    return {(int(code), kind) for code, kinds in rows for kind in re.findall(r"`(\w+)`", kinds) or [""]}
