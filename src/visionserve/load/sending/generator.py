"""Runs traffic: Locust as its own process, headless, from a plan to a run's folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from visionserve import api_key
from visionserve.load import machine, runs
from visionserve.load.errors import LoadError
from visionserve.load.sending import keeping
from visionserve.load.sending.processes import FILE, Watch, find_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from visionserve.client import Client
    from visionserve.load.plan import Plan
    from visionserve.load.runs import Run
    from visionserve.load.sending.corpus import Corpus
    from visionserve.load.sending.keeping import Keeper

CORPUS = "corpus"
_GRACE = 30.0  # seconds for Locust to start and end


@dataclass(frozen=True)
class Session:
    """What stays the same from run to run: a server and what is sent to it.

    Attributes:
        locustfile: The one to run.
        host: Base URL of the inference address.
        corpus: What is sent.
        corpus_folder: Where it lies.
        facts: What goes into every run's header.
        extra: Further arguments for Locust, such as `--master`.
        key: The API key that the server wants, if any; it goes by the environment, which only this user can read.
        keeper: Ends what is started here when this process is killed.
    """

    locustfile: Path
    host: str
    corpus: Corpus
    corpus_folder: Path
    facts: Mapping[str, Any] = field(default_factory=dict)
    extra: Sequence[str] = ()
    key: str | None = field(default=None, repr=False)
    keeper: Keeper | None = None

    def command(self, plan: Plan) -> list[str]:
        """The Locust command of a plan, without what makes it headless."""
        return [
            *(sys.executable, "-m", "locust", "-f", str(self.locustfile)),
            "Arrivals" if plan.open_loop else "Client",
            *("--host", self.host),
            *("--corpus", str(self.corpus_folder)),
            *plan.arguments(),
        ]

    def environment(self) -> dict[str, str]:
        """What Locust is started with."""
        return {**os.environ, **({} if self.key is None else {api_key.VARIABLE: self.key})}

    def run(
        self, plan: Plan, folder: Path, label: str | None = None, purpose: str = "run", interval: float = 1.0
    ) -> Run:
        """Run a plan to its end.

        Args:
            plan: The load.
            folder: The run's own, made if need be; an earlier run in it is replaced.
            label: What a report is to call it.
            purpose: What it is for: `soak` runs are watched for growth.
            interval: Seconds between readings of the server's processes.

        Raises:
            LoadError: Locust could not run, or sent nothing.
        """
        if folder.exists():
            for old in folder.glob("samples*"):
                old.unlink()
        header = runs.begin(folder, plan, self.corpus, dict(self.facts), label, purpose)
        users = plan.generators if plan.open_loop else plan.users
        longest = plan.warm_up + plan.duration + plan.timeout + _GRACE
        command = [
            *self.command(plan),
            *("--samples", str(folder)),
            *("--headless", "--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"),
            *("--users", str(users), "--spawn-rate", str(users), "--run-time", f"{longest:.0f}s"),
            *("--html", str(folder / "locust.html"), "--csv", str(folder / "locust")),
            *(("--processes", str(plan.generators)) if plan.generators > 1 and not self.extra else ()),
            *self.extra,
        ]
        log = folder / "locust.log"
        with (
            log.open("wb") as output,
            Watch(find_server(self.host), folder / FILE, interval),
            # In a session of its own, whose priority it may raise.
            keeping.process(command, self.keeper, output, self.environment(), errors=subprocess.STDOUT) as locust,
        ):
            code = locust.wait()
        if code != 0 or not list(folder.glob("samples*")):
            raise LoadError(f"locust ended with code {code}: {log.read_text(errors='replace').strip()[-500:]}")
        runs.finish(folder, header)
        return runs.read(folder)


def facts(client: Client, archives: Mapping[str, Path], root: Path) -> dict[str, Any]:
    """What a run's header says of the server, the archives, the machine and the project.

    Raises:
        Unreachable: The server does not answer.
        Refused: It does not serve one of the models.
    """
    return {
        "host": client.inference,
        # Whoever has but a URL is not told.
        "server": {name: client.describe(name) for name in archives} if client.management else {},
        "archives": {
            name: {"file": path.name, "sha256": _digest(path), "bytes": path.stat().st_size}
            for name, path in archives.items()
        },
        "machine": machine.describe(),
        "versions": machine.versions(),
        "commit": machine.commit(root),
    }


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
