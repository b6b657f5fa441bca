"""A run on disk: a folder with a header, the corpus, the raw samples, and the server's process readings."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from visionserve.load import samples
from visionserve.load.errors import LoadError
from visionserve.load.judging import judgement, validity
from visionserve.load.plan import Plan
from visionserve.load.sending import processes

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.load.judging.judgement import Judgement
    from visionserve.load.judging.validity import Objection
    from visionserve.load.samples import Samples
    from visionserve.load.sending.corpus import Corpus

HEADER = "run.json"
_FORMAT = 1
# What is known of where and against what a run was made; a session knows it once for all its runs.
_UNKNOWN: dict[str, Any] = {
    "host": None,
    "server": {},
    "archives": {},
    "machine": None,
    "versions": {},
    "commit": None,
    "ceiling": None,
}


@dataclass(frozen=True)
class Run:
    """A finished or killed run, as read from its folder."""

    folder: Path
    header: dict[str, Any]

    @property
    def name(self) -> str:
        """What a report calls it."""
        return str(self.header.get("label") or self.folder.name)

    @cached_property
    def plan(self) -> Plan:
        """What it was to do."""
        return Plan(**self.header["plan"])

    @property
    def finished(self) -> bool:
        """Whether the traffic ended by itself."""
        return self.header.get("finished") is not None

    @property
    def pictures(self) -> list[str]:
        """The names of the pictures, in the order that samples count them."""
        return [picture["name"] for picture in self.header["corpus"]["pictures"]]

    @property
    def models(self) -> list[str]:
        """The names of the models, in the order that samples count them."""
        return list(self.header["corpus"]["models"])

    @cached_property
    def samples(self) -> Samples:
        """Every finished request."""
        return samples.read(self.folder, self.header["corpus"]["digest"], self.models, self.pictures)

    def judge(self, bound: float | None = None) -> Judgement:
        """The run in numbers; `bound` in ms."""
        return judgement.judge(self.samples, self.seconds, bound)

    @cached_property
    def seconds(self) -> float:
        """How long was measured: as planned, or until a killed run's last answer."""
        run = judgement.measured(self.samples)
        if self.finished or len(run) == 0:
            return self.plan.duration
        return max(1e-3, float(run["answered"].max() - run["scheduled"].min()) / 1e9)

    def objections(self, judged: Judgement) -> list[Objection]:
        """What speaks against it."""
        ceiling = (self.header.get("ceiling") or {}).get("requests_per_second")
        found = validity.objections(self.samples, self.plan, judged, ceiling)
        if not self.finished:
            found.insert(0, validity.Objection("unfinished", "the run was cut short"))
        return found

    @cached_property
    def processes(self) -> dict[str, Any]:
        """The readings of the server's processes."""
        return processes.read(self.folder / processes.FILE)


def read(folder: Path) -> Run:
    """Read a run's header; samples are read when asked for.

    Raises:
        LoadError: There is no run in the folder.
    """
    path = folder / HEADER
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LoadError(f"no run in {folder}: {HEADER} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise LoadError(f"{path} is damaged: {error}") from error
    if header.get("format") != _FORMAT:
        raise LoadError(f"{path} is of format {header.get('format')}; this version reads {_FORMAT}")
    return Run(folder, header)


def begin(
    folder: Path, plan: Plan, corpus: Corpus, facts: dict[str, Any], label: str | None = None, purpose: str = "run"
) -> dict[str, Any]:
    """Write the header of a run that starts now, and return it.

    Args:
        folder: The run's own.
        plan: What it does.
        corpus: What it sends.
        facts: What is the same for every run of a session: machine, versions, server, archives, ceiling.
        label: What a report is to call it.
        purpose: What it is for: `soak` runs are watched for growth.
    """
    header = {
        "format": _FORMAT,
        "label": label,
        "purpose": purpose,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "finished": None,
        "command": sys.argv,
        "plan": asdict(plan),
        "corpus": {
            "digest": corpus.digest,
            "models": dict(corpus.models),
            "pictures": [
                {"name": p.name, "kind": p.kind, "weight": p.weight, "bytes": len(p.data)} for p in corpus.pictures
            ],
        },
        **_UNKNOWN,
        **facts,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, header)
    return header


def finish(folder: Path, header: dict[str, Any]) -> None:
    """Turn the journals of a run that ended into its Parquet file, and say so in the header."""
    corpus = header["corpus"]
    pictures = [picture["name"] for picture in corpus["pictures"]]
    samples.merge(folder, corpus["digest"], list(corpus["models"]), pictures)
    write(folder, {**header, "finished": datetime.now().astimezone().isoformat(timespec="seconds")})


def write(folder: Path, header: dict[str, Any]) -> None:
    """Replace a run's header, whole or not at all."""
    part = folder / f".{HEADER}"
    part.write_text(json.dumps(header, indent=1), encoding="utf-8")
    part.replace(folder / HEADER)
