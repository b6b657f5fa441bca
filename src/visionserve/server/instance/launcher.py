"""One TorchServe: its Java process, its private folder, its end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.project import SUFFIX
from visionserve.server.errors import ServerError, writing
from visionserve.server.instance import admission, environment, java
from visionserve.server.run.warden import Warden
from visionserve.server.settings import heap, safety

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from visionserve.server.instance.admission import Admission
    from visionserve.server.settings.properties import Properties

_LOG_CONFIG = Path(__file__).with_name("log4j2.xml")
_STOP_TIMEOUT = 15.0  # seconds from SIGTERM to SIGKILL
_KEPT = 5  # log files beside each that is written; log4j2.xml has the same number


class TorchServe:
    """A TorchServe process; use it as a context manager to be sure of its end.

    TorchServe's own launcher neither forwards signals to Java nor reports its exit code, so Java is started
    here directly, with the arguments that launcher would give it.

    Args:
        archives: The .mar file of each model, by model name; anywhere.
        properties: How to run.
        logs: The folder for its log files; those of earlier runs are kept beside them, numbered.
        admit: What puts each archive into the server's model store, or refuses it.
        folder: Its private folder, made anew; without it, one for temporary files.
        warden: What ends it when this process is killed; without it, one of its own.
        variables: Those of the environment that it is to see beside the harmless ones.
        instances: How many such servers share this machine's cores.

    Raises:
        ServerError: The settings open what must stay closed, Java's heap cannot hold a model's full queue, a port
            is taken, or there is no Java.
        SignatureError: An archive is not admitted.
    """

    def __init__(
        self,
        archives: Mapping[str, Path],
        properties: Properties,
        logs: Path,
        admit: Admission = admission.linked,
        folder: Path | None = None,
        warden: Warden | None = None,
        variables: Sequence[str] = (),
        instances: int = 1,
    ) -> None:
        safety.require_closed(properties)
        heap.require_room(properties, archives)
        self._environment = environment.passed(
            os.environ, variables, properties.values.get("blacklist_env_vars", ""), instances
        )
        properties.require_free_ports()
        self.properties = properties
        self.logs = logs.resolve()
        executable = java.find()
        with writing(folder or Path(tempfile.gettempdir())):
            self.folder = _private(folder)
        # TorchServe takes one model store.
        self._store = self.folder / "model_store"
        self._warden, self._shared = warden or Warden(), warden is not None
        try:
            self._warden.guard_folder(self.folder)
            with writing(self.folder):
                self._store.mkdir()
                self.archives = {
                    name: admit(path, self._store / f"{name}{SUFFIX}") for name, path in archives.items()
                }
                self.process = self._start(executable)
        except BaseException:
            self._remove()
            raise
        self._warden.guard_session(self.process.pid)

    def _start(self, executable: Path) -> subprocess.Popen[bytes]:
        self.logs.mkdir(parents=True, exist_ok=True)
        _keep_earlier(self.logs)
        workflows = self.folder / "workflows"
        workflows.mkdir()
        config = self.folder / "config.properties"
        self.properties.for_instance(self._store, workflows).write(config)
        package = find_spec("ts")
        if package is None or package.origin is None:
            raise ServerError("torchserve is not installed in this environment: pip install torchserve==0.12.0")
        home = Path(package.origin).parent
        command = [
            str(executable),
            *java.flags(executable),
            f"-Dmodel_server_home={home.parent}",
            f"-Dlog4j.configurationFile={_LOG_CONFIG.as_uri()}",
            f"-Djava.io.tmpdir={self.folder}",
            f"-XX:ErrorFile={self.logs.absolute() / 'java_crash.log'}",
            *self.properties.vmargs,
            *("-cp", str(home / "frontend" / "*")),
            "org.pytorch.serve.ModelServer",
            *("--python", sys.executable),
            *("-f", str(config)),
            *("-s", str(self._store)),
            "-ncs",
            *("-m", *(f"{name}={name}{SUFFIX}" for name in self.archives)),
        ]
        temporary = {"TEMP": str(self.folder), "TMPDIR": str(self.folder)}
        logs = {"LOG_LOCATION": str(self.logs), "METRICS_LOCATION": str(self.logs)}
        with (self.logs / "java.log").open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env={**self._environment, **temporary, **logs},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> TorchServe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, *, at_once: bool = False) -> None:
        """End the server and its workers, and remove its private folder.

        Args:
            at_once: Whether it gets no time to end by itself: nothing is under way, or others answer that too.
        """
        try:
            if not at_once:
                self.process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(_STOP_TIMEOUT)
        finally:  # whoever is told a second time to stop still ends all of it
            # Workers share the server's session; one that is loading does not notice that its server is gone.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):  # a disk or a device that hangs holds up nobody else
                self.process.wait(_STOP_TIMEOUT)
            self._warden.let_go_session(self.process.pid)
            self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._warden.let_go_folder(self.folder)
        if not self._shared:
            self._warden.close()


def _private(folder: Path | None) -> Path:
    """An empty folder that only this user can enter."""
    if folder is None:
        # Short, for the workers' sockets lie in it, and a socket's path may not be long.
        return Path(tempfile.mkdtemp(prefix="visionserve-"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder


def _keep_earlier(logs: Path) -> None:
    """Number the log files of earlier runs, the newest 1: `server.log` becomes `server.log.1`.

    A run that fills a file goes on with these numbers, so there are never more of them.
    """
    for log in sorted(logs.glob("*.log")):
        for number in range(_KEPT, 0, -1):
            earlier = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
            if earlier.exists():
                earlier.replace(log.with_name(f"{log.name}.{number}"))
