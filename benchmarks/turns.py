"""One turn: one contender awake, one load, one measurement."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import process, traffic
from benchmarks.results import Ceiling, InProcess, Round

if TYPE_CHECKING:
    from benchmarks.contenders import Server
    from benchmarks.contenders.engine_alone import EngineAlone
    from benchmarks.corpus import Pictures
    from benchmarks.plan import Plan
    from benchmarks.results import Workload

_ROOT = Path(__file__).parents[1]
_LARGEST_BATCH = 8
_CEILING_CLIENTS = 32
_CEILING_SECONDS = 2.0


def serve(server: Server, workload: Workload, number: int, pictures: Pictures, chosen: Plan) -> Round:
    """Let a server answer a load, and count."""
    job = traffic.Job(
        port=server.port,
        target=server.target,
        form=server.form,
        pictures=pictures.files[workload.pictures],
        answers=pictures.answers[workload.pictures],
        labels=pictures.labels,
        clients=workload.clients,
        warm_up=chosen.warm_up,
        seconds=chosen.seconds,
    )
    tree = server.tree
    tree.resume()
    clock, busy, own, others = time.perf_counter(), tree.cpu_seconds(), _own_cpu(), _machine_cpu()
    tally, generator = _generate(job)
    elapsed = time.perf_counter() - clock
    served, own, others = tree.cpu_seconds() - busy, _own_cpu() - own, _machine_cpu() - others
    tree.pause()
    return Round(
        workload.model,
        workload.pictures,
        workload.clients,
        server.name,
        number,
        **{**tally, "generator_cpu": generator},
        server_cpu=served / elapsed,
        other_cpu=max(0.0, others - served - own) / elapsed,
    )


def limit(engine: EngineAlone, workload: Workload, number: int, chosen: Plan) -> Round:
    """Let an engine answer by itself, one picture at a time for one client, else in full batches."""
    batch = min(workload.clients, _LARGEST_BATCH)
    engine.tree.resume()
    rate = engine.rate(batch, chosen.seconds)
    engine.tree.pause()
    return Round(
        workload.model,
        workload.pictures,
        workload.clients,
        engine.name,
        number,
        rate=rate,
        answers=round(rate * chosen.seconds),
        seconds=chosen.seconds,
        p50=1000 * batch / rate,
    )


def in_process(
    engine: EngineAlone, variant: str, workload: Workload, number: int, pictures: Pictures, chosen: Plan
) -> InProcess:
    """Take pictures from bytes to logits one at a time, with no server between."""
    engine.tree.resume()
    milliseconds = engine.path(pictures.files[workload.pictures], chosen.seconds)
    engine.tree.pause()
    return InProcess(workload.model, workload.pictures, variant, number, milliseconds)


def ceiling(pictures: Pictures, kind: str) -> Ceiling:
    """What the load generator can do when the server costs next to nothing."""
    port = process.free_port()
    sink = subprocess.Popen([sys.executable, "-m", "benchmarks.sink", str(port)], cwd=_ROOT)
    try:
        process.wait_for_port(port)
        files = pictures.files[kind]
        job = traffic.Job(
            port, "/", "body", files, ["sink"] * len(files), [], _CEILING_CLIENTS, 0.2, _CEILING_SECONDS
        )
        tally, cores = _generate(job)
    finally:
        sink.terminate()
        sink.wait()
    return Ceiling(kind, _CEILING_CLIENTS, tally["rate"], 1000 * cores / tally["rate"] if tally["rate"] else 0.0)


def _generate(job: traffic.Job) -> tuple[dict[str, Any], float]:
    """Run the load generator in a process of its own: its tally, and the cores it kept busy within the window."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.traffic"],
        cwd=_ROOT,
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        cause = (done.stderr.splitlines() or ["no cause"])[-1]
        return asdict(
            traffic.Tally(errors={"load generator ended": 1}, examples=[cause], seconds=job.seconds)
        ), 0.0
    tally: dict[str, Any] = json.loads(done.stdout)
    return tally, tally["generator_cpu"] / tally["seconds"]


def _own_cpu() -> float:
    """CPU seconds of this process and of the load generators it has run."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def _machine_cpu() -> float:
    """CPU seconds that all processes of the machine have used."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))
