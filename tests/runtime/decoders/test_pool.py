"""Pictures through real decoder processes: the same pixels, and faults that cost their own picture alone."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from PIL import Image
from tests.support.pictures import corpus, readable, refused
from tests.support.pictures.encoding import encoded, picture, scan_bomb

from visionserve.runtime.decoders import limits, process
from visionserve.runtime.decoders.pool import Decoders
from visionserve.runtime.model import Transform
from visionserve.runtime.pictures import decode
from visionserve.runtime.wire.errors import ImageTooLarge, InvalidImage, OutOfMemory, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.pictures.variant import Variant

TRANSFORM = Transform(resize=64, crop=56, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
MAX_PIXELS = 50_000_000
PHOTOGRAPH = encoded(picture(400, 300), "JPEG")
# 60 scans of 49 megapixels: no more than are allowed, and a second or more of one core.
SLOW = scan_bomb(50, 7000)
# What it may take here, long enough to see it computing; and what it may not.
ENOUGH, TOO_FEW = 60.0, 0.2


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    opened = Decoders(TRANSFORM, 2, MAX_PIXELS, ENOUGH)
    opened.wait()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def lasting() -> Iterator[Decoders]:
    """For pictures that harm nothing."""
    opened = Decoders(TRANSFORM, 2, corpus.MAX_PIXELS)
    opened.wait()
    yield opened
    opened.close()


@pytest.fixture
def template(decoders: Decoders) -> psutil.Process:
    return templates()[-1]


def prepared(decoders: Decoders, data: bytes) -> np.ndarray:
    return decoders.prepare(data, MAX_PIXELS, exact=True)[0]


def templates(of: int | None = None) -> list[psutil.Process]:
    """The processes that decoders are forked from, of this process unless another is named."""
    return [
        child
        for child in psutil.Process(of).children()
        if child.status() != psutil.STATUS_ZOMBIE and "visionserve.runtime.decoders.template" in child.cmdline()
    ]


def alive(template: psutil.Process) -> list[psutil.Process]:
    """The decoders of a template."""
    return [child for child in template.children() if child.status() != psutil.STATUS_ZOMBIE]


def have_ended(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("variant", readable.variants(), ids=lambda variant: variant.name)
def test_pixels_are_those_of_decoding_here(variant: Variant, exact: bool, lasting: Decoders) -> None:
    here, size = decode.prepare(variant.data, MAX_PIXELS, TRANSFORM, exact=exact)
    there, size_there, _ = lasting.prepare(variant.data, MAX_PIXELS, exact=exact)
    assert np.array_equal(here, there)
    assert size == size_there


@pytest.mark.parametrize("variant", refused.variants(), ids=lambda variant: variant.name)
def test_refusals_are_those_of_decoding_here(variant: Variant, lasting: Decoders) -> None:
    with pytest.raises(RequestError) as here:
        decode.prepare(variant.data, corpus.MAX_PIXELS, TRANSFORM, exact=True)
    with pytest.raises(RequestError) as there:
        lasting.prepare(variant.data, corpus.MAX_PIXELS, exact=True)
    assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))


def test_many_threads_get_their_own_pictures(lasting: Decoders) -> None:
    pictures = [encoded(picture(100 + 10 * index, 90), "PNG") for index in range(8)]
    right = [decode.prepare(data, MAX_PIXELS, TRANSFORM, exact=True)[0] for data in pictures]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            for got, wanted in zip(
                threads.map(lambda data: prepared(lasting, data), pictures), right, strict=True
            ):
                assert np.array_equal(got, wanted)


def test_a_picture_that_takes_too_long_is_refused_and_the_next_one_is_right() -> None:
    opened = Decoders(TRANSFORM, 2, MAX_PIXELS, TOO_FEW)
    opened.wait()
    template = templates()[-1]
    before = {child.pid for child in alive(template)}
    start = time.process_time()
    with pytest.raises(InvalidImage, match=r"takes more than 0\.2 s to decode; send it smaller"):
        prepared(opened, SLOW)
    assert time.process_time() - start < TOO_FEW  # it was not this process that computed
    right = decode.prepare(PHOTOGRAPH, MAX_PIXELS, TRANSFORM, exact=True)[0]
    assert np.array_equal(prepared(opened, PHOTOGRAPH), right)
    assert len({child.pid for child in alive(template)} - before) == 1
    with pytest.raises(InvalidImage, match=r"images of this request take more than 0\.2 s to decode; send fewer"):
        opened.prepare(SLOW, MAX_PIXELS, TOO_FEW / 2, exact=True)
    opened.close()


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (signal.SIGSEGV, InvalidImage, "it makes its decoder fail"),
        (signal.SIGKILL, OutOfMemory, "no memory left to decode"),
    ],
)
def test_a_picture_that_ends_its_decoder_costs_itself_alone(
    how: signal.Signals, error: type[RequestError], message: str, decoders: Decoders, template: psutil.Process
) -> None:
    def end_the_one_that_computes() -> None:
        while not ended:
            ended.extend(child for child in alive(template) if child.cpu_times().user > 0.1)
        ended[0].send_signal(how)

    ended: list[psutil.Process] = []
    ending = threading.Thread(target=end_the_one_that_computes)
    ending.start()
    with pytest.raises(error, match=message):
        prepared(decoders, SLOW)
    ending.join()
    for _ in range(4):
        prepared(decoders, PHOTOGRAPH)
    assert len(alive(template)) == 2


def test_a_decoder_that_says_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WALL_SECONDS", 0.5)
    opened = Decoders(TRANSFORM, 1, MAX_PIXELS)
    opened.wait()
    (one,) = alive(templates()[-1])
    one.suspend()
    with pytest.raises(InvalidImage, match="its decoder said nothing more"):
        prepared(opened, PHOTOGRAPH)
    prepared(opened, PHOTOGRAPH)
    opened.close()


def test_a_picture_that_swells_is_refused_and_its_decoder_lives() -> None:
    opened = Decoders(TRANSFORM, 1, 1)  # so 300 MB are all it has
    opened.wait()
    (before,) = alive(templates()[-1])
    swelling = encoded(Image.new("LA", (7000, 7000)), "PNG")  # 4 bytes a pixel, and 4 more as RGB
    with pytest.raises(ImageTooLarge, match="takes more memory to decode than one of its size may"):
        prepared(opened, swelling)
    prepared(opened, PHOTOGRAPH)
    assert alive(templates()[-1]) == [before]
    opened.close()


def test_file_descriptors_may_be_many(decoders: Decoders) -> None:
    """As in a server with thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        opened = Decoders(TRANSFORM, 1, MAX_PIXELS)
        opened.wait()
        prepared(opened, PHOTOGRAPH)
        opened.close()
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_decoders_that_ended_between_pictures_are_replaced_unseen(
    decoders: Decoders, template: psutil.Process
) -> None:
    for child in alive(template):
        child.kill()
    until(lambda: not alive(template))
    for _ in range(3):
        prepared(decoders, PHOTOGRAPH)


