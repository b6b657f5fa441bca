from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.pictures import corpus
from torchvision.transforms import functional as F  # noqa: N812
from torchvision.transforms.functional import InterpolationMode

from visionserve.runtime.model import Interpolation, Transform
from visionserve.runtime.pictures import decode, fit
from visionserve.runtime.wire.errors import InvalidImage, RequestError

SPEC = Transform(resize=232, crop=224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
READABLE = [variant for variant in corpus.variants() if variant.status == 200]
REFUSED = [variant for variant in corpus.variants() if variant.status != 200]


@pytest.mark.parametrize("variant", READABLE, ids=lambda variant: variant.name)
def test_a_readable_picture_shows_what_was_drawn(variant: corpus.Variant) -> None:
    image = decode.decode(variant.data, corpus.MAX_PIXELS)
    assert variant.pixels is not None
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), np.asarray(variant.pixels))


@pytest.mark.parametrize("variant", REFUSED, ids=lambda variant: variant.name)
def test_anything_else_is_refused_with_its_own_status(variant: corpus.Variant) -> None:
    with pytest.raises(RequestError) as refused:
        decode.decode(variant.data, corpus.MAX_PIXELS)
    assert (refused.value.status, refused.value.type) == (variant.status, variant.type)


def test_the_refusal_names_what_would_work_and_no_path() -> None:
    with pytest.raises(
        InvalidImage, match=r"^the 4 bytes are not a readable image; send JPEG, PNG, GIF, WebP, BMP"
    ):
        decode.decode(b"junk", corpus.MAX_PIXELS)


@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    resize=st.integers(1, 80),
    crop=st.integers(1, 80),
    interpolation=st.sampled_from(get_args(Interpolation)),
)
def test_fitting_is_torchvisions_transform(
    width: int, height: int, resize: int, crop: int, interpolation: Interpolation
) -> None:
    assume(max(width, height) <= 100 * min(width, height))
    picture = corpus.picture(width, height)
    spec = dataclasses.replace(SPEC, resize=resize, crop=crop, interpolation=interpolation)
    resized = F.resize(picture, [resize], InterpolationMode(interpolation), antialias=True)
    assert np.array_equal(fit.fit(picture, spec), np.asarray(F.center_crop(resized, [crop])))


@pytest.mark.parametrize("size", [(1501, 10), (10, 1500), (2222, 21)])
def test_only_the_middle_of_an_elongated_picture_is_enlarged(size: tuple[int, int]) -> None:
    picture = corpus.picture(*size)
    whole = F.center_crop(F.resize(picture, [232], InterpolationMode.BILINEAR, antialias=True), [224])
    difference = np.asarray(whole).astype(int) - fit.fit(picture, SPEC)
    assert np.abs(difference).mean() < 3  # of 255: the position of the middle is rounded


def test_bombs_cost_no_memory() -> None:
    """In a process of its own, for the peak of a process never falls again."""
    program = """
import resource
from PIL import Image
from tests.support.pictures import corpus
from visionserve.runtime.pictures import decode, fit
from visionserve.runtime.wire.errors import RequestError
from visionserve.runtime.model import Transform
spec = Transform(resize=232, crop=224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
bombs = [v.data for v in corpus.variants() if any(word in v.name for word in ("bomb", "giga", "canvas", "screen"))]
line = corpus.encoded(Image.new("RGB", (60_000, 1)), "PNG")
fit.fit(decode.decode(corpus.encoded(corpus.picture(1000, 1000), "PNG"), 1_000_000), spec)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for bomb in bombs:
    try:
        decode.decode(bomb, 50_000_000)
    except RequestError:
        continue
    raise SystemExit("a bomb went off")
fit.fit(decode.decode(line, 50_000_000), spec)
print(len(bombs), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, kilobytes = map(int, done.stdout.split())
    assert count >= 6
    assert kilobytes < 100_000


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300), start=st.sampled_from([b"", *(v.data[:40] for v in READABLE)]))
def test_no_bytes_raise_anything_else(data: bytes, start: bytes) -> None:
    try:
        image = decode.decode(start + data, corpus.MAX_PIXELS)
    except RequestError as error:
        assert error.status in (400, 413, 415)
    else:
        assert image.mode == "RGB"


@settings(max_examples=300, deadline=None)
@given(variant=st.sampled_from(READABLE), data=st.data())
def test_no_damage_raises_anything_else(variant: corpus.Variant, data: st.DataObject) -> None:
    damaged = bytearray(variant.data)
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=5)):
        damaged[place] = data.draw(st.integers(0, 255))
    try:
        image = decode.decode(damaged, corpus.MAX_PIXELS)
    except RequestError as error:
        assert error.status in (400, 413, 415)
    else:
        assert image.width * image.height <= corpus.MAX_PIXELS
