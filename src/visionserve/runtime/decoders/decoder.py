"""What runs in a decoder: pictures in, pixels out, one after the other, until the worker goes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from visionserve.runtime.decoders import limits
from visionserve.runtime.pictures import decode
from visionserve.runtime.wire.errors import ImageTooLarge, RequestError

if TYPE_CHECKING:
    from socket import socket

    from visionserve.runtime.model import Transform


_STANDARD_ERROR = 2  # whether or not the server left it open


def serve(connection: socket, memory: int, transform: Transform, max_pixels: int) -> None:
    """Decode what the worker asks for, until it closes the connection.

    Each question is a line of JSON: the picture's `length`, the `pixels` it may have, the `seconds` it may take of
    a core, whether to decode `exact`ly. Each answer is one too: the `pixels` it had and the `seconds` it took, or
    the `error` and its `message`.

    Args:
        connection: To the worker.
        memory: A file descriptor of the memory shared with it: it writes the picture's bytes there, and finds
            uint8 `[crop, crop, 3]` there.
        transform: The transform to follow.
        max_pixels: The most pixels that any picture may have.
    """
    limits.confine(max_pixels, most_written=3 * transform.crop**2)
    # libtiff and Pillow write of every damage there, and clients could fill the server's log with it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STANDARD_ERROR)
    with connection.makefile("rwb") as lines:
        for line in lines:
            lines.write(json.dumps(_answer(json.loads(line), memory, transform)).encode() + b"\n")
            lines.flush()


def _answer(asked: dict[str, Any], memory: int, transform: Transform) -> dict[str, Any]:
    try:
        with limits.one_picture(asked["seconds"]) as spent:
            picture = os.pread(memory, asked["length"], 0)
            pixels, size = decode.prepare(picture, asked["pixels"], transform, exact=asked["exact"])
            os.pwrite(memory, pixels.tobytes(), 0)
    except MemoryError:
        return _refusal(ImageTooLarge("the image takes more memory to decode than one of its size may"))
    except RequestError as error:
        return _refusal(error)
    return {"pixels": size, "seconds": spent.seconds}


def _refusal(error: RequestError) -> dict[str, Any]:
    return {"error": error.type, "message": str(error)}
