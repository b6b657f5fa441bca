"""The process that decoders are forked from: it has imported what they need, and has no thread but one.

A worker cannot fork decoders of its own: it runs threads, and a fork copies the locks that they hold.
"""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import socket
import sys
from typing import Any

import torch
from PIL import Image

from visionserve.runtime.decoders import decoder
from visionserve.runtime.decoders.process import open_standard_files
from visionserve.runtime.model import Transform
from visionserve.runtime.pictures import decode

logger = logging.getLogger(__name__)

_LARGEST_MESSAGE = 1 << 12


def main() -> None:
    """Fork a decoder for every message of the worker's, until it closes the connection.

    A message carries two file descriptors, the decoder's connection and memory, and names the process that the new
    one stands in for, 0 for none. The answer tells the new one's process id, and the signal that ended the other.
    """
    open_standard_files()
    control = socket.socket(fileno=int(sys.argv[1]))
    settings: dict[str, Any] = json.loads(sys.argv[2])
    transform = Transform(**settings["transform"])
    # Ctrl-C reaches every process of a terminal; the worker says when it is over.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would take away how a decoder ended
    torch.set_num_threads(1)
    decode.configure_pillow()
    _warm_up(transform)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _LARGEST_MESSAGE, 2)
        if not message:
            os._exit(0)  # taking torch apart first would keep whoever closes it for half a second
        ended = _ended(json.loads(message)["replaces"])
        pid = os.fork()
        if not pid:
            control.close()
            try:
                connection = socket.socket(fileno=descriptors[0])
                decoder.serve(connection, descriptors[1], transform, settings["pixels"])
            except BaseException:
                logger.exception("a decoder could not go on")
                os._exit(1)
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        control.sendall(json.dumps({"pid": pid, "ended": ended}).encode())


def _warm_up(transform: Transform) -> None:
    """Both ways to decode, once: Pillow loads its formats at the first picture, torch its filters."""
    side = 2 * max(transform.resize, transform.crop)
    encoded = io.BytesIO()
    Image.new("RGB", (side, side)).save(encoded, "JPEG")
    for exact in (False, True):
        decode.prepare(encoded.getvalue(), side**2, transform, exact=exact)


def _ended(pid: int) -> str | None:
    """The signal that ended a decoder, by its name; waits until it has ended. None if another template made it."""
    if not pid:
        return None
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return None
    return signal.Signals(-status).name if status < 0 else f"exit code {status}"


if __name__ == "__main__":
    main()