def test_a_decoder_that_cannot_be_replaced_is_closed_once(
    decoders: Decoders, template: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    def cannot(*_: object) -> None:
        # They get the numbers of the descriptors that were let go.
        taken.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(4))
        raise BlockingIOError(11, "Resource temporarily unavailable")

    for child in alive(template):
        child.kill()
    until(lambda: not alive(template))
    with monkeypatch.context() as patch:
        patch.setattr(process.Template, "fork", cannot)
        for _ in range(2):
            with pytest.raises(BlockingIOError):
                prepared(decoders, PHOTOGRAPH)
    for descriptor in taken:
        os.close(descriptor)  # which raises if it was closed in passing
    prepared(decoders, PHOTOGRAPH)


def test_the_template_itself_may_end(decoders: Decoders, template: psutil.Process) -> None:
    all_of_them = [template, *alive(template)]
    for child in all_of_them:
        child.kill()
    until(lambda: have_ended(all_of_them))
    for _ in range(3):
        prepared(decoders, PHOTOGRAPH)


def test_a_picture_is_not_blamed_for_the_time_that_another_template_takes() -> None:
    """As when the system has no memory left, and ends all of them at once."""
    opened = Decoders(TRANSFORM, 1, MAX_PIXELS, 0.6)
    opened.wait()
    template = templates()[-1]
    (one,) = alive(template)

    def end_both() -> None:
        until(lambda: one.cpu_times().user > 0.1)
        template.kill()
        one.kill()

    ending = threading.Thread(target=end_both)
    ending.start()
    with pytest.raises(OutOfMemory, match="no memory left to decode"):
        prepared(opened, SLOW)
    ending.join()
    prepared(opened, PHOTOGRAPH)
    opened.close()


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "forgotten"])
def test_none_is_left(closed: bool) -> None:
    opened = Decoders(TRANSFORM, 2, MAX_PIXELS)
    opened.wait()
    template = templates()[-1]
    mine = [template, *alive(template)]
    assert len(mine) == 3
    if closed:
        opened.close()
    del opened
    gc.collect()
    until(lambda: have_ended(mine))


def test_none_is_left_when_their_worker_is_killed() -> None:
    program = f"""
from visionserve.runtime.decoders.pool import Decoders
from visionserve.runtime.model import Transform
opened = Decoders({TRANSFORM!r}, 2, {MAX_PIXELS})
opened.wait()
print("there", flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"there\n"
        (template,) = templates(worker.pid)
        left = [template, *alive(template)]
        assert len(left) == 3
        worker.kill()
        until(lambda: have_ended(left))


def test_a_closed_standard_error_is_no_hindrance() -> None:
    program = f"""
from visionserve.runtime.decoders.pool import Decoders
from visionserve.runtime.model import Transform
opened = Decoders({TRANSFORM!r}, 1, {MAX_PIXELS})
print(opened.prepare({PHOTOGRAPH!r}, {MAX_PIXELS}, exact=True)[1], flush=True)
opened.close()
"""
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" - 2>&-'], input=program.encode(), stdout=-1, check=True
    )
    assert done.stdout == b"120000\n"


def test_damage_is_not_written_to_the_log(decoders: Decoders, capfd: pytest.CaptureFixture[str]) -> None:
    broken = encoded(picture(300, 200), "TIFF", compression="tiff_lzw")
    with pytest.raises(InvalidImage):
        prepared(decoders, broken[:1000] + bytes(500) + broken[1500:])
    assert capfd.readouterr().err == ""


def test_a_large_pictures_memory_is_given_back(decoders: Decoders) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    large = encoded(Image.fromarray(noise), "PNG")
    assert len(large) > process._KEPT_MEMORY
    prepared(decoders, large)
    held = decoders._free.get()
    assert held is not None
    assert os.fstat(held._memory).st_size < process._KEPT_MEMORY
    decoders._free.put(held)
