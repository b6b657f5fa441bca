"""What a server takes up: memory, processes, files. An hour of faults must not leave more of it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.harness.served import Served

_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Footprint:
    """At one moment.

    Attributes:
        supervisor: Megabytes that the supervisor has for itself.
        haproxy: Megabytes that HAProxy's processes have.
        descriptors: The supervisor's open files.
        processes: How many of each name there are, below the supervisor.
        zombies: The processes that have ended and nobody has asked about.
        run: What is in the run folder, whichever slots are taken and however often archives were reloaded.
        temporary: What is in the folder for temporary files.
        logs: Megabytes of log files.
        files: How many log files.
    """

    supervisor: float
    haproxy: float
    descriptors: int
    processes: dict[str, int]
    zombies: list[int]
    run: list[str]
    temporary: list[str]
    logs: float
    files: int

    @classmethod
    def of(cls, server: Served, temporary: Path) -> Footprint:
        """What a server takes up now."""
        supervisor, *below = server.all()
        memory, names, zombies = Counter[str](), Counter[str](), []
        for process in below:
            with suppress(psutil.NoSuchProcess):
                names[process.name()] += 1
                if process.status() == psutil.STATUS_ZOMBIE:
                    zombies.append(process.pid)
                else:
                    memory[process.name()] += process.memory_full_info().uss
        run = server.root / ".visionserve" / "run"
        logs = []
        for path in (server.root / "logs").rglob("*"):
            with suppress(FileNotFoundError):  # it got its number just now
                logs += [path.stat().st_size] if path.is_file() else []
        return cls(
            supervisor=supervisor.memory_full_info().uss / _MEGABYTE,
            haproxy=memory["haproxy"] / _MEGABYTE,
            descriptors=supervisor.num_fds(),
            processes=dict(names),
            zombies=zombies,
            run=sorted("slot" if len(path.name) == 1 else path.name.split("-")[0] for path in run.iterdir()),
            temporary=sorted(path.name for path in temporary.iterdir()),
            logs=sum(logs) / _MEGABYTE,
            files=len(logs),
        )

    def __str__(self) -> str:
        return (
            f"supervisor {self.supervisor:.0f} MB and {self.descriptors} files, HAProxy {self.haproxy:.0f} MB,"
            f" {sum(self.processes.values())} processes, logs {self.logs:.1f} MB in {self.files} files"
        )
