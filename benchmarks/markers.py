"""Where a page shows what was measured: between two lines that say which command writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Markers:
    """The two lines.

    Attributes:
        name: What is between them.
        command: What writes it.
    """

    name: str
    command: str

    @property
    def begin(self) -> str:
        """The line before."""
        return f"<!-- {self.name}: written by `{self.command}`, do not edit -->"

    @property
    def end(self) -> str:
        """The line after."""
        return f"<!-- {self.name}: end -->"

    def put(self, page: Path, section: str) -> bool:
        """Put a section between a page's markers; False if the page has none."""
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        if self.begin not in text or self.end not in text:
            return False
        before, _, rest = text.partition(self.begin)
        after = rest.partition(self.end)[2]
        page.write_text(f"{before}{self.begin}\n{section}\n{self.end}{after}", encoding="utf-8")
        return True
