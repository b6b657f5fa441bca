"""A supervised server on a terminal: what it is run with, and what it says while it runs."""

from __future__ import annotations

import dataclasses
import logging
import signal
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

from visionserve.cli.console import busy, errors, marked, note, output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from visionserve.project import Project
    from visionserve.server.instance.admission import Admission
    from visionserve.server.settings.serving import Serving

_LOG_BYTES, _LOGS = 10_000_000, 5


def settings(project: Project, drain_seconds: float | None = None) -> Serving:
    """`server.yaml`, with what the command line says instead.

    Raises:
        SpecError: It cannot be read, or holds something that it must not.
    """
    from visionserve.server.settings.serving import Serving

    found = Serving.read(project.serving)
    return found if drain_seconds is None else dataclasses.replace(found, drain_seconds=drain_seconds)


def has_haproxy(project: Project, *, required: bool) -> bool:
    """Whether there is an HAProxy; without one, a project that asks for nothing of it is served all the same.

    Args:
        project: The project.
        required: Whether the user asked for it.

    Raises:
        ServerError: There is none, and the user or `server.yaml` asks for what only HAProxy does.
    """
    from visionserve.server.edge import haproxy
    from visionserve.server.errors import ServerError

    try:
        haproxy.find()
    except ServerError as error:
        if required or project.serving.exists():
            raise
        note(f"{error}. TorchServe is served alone, on loopback: nothing is retried, limited or drained")
        return False
    return True


def configuration(project: Project, targets: Sequence[str], drain_seconds: float | None, *, edge: bool) -> str:
    """What TorchServe and HAProxy would be run with to serve archives that are there, without building any."""
    from visionserve.server import store
    from visionserve.server.supervision import preview

    if targets:
        archives = {path.stem: path for path in (store.find(project, target) for target in targets)}
        for path in archives.values():
            store.require_undamaged(path)
    elif any(project.store.glob("*.mar")):
        archives = store.archives(project, [])
    else:
        archives = {}
        note(f"there are no archives in {project.store}, so no model is shown")
    return preview.text(project, settings(project, drain_seconds) if edge else None, archives)


def show_ready(name: str, seconds: float, url: str) -> None:
    """Say that a model can be asked, and how."""
    output.print(
        marked("green", "ready", f" {name} after {seconds:.1f} s:  curl -T image.jpg {url}/predictions/{name}"),
        soft_wrap=True,
    )


def run(
    project: Project,
    archives: Mapping[str, Path],
    timeout: float,
    admit: Admission,
    drain_seconds: float | None,
) -> None:
    """Serve until a signal ends it: the first drains, the second does not wait."""
    from visionserve.server.settings.properties import Properties
    from visionserve.server.supervision.supervisor import Supervisor

    said = settings(project, drain_seconds)
    supervisor = Supervisor(project, archives, said, Properties.read(project.config), admit, timeout)
    spinner = busy(f"TorchServe is loading {', '.join(archives)}")

    def ready(name: str, seconds: float, url: str) -> None:
        with suppress(OSError, SystemExit):  # nobody reads it any more
            spinner.stop()
            show_ready(name, seconds, url)

    with _logged(project), _ended_by_signals(supervisor.end), spinner:
        supervisor.run(ready)
    with suppress(OSError, SystemExit):
        output.print("stopped")


class _InFile(RotatingFileHandler):
    """A log file whose disk may be full for a while: that is told once, and what it could not take is lost."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - logging's own
        """Tell that it cannot be written."""
        if not self._told:
            self._told = True
            errors.print(marked("yellow", "warning:", f" {self.baseFilename} cannot be written"), soft_wrap=True)

    def close(self) -> None:
        """Write no more."""
        with suppress(OSError):
            super().close()


class _OnTerminal(logging.Handler):
    """Warnings and errors for whoever looks."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say one; a terminal that is gone, or the end of a pipe, ends neither the server nor a watch of it."""
        with suppress(OSError, SystemExit):  # rich ends a program whose pipe is broken
            said = marked("yellow", f"{record.levelname.lower()}:", f" {record.getMessage()}")
            errors.print(said, soft_wrap=True)


@contextmanager
def _logged(project: Project) -> Iterator[None]:
    """Write down what the supervisor does, and tell what matters."""
    # Resolved: it may be a link to where there is nothing yet, as in a container whose root cannot be written.
    project.logs.resolve().mkdir(parents=True, exist_ok=True)
    file = _InFile(project.logs / "supervisor.log", maxBytes=_LOG_BYTES, backupCount=_LOGS)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("visionserve.server")
    before = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.propagate = [file, _OnTerminal(logging.WARNING)], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before[0], before[2]
        logger.setLevel(before[1])
        file.close()


@contextmanager
def _ended_by_signals(end: Callable[[], None]) -> Iterator[None]:
    """Have the signals that end a program, and the end of its terminal, call `end`."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup has SIGHUP
            signal.signal(number, lambda _number, _frame: end())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
