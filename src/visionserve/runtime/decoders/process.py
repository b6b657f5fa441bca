"""The worker's side of the template and of one decoder."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import visionserve
from visionserve.runtime.decoders import limits
from visionserve.runtime.wire.errors import RequestError

if TYPE_CHECKING:
    import numpy.typing as npt

    from visionserve.runtime.model import Transform

# Importing takes seconds, and much longer on a machine that starts many workers at once.
_START_SECONDS = 120.0
# Once it has forked one, milliseconds are enough.
_FORK_SECONDS = 5.0
_LARGEST_MESSAGE = 1 << 16
# A picture larger than this leaves its memory to the system again.
_KEPT_MEMORY = 1 << 20
# The folder that holds the package: the one that runs here is the one to run there.
_SCOPE = Path(visionserve.__file__).parent.parent
_REFUSALS: dict[str, type[RequestError]] = {kind.type: kind for kind in RequestError.__subclasses__()}


class Template:
    """The process that decoders are forked from. See `template`.

    Args:
        transform: The transform that pictures go through.
        max_pixels: The most pixels that a picture may have.

    Raises:
        OSError: It could not be started.
    """

    def __init__(self, transform: Transform, max_pixels: int) -> None:
        self._side = transform.crop
        open_standard_files()
        self._control, theirs = socket.socketpair()
        self._control.settimeout(_START_SECONDS)
        settings = json.dumps({"transform": asdict(transform), "pixels": max_pixels})
        command = [
            sys.executable,
            "-P",
            "-m",
            "visionserve.runtime.decoders.template",
            str(theirs.fileno()),
            settings,
        ]
        found = os.pathsep.join(filter(None, (str(_SCOPE), os.environ.get("PYTHONPATH"))))
        # One thread each: the decoders together are as many as there are cores.
        alone = {"PYTHONPATH": found, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with theirs:
            self._process = subprocess.Popen(
                command, env=os.environ | alone, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )

    def fork(self, replaces: int = 0) -> tuple[Decoder, str | None]:
        """A fresh decoder, and what ended the one that it stands in for, where it does.

        Args:
            replaces: The process id of a decoder that has ended or is about to, 0 for none.

        Raises:
            OSError: The template is gone, or there is no memory for one more process.
        """
        ours, theirs = socket.socketpair()
        memory = _shared_memory()
        try:
            with theirs:
                message = json.dumps({"replaces": replaces}).encode()
                socket.send_fds(self._control, [message], [theirs.fileno(), memory])
            answer = self._control.recv(_LARGEST_MESSAGE)
            if not answer:
                raise ConnectionResetError("the process that decoders are forked from has ended")
        except BaseException:
            ours.close()
            os.close(memory)
            raise
        self._control.settimeout(_FORK_SECONDS)
        made = json.loads(answer)
        return Decoder(made["pid"], ours, memory, self._side), made["ended"]

    def close(self) -> None:
        """End it; decoders end by themselves when they are closed."""
        self._control.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
            return
        self._process.kill()
        self._process.wait()


class Decoded(NamedTuple):
    """What a decoder made of a picture.

    Attributes:
        pixels: uint8 `[crop, crop, 3]`.
        size: The pixels that the picture had.
        seconds: What it took of a core.
    """

    pixels: npt.NDArray[np.uint8]
    size: int
    seconds: float


class DecoderDied(Exception):
    """A decoder ended over a picture, or was ended because it said nothing for too long.

    Attributes:
        silent: Whether it said nothing.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.silent = isinstance(error, TimeoutError)


class Decoder:
    """One decoder: asked by one thread at a time.

    Args:
        pid: Its process id.
        connection: To it. See `decoder.serve`.
        memory: A file descriptor of the memory shared with it.
        side: The network's input size, in pixels.
    """

    def __init__(self, pid: int, connection: socket.socket, memory: int, side: int) -> None:
        self.pid = pid
        self._connection = connection
        self._connection.settimeout(limits.WALL_SECONDS)
        self._memory = memory
        self._side = side

    def has_ended(self) -> bool:
        """Whether it is no more; while it has no picture it says nothing, so all there is to read is its end."""
        waiting = select.poll()  # select() takes no file descriptor above 1023
        waiting.register(self._connection, select.POLLIN)
        return bool(waiting.poll(0))

    def prepare(self, picture: bytes | bytearray, max_pixels: int, seconds: float, *, exact: bool) -> Decoded:
        """See `Decoders.prepare`.

        Raises:
            RequestError: The picture is refused; the decoder is well.
            DecoderDied: The decoder is to be replaced.
        """
        pixels = np.empty((self._side, self._side, 3), np.uint8)
        try:
            if os.pwrite(self._memory, picture, 0) != len(picture):
                raise OSError("there is no room for the picture in shared memory")
            answer = self._answer(
                {"length": len(picture), "pixels": max_pixels, "seconds": seconds, "exact": exact}
            )
            if os.preadv(self._memory, [pixels.data], 0) != pixels.nbytes and "error" not in answer:
                raise OSError("the decoder has written too few pixels")
            if len(picture) > _KEPT_MEMORY:
                os.ftruncate(self._memory, 0)
        except (OSError, ValueError) as error:
            died = DecoderDied(error)
            if died.silent:
                os.kill(self.pid, signal.SIGKILL)
            raise died from error
        if "error" in answer:
            raise _REFUSALS[answer["error"]](answer["message"])
        return Decoded(pixels, answer["pixels"], answer["seconds"])

    def close(self) -> None:
        """Let it end: it does when it finds its connection closed."""
        self._connection.close()
        os.close(self._memory)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._connection.sendall(json.dumps(asked).encode() + b"\n")
        # An answer is less than a socket holds, so it comes in one piece.
        answer = self._connection.recv(_LARGEST_MESSAGE)
        if not answer:
            raise ConnectionResetError("it ended")
        found: dict[str, Any] = json.loads(answer)
        return found


def open_standard_files() -> None:
    """Where a server was started without them, a socket would take their place, and be written messages to."""
    for standard in range(3):
        try:
            os.fstat(standard)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it has the lowest number that is free


def _shared_memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("visionserve-pictures")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
