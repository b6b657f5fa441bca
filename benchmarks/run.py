"""The run itself: contenders take turns, one of them awake at a time.

All contenders of a model are started first and then stopped where they are (SIGSTOP); each is let go only for its
turn. Within a round every contender has its turn under the same load, and each round begins with another one, so
that what the machine does over time touches all of them alike.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks import agreement, plan, turns
from benchmarks.corpus import Pictures
from benchmarks.deployment import Deployment
from benchmarks.errors import NotRun
from benchmarks.reference import Reference
from benchmarks.results import Entry
from visionserve.archiver.models import catalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.contenders import Server
    from benchmarks.contenders.engine_alone import EngineAlone
    from benchmarks.plan import Plan
    from benchmarks.results import Results, Workload

_IDLE_SECONDS = 1.0
_TIMED_STARTS = (plan.STOCK, plan.OPENVINO, *plan.OURS.values())
# Where engines alone are measured as well: what they do does not depend on the size that a picture had.
_LIMIT_PICTURES = "500x375"


@dataclass
class Run:
    """One run.

    Args:
        repository: The repository's root.
        work: A folder for pictures and archives, which are used again by the next run.
        plan: How much to measure.
        results: Where every number goes.
        say: Called with each step, in words.
        save: Called after each workload.
    """

    repository: Path
    work: Path
    plan: Plan
    results: Results
    say: Callable[[str], None]
    save: Callable[[], None]
    _servers: list[Server] = field(default_factory=list)
    _engines: dict[str, EngineAlone] = field(default_factory=dict)

    def measure(self) -> None:
        """Measure the whole plan."""
        for model in self.plan.loads:
            with ExitStack() as stack:
                self._measure(model, stack)

    def _measure(self, model: str, stack: ExitStack) -> None:
        self.say(f"{model}: pictures and their right answers")
        reference = Reference(self.repository, catalog.read(catalog.find(self.repository, model)))
        kinds = list(dict.fromkeys(kind for kind, _ in self.plan.loads[model]))
        pictures = Pictures(reference, self.work / "pictures", kinds)
        deployment = Deployment(self.repository, self.work, model, reference)
        if not self.results.ceilings:
            self.results.ceilings += [turns.ceiling(pictures, kind) for kind in kinds]
        self._start(deployment, stack)
        for workload in self.plan.workloads(model):
            for number in range(self.plan.rounds):
                load = f"{model}, {workload.pictures}, clients: {workload.clients}"
                self.say(f"{load}: round {number + 1} of {self.plan.rounds}")
                self._round(workload, number, pictures)
            self.save()
        for server in self._servers:
            self._entry(server.name, model).workers = server.tree.workers()
        if model in self.plan.agreement:
            self.say(f"{model}: comparing answers with torch fp32")
            sets = agreement.sets(self.work / "pictures", *self.plan.agreement[model])
            self.results.agreements += agreement.compare(model, reference, self._engines, sets)
        self.save()

    def _start(self, deployment: Deployment, stack: ExitStack) -> None:
        """Start every contender that can be, and stop it where it is; the others' entries say why not."""
        servers = [one for one in plan.servers(deployment) if self.plan.takes(one.name)]
        self._servers = [server for server in servers if self._ready(server, deployment, stack)]
        self._engines = {
            variant: engine
            for variant, engine in plan.engines(deployment).items()
            if self.plan.takes(engine.name) and self._ready(engine, deployment, stack)
        }

    def _ready(self, contender: Server | EngineAlone, deployment: Deployment, stack: ExitStack) -> bool:
        self.say(f"{deployment.name}: starting {contender.title}")
        entry = Entry(deployment.name, contender.name, contender.title, contender.what, dict(contender.settings))
        self.results.entries.append(entry)
        stack.callback(contender.stop)
        try:
            contender.prepare()
            for left in reversed(range(self.plan.starts if contender.name in _TIMED_STARTS else 1)):
                start = time.perf_counter()
                contender.start()
                entry.ready.append(time.perf_counter() - start)
                if left:
                    contender.stop()
        except NotRun as error:
            # Results are published: they name no folder of this machine.
            entry.not_run = str(error).replace(f"{deployment.root}/", "").replace(f"{self.repository}/", "")
            self.say(f"not run: {entry.not_run}")
            contender.stop()
            return False
        entry.settings = dict(contender.settings)  # with what was chosen on loading
        tree = contender.tree
        before = tree.cpu_seconds()
        time.sleep(_IDLE_SECONDS)
        entry.idle_cpu = (tree.cpu_seconds() - before) / _IDLE_SECONDS
        tree.pause()
        stack.callback(tree.resume)  # runs before contender.stop: a stopped process cannot be asked to end
        return True

    def _round(self, workload: Workload, number: int, pictures: Pictures) -> None:
        first = number % max(1, len(self._servers))
        for server in self._servers[first:] + self._servers[:first]:
            self.results.rounds.append(turns.serve(server, workload, number, pictures, self.plan))
        if workload.pictures == _LIMIT_PICTURES:
            for engine in self._engines.values():
                self.results.rounds.append(turns.limit(engine, workload, number, self.plan))
        if workload.clients == 1:
            for variant, engine in self._engines.items():
                self.results.in_process.append(
                    turns.in_process(engine, variant, workload, number, pictures, self.plan)
                )

    def _entry(self, name: str, model: str) -> Entry:
        entry = self.results.entry(name, model)
        if entry is None:
            raise KeyError(name)
        return entry
