"""Whether the server truly answers.

TorchServe's own `/ping` says Healthy while models load, when none could be loaded, and for minutes of a worker's
crash loop. A model is ready here when all its workers are and it gives a golden picture its known answer.
"""

from __future__ import annotations

import os
import re
import time
import zipfile
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from visionserve.calls import Refused, Unreachable
from visionserve.client import Client
from visionserve.runtime import archive
from visionserve.server.errors import Busy, ServerError, WrongAnswer
from visionserve.server.instance import question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from visionserve.runtime.proof.drawing import Picture
    from visionserve.server.instance.launcher import TorchServe

    # A golden picture, and the labels that a right answer to it may begin with.
    Known = tuple[Picture, frozenset[str]]

# Of a server that is started for a demonstration or a measurement, in seconds.
READY_TIMEOUT = 300.0

# What an error says of an instance: 200 is an answer that is no prediction.
_KINDS: dict[int, type[ServerError]] = {HTTPStatus.OK: WrongAnswer, HTTPStatus.SERVICE_UNAVAILABLE: Busy}

_POLL = 0.1  # seconds
_LINES_SHOWN = 3
_TAIL = 1 << 20  # bytes
_WORKERS = "workers.log"


def wait_until_ready(
    server: TorchServe, timeout: float, meanwhile: Callable[[], None] = lambda: None
) -> Iterator[tuple[str, float]]:
    """Wait for every model of a server just started.

    Args:
        server: The server.
        timeout: Seconds that it may take.
        meanwhile: Called again and again, also while a question is not answered; may raise to end the waiting.

    Yields:
        Each model's name when it is ready, and the seconds that took from the call.

    Raises:
        ServerError: The server ended, a model cannot be loaded (with the cause its worker gave), a ready model
            answers wrongly or not at all, or `timeout` seconds have passed.
    """
    start = time.monotonic()
    waiting = dict(server.archives)

    def wait() -> None:
        _require_progress(server, waiting, timeout, start)
        meanwhile()

    properties = server.properties
    with Client(properties.inference, properties.management, seconds=timeout) as client:
        while waiting:
            for name, mar in list(waiting.items()):
                if question.ask(partial(_workers_ready, client, name, server), wait):
                    known = known_answer(mar)
                    try:
                        question.ask(partial(require_known_answer, client, name, known), wait)
                    except Unreachable as error:
                        wait()  # has the cause if it ended
                        raise ServerError(f"{name} is loaded and does not answer") from error
                    del waiting[name]
                    yield name, time.monotonic() - start
            if waiting:
                wait()
                time.sleep(_POLL)


def known_answer(mar: Path) -> Known:
    """A golden picture of an archive, and the labels that are a right answer to it.

    Raises:
        ServerError: The archive cannot be read any more.
    """
    try:
        return archive.known_answers(zipfile.Path(mar))[0]
    except (OSError, zipfile.BadZipFile) as error:
        raise ServerError(f"{mar}: cannot be read: {error}") from error


def require_known_answer(client: Client, name: str, known: Known) -> None:
    """Ask a model for a golden picture.

    Raises:
        ServerError: The answer is an error.
        Busy: Too much waits before it.
        WrongAnswer: It is another label, or no prediction.
    """
    picture, labels = known
    try:
        got = next(iter(client.predict(name, picture.data)), "nothing")
    except Refused as error:
        kind = _KINDS.get(error.status, ServerError)
        raise kind(f"{name} is loaded and does not answer: {error}") from error
    if got not in labels:
        right = "' or '".join(sorted(labels))
        raise WrongAnswer(f"{name} answers '{got}' for golden picture {picture.name}; its archive says '{right}'")


def _workers_ready(client: Client, name: str, server: TorchServe) -> bool:
    try:
        ready, wanted = client.workers_ready(name)
    except Unreachable:
        return False
    except Refused as error:
        # Models given at start are registered before the port opens: one that is not there never will be.
        raise ServerError(
            f"TorchServe did not take {server.archives[name]} ({error}): {_last_error(server)}"
        ) from error
    return ready >= wanted > 0


def _require_progress(server: TorchServe, waiting: dict[str, Path], timeout: float, start: float) -> None:
    if server.process.poll() is not None:
        raise ServerError(f"TorchServe ended with code {server.process.returncode}: {_last_error(server)}")
    for name in waiting:
        cause = _load_failure(server.logs, name)
        if cause is not None:
            raise ServerError(f"{name} cannot be served: {cause}")
    if time.monotonic() - start > timeout:
        raise ServerError(f"{', '.join(waiting)} not ready after {timeout:.0f} s; the logs are in {server.logs}")


def _load_failure(logs: Path, name: str) -> str | None:
    """The cause that the handler logged when it could not load the model, or that its process died of."""
    text = _said_by_workers(logs, name)
    if logged := _refusal(text, name):
        return logged
    died = re.findall(r" - (\w*(?:Error|Exception): .*)", text) if "Backend worker process died" in text else []
    return died[-1] if died else None


def refusal(logs: Path, name: str, since: int = 0) -> str | None:
    """The cause for which a worker refused to serve the model.

    Args:
        logs: The folder of the server's log files, which its start makes anew.
        name: The model.
        since: How many bytes workers had logged when all of them were well: what they said before is over.
    """
    return _refusal(_said_by_workers(logs, name, since), name)


def logged(logs: Path) -> int:
    """How many bytes workers have logged since the last rotation."""
    with suppress(FileNotFoundError):
        return (logs / _WORKERS).stat().st_size
    return 0


def _refusal(text: str, name: str) -> str | None:
    logged = re.search(rf"visionserve cannot serve {re.escape(name)}: (.*)", text)
    return logged.group(1) if logged else None


def _said_by_workers(logs: Path, name: str, since: int = 0) -> str:
    # The thread that reads a worker's lines is called W-9000-NAME_VERSION-stdout; models load side by side.
    its = re.compile(rf" W-\d+-{re.escape(name)}_[^ _]+-std(?:out|err) ")
    return "\n".join(line for line in _read(logs / _WORKERS, since).splitlines() if its.search(line))


def _last_error(server: TorchServe) -> str:
    """The lines that say what went wrong: the server's last errors, else the first that Java printed."""
    telling = [line for line in _read(server.logs / "server.log").splitlines() if " ERROR " in line]
    lines = telling[-_LINES_SHOWN:] or _read(server.logs / "java.log").splitlines()[:_LINES_SHOWN]
    return " | ".join(line.strip() for line in lines) or f"the logs are in {server.logs}"


def _read(log: Path, since: int = 0) -> str:
    """The end of a log file, or of what was written since it had so many bytes."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            # Rotated meanwhile, all of it is new.
            file.seek(max(since if since <= size else 0, size - _TAIL))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:  # not yet, or it is just being rotated
        return ""
