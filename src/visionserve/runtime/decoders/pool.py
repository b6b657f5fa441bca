"""As many decoders as may run at once: hands pictures out, takes pixels in, replaces decoders that died."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from functools import partial
from queue import LifoQueue
from typing import TYPE_CHECKING

from visionserve.runtime.decoders import limits
from visionserve.runtime.decoders.process import Decoded, Decoder, DecoderDied, Template
from visionserve.runtime.wire.errors import InvalidImage, ModelFailure, OutOfMemory, RequestError

if TYPE_CHECKING:
    from visionserve.runtime.model import Transform

logger = logging.getLogger(__name__)

_OUT_OF_TIME = "SIGPROF"
_SILENT = "silence"


class Decoders:
    """Processes that decode. They start while the caller does other things; `wait` until they are there.

    Args:
        transform: The transform that pictures go through.
        count: How many processes.
        max_pixels: The most pixels that a picture may have.
        seconds: The most that the pictures of a request may take of a core, together.

    Raises:
        OSError: They could not be started.
    """

    def __init__(
        self, transform: Transform, count: int, max_pixels: int, seconds: float = limits.CPU_SECONDS
    ) -> None:
        self._start = partial(Template, transform, max_pixels)
        self.seconds = seconds
        self._forking = threading.Lock()
        self._templates = [self._start()]
        # The one that was used last is the warmest, so it is the next. None is one that is still to be made.
        self._free: LifoQueue[Decoder | None] = LifoQueue()
        self.count = count
        for _ in range(count):
            self._free.put(None)
        # Whoever forgets to close them leaves no process behind.
        self._closing = weakref.finalize(self, _close, self._free, self._templates)

    def wait(self) -> None:
        """Wait until all are there.

        Raises:
            OSError: They could not be started.
        """
        for decoder in [self._free.get() or self._replaced(None)[0] for _ in range(self.count)]:
            self._free.put(decoder)

    def prepare(
        self, picture: bytes | bytearray, max_pixels: int, seconds: float | None = None, *, exact: bool
    ) -> Decoded:
        """An encoded picture at the network's input size; waits until a decoder is free. For any thread.

        Args:
            picture: The encoded picture.
            max_pixels: The most pixels it may have.
            seconds: The most that it may take of a core, of what a request may; without it all of that.
            exact: See `decode.prepare`.

        Raises:
            RequestError: See `decode.prepare`; also `InvalidImage` where the picture crashes its decoder or takes
                longer than it may, and `OutOfMemory` where the system ended the decoder.
            OSError: A decoder was to be made and could not.
        """
        allowed = self.seconds if seconds is None else seconds
        decoder, kept = self._free.get(), None
        start = 0.0
        try:
            if decoder is None or decoder.has_ended():
                # `_replaced` closes it: closed once more, its descriptor may already be somebody else's.
                gone, decoder = decoder, None
                decoder, _ = self._replaced(gone)
            start = time.monotonic()
            found = decoder.prepare(picture, max_pixels, allowed, exact=exact)
            kept = decoder
        except RequestError:
            kept = decoder
            raise
        except DecoderDied as died:
            ended, took = None, time.monotonic() - start  # not what making another one takes
            try:
                kept, ended = self._replaced(decoder)
            except OSError:  # the next picture tries again
                logger.exception("no decoder could be made")
            logger.warning("a picture of %d bytes ended its decoder: %s", len(picture), ended or died)
            if died.silent:  # it was ended from here, which says nothing of memory
                ended = _SILENT
            elif ended is None and took >= allowed:
                ended = _OUT_OF_TIME
            raise _refusal(ended, self.seconds, alone=allowed == self.seconds) from died
        except BaseException:
            if decoder is not None:
                decoder.close()
            raise
        finally:
            self._free.put(kept)
        return found

    def close(self) -> None:
        """End the processes; no thread may be in `prepare` or call it again."""
        self._closing()

    def _replaced(self, decoder: Decoder | None) -> tuple[Decoder, str | None]:
        """A fresh decoder for one that is no more, and what ended that one, where that is known."""
        if decoder is not None:
            decoder.close()
        with self._forking:
            if self._templates:
                try:
                    return self._templates[-1].fork(decoder.pid if decoder else 0)
                except (ConnectionError, TimeoutError):
                    logger.exception("the process that decoders are forked from has ended; another one is started")
                    self._templates.pop().close()
            self._templates.append(self._start())
            return self._templates[-1].fork()


def _close(free: LifoQueue[Decoder | None], templates: list[Template]) -> None:
    while not free.empty():
        decoder = free.get()
        if decoder is not None:
            decoder.close()
    for template in templates:
        template.close()


def too_slow(seconds: float, *, alone: bool) -> InvalidImage:
    """The refusal of what takes longer than it may.

    Args:
        seconds: What the pictures of a request may take, together.
        alone: Whether it is the request's first picture.
    """
    if not alone:
        return InvalidImage(
            f"the images of this request take more than {seconds:g} s to decode; send fewer, or smaller ones"
        )
    return InvalidImage(
        f"the image takes more than {seconds:g} s to decode; send it smaller, or saved as an ordinary one"
    )


def _refusal(ended: str | None, seconds: float, *, alone: bool) -> RequestError:
    # The system kills what takes the last memory, and where the template went too nobody knows more.
    if ended is None or ended == "SIGKILL":
        return OutOfMemory("the machine had no memory left to decode the image; send it again later")
    if ended.startswith("exit code"):  # by an error of ours, not by what it decoded
        return ModelFailure("the image could not be decoded; the server's log says why")
    if ended == _SILENT:
        return InvalidImage("the image cannot be decoded: its decoder said nothing more; save it again")
    if ended == _OUT_OF_TIME:
        return too_slow(seconds, alone=alone)
    return InvalidImage("the image cannot be decoded: it makes its decoder fail; save it again as an ordinary one")
