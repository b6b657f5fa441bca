"""Sends requests from inside a Locust process, and records each one.

Imported by the locustfile only: it needs Locust's event loop.
"""

from __future__ import annotations

import json
import os
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
from gevent.pool import Pool
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from visionserve import api_key
from visionserve.load import outcomes
from visionserve.load.plan import Plan
from visionserve.load.samples import MEASURED, WARM_UP, Journal
from visionserve.load.sending import arrivals, corpus

if TYPE_CHECKING:
    from locust import FastHttpUser
    from locust.env import Environment

    from visionserve.load.outcomes import Outcome

_HEADERS = {"Content-Type": "application/octet-stream"}
_DONE = "visionserve-done"
_PRIORITY = -10
# The event loop's timers count whole milliseconds; the rest of a wait is spent yielding to other requests.
_TIMER = 0.0015  # seconds


class Traffic:
    """What one generator process sends.

    Args:
        environment: Locust's.
        plan: The load.
        sent: The pictures and models.
        samples: The folder to record in; by default nothing is recorded.
    """

    def __init__(self, environment: Environment, plan: Plan, sent: corpus.Corpus, samples: Path | None) -> None:
        self.environment = environment
        self.plan = plan
        self.pictures = sent.pictures
        self.models = list(sent.models)
        self.generator = max(0, getattr(environment.runner, "worker_index", 0))
        self._picture_weights = [picture.weight for picture in sent.pictures]
        self._model_weights = list(sent.models.values())
        self._journal = None if samples is None else Journal(samples, self.generator, sent.digest)
        self._epoch = time.time_ns() - time.perf_counter_ns()
        self._start = 0
        self._users = 0
        self._headers = {**_HEADERS, **api_key.header(api_key.find())}

    @property
    def measuring_from(self) -> int:
        """When the warm-up ends, on the monotonic clock in ns."""
        return self._start + int(self.plan.warm_up * 1e9)

    @property
    def ends(self) -> int:
        """When the last request is due, on the monotonic clock in ns."""
        return self.measuring_from + int(self.plan.duration * 1e9)

    def join(self) -> random.Random:
        """A user begins; the first one starts the clock. Returns the user's own source of choices."""
        if self._start == 0:
            self._start = time.perf_counter_ns()
            gevent.spawn_later(self.plan.warm_up, self.environment.stats.reset_all)
        self._users += 1
        return random.Random(f"{self.plan.seed}/{self.generator}/{self._users}")  # noqa: S311

    def leave(self) -> None:
        """A user is done; after the last one the whole run is."""
        self._users -= 1
        if self._users == 0 and time.perf_counter_ns() >= self.ends:
            runner = self.environment.runner
            if isinstance(runner, WorkerRunner):
                runner.send_message(_DONE)
            elif runner is not None:
                gevent.spawn(runner.quit)

    def ask(self, user: FastHttpUser, rng: random.Random) -> None:
        """Closed loop: send one request now and wait for its answer.

        Raises:
            StopUser: The time is over.
        """
        now = time.perf_counter_ns()
        if now >= self.ends:
            raise StopUser
        self._send(user, *self._choose(rng), now, capped=False)

    def run_schedule(self, user: FastHttpUser, rng: random.Random) -> None:
        """Open loop: send every request of the schedule when it is due, then wait for the last answers.

        Raises:
            StopUser: The time is over.
        """
        plan = self.plan
        cap = max(1, plan.in_flight // plan.generators)
        pool = Pool(cap)
        for offset in arrivals.times(plan.arrivals, plan.rate, plan.seed, self.generator, plan.generators):
            due = self._start + int(offset * 1e9)
            if due >= self.ends:
                break
            self._wait_until(due)
            if time.perf_counter_ns() - due > plan.timeout * 1e9:
                break  # hopelessly behind: the run is invalid, and going on would take for ever
            picture, model = self._choose(rng)
            pool.spawn(self._send, user, picture, model, due, capped=pool.full())
        self._wait_until(self.ends)
        pool.join()
        raise StopUser

    def _wait_until(self, due: int) -> None:
        remaining = (due - time.perf_counter_ns()) / 1e9
        if remaining > _TIMER:
            gevent.sleep(remaining - _TIMER)
        gevent.sleep(0)
        while time.perf_counter_ns() < due:
            gevent.sleep(0)

    def _choose(self, rng: random.Random) -> tuple[int, int]:
        (picture,) = rng.choices(range(len(self.pictures)), self._picture_weights)
        (model,) = rng.choices(range(len(self.models)), self._model_weights)
        return picture, model

    def _send(self, user: FastHttpUser, picture_index: int, model_index: int, due: int, *, capped: bool) -> None:
        picture, model = self.pictures[picture_index], self.models[model_index]
        sent = time.perf_counter_ns()
        with user.client.post(
            f"/predictions/{model}",
            data=picture.data,  # type: ignore[arg-type]  # Locust sends bytes and does not say so
            headers=self._headers,
            allow_redirects=False,  # which might lead the key to somebody else
            name=model,
            catch_response=True,
        ) as response:
            answered = time.perf_counter_ns()
            outcome, error_type = _judge(response, picture, model)
            # Locust's own statistics count from the schedule as well.
            response.request_meta["response_time"] = (answered - due) / 1e6
            if outcome.right:
                response.success()
            else:
                response.failure(f"{outcome.meaning} (status {response.status_code} {error_type})")
            if self._journal is not None:
                self._journal.append(
                    scheduled=due + self._epoch,
                    sent=sent + self._epoch,
                    answered=answered + self._epoch,
                    cpu=time.process_time_ns(),
                    bytes_out=len(picture.data),
                    bytes_in=len(response.content or b""),
                    status=response.status_code,
                    picture=picture_index,
                    outcome=outcome,
                    model=model_index,
                    phase=MEASURED if due >= self.measuring_from else WARM_UP,
                    generator=self.generator,
                    capped=capped,
                    type=error_type.encode(),
                    **_stages(response.headers),
                )


def prepare(environment: Environment) -> None:
    """Let the master end the run when every generator is done."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        master, waiting = runner, [environment.parsed_options.load_generators if environment.parsed_options else 1]

        def one_is_done(**_: Any) -> None:
            waiting[0] -= 1
            if waiting[0] == 0:
                gevent.spawn(master.quit)

        master.register_message(_DONE, one_is_done)


def begin(environment: Environment) -> Traffic:
    """The traffic that Locust's options ask for.

    Raises:
        LoadError: The options make no sense, or there is no corpus.
    """
    options = environment.parsed_options
    # What measures should not wait for what is measured, where both share a machine and this may be said: to the
    # scheduler of processes, and to that of sessions, which Linux puts above it (sched(7), "autogroup").
    with suppress(OSError):
        os.nice(_PRIORITY)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_PRIORITY), encoding="ascii")
    assert options is not None  # noqa: S101  # set whenever Locust runs a locustfile
    # A master only counts what its workers send.
    recording = options.samples and not isinstance(environment.runner, MasterRunner)
    samples = Path(options.samples) if recording else None
    return Traffic(environment, Plan.from_options(options), corpus.read(Path(options.corpus)), samples)


def _judge(response: Any, picture: corpus.Picture, model: str) -> tuple[Outcome, str]:
    if response.status_code == 0:
        # geventhttpclient wraps what went wrong in a complaint that it was not to retry.
        error = getattr(response.error, "original", None) or response.error
        return outcomes.of_failure(error), type(error).__name__
    label, error_type = "", ""
    with suppress(ValueError, StopIteration, AttributeError, TypeError):
        document = json.loads(response.content)
        if response.status_code == 200:
            label = next(iter(document))
        else:
            error_type = str(document.get("type", ""))
    right = label in picture.answers.get(model, ())
    return outcomes.of_answer(response.status_code, error_type, picture.is_bad, right), error_type


def _stages(headers: Any) -> dict[str, float | int]:
    """What the server says of its time: `X-Stage-Times: decode=1.2,inference=25.1` in ms, `X-Batch-Size: 8`."""
    if not headers:
        return {}
    told: dict[str, float | int] = {}
    with suppress(ValueError):
        told["batch"] = int(headers.get("X-Batch-Size", 0))
        stages = dict(part.split("=", 1) for part in headers.get("X-Stage-Times", "").split(",") if part)
        told |= {name: float(stages[name]) for name in ("decode", "inference") if name in stages}
    return told
