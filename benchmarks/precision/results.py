"""What was measured, as a file: one network's measurement takes the place of its earlier one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.precision.figures import Distance, Figures
from benchmarks.precision.proof import Proof
from benchmarks.precision.run import Measured

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Results:
    """A file of results.

    Attributes:
        about: Date, hardware and versions.
        measured: By the networks' names.
    """

    about: dict[str, Any]
    measured: dict[str, Measured] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Results:
        """The results that `write` wrote."""
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(document["about"], {name: _measured(one) for name, one in document["measured"].items()})

    def write(self, path: Path) -> None:
        """Write them."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def keep(self, earlier: Results) -> None:
        """Take over other networks' measurements that were made with the same versions."""
        if earlier.about["versions"] == self.about["versions"]:
            self.measured = {**earlier.measured, **self.measured}


def _measured(document: dict[str, Any]) -> Measured:
    figures = [
        Figures(**{**figures, "distance": Distance(**figures["distance"])}) for figures in document["figures"]
    ]
    return Measured(**{**document, "figures": figures, "proofs": [Proof(**one) for one in document["proofs"]]})
