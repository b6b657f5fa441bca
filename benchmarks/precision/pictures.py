"""Real photographs, and what people make of them: crops, sizes and JPEG qualities, the same every time."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.errors import NotRun

# The photographs that scikit-image carries, drawings, scans and micrographs not among them.
PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "moon.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "rocket.jpg",
)

# Of each side, the share that a crop keeps at least.
_LEAST_KEPT = 0.4
# Of the shorter side: from smaller than a network's input to what is decoded at a quarter of its size.
_SIDES = (160, 1600)
_QUALITIES = (60, 95)


def photographs() -> list[Image.Image]:
    """The photographs in RGB, in the order of their names.

    Raises:
        NotRun: They are not installed.
    """
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise NotRun("the photographs are scikit-image's, which is not installed: pip install --group demo")
    folder = Path(found.origin).parent / "data"
    return [Image.open(folder / name).convert("RGB") for name in PHOTOGRAPHS]


def derived(count: int, seed: int) -> list[bytes]:
    """JPEG files: of each photograph in turn a crop at a size and a quality drawn at random.

    Args:
        count: How many.
        seed: Another seed draws others.
    """
    originals = photographs()
    rng = np.random.Generator(np.random.PCG64(seed))
    return [_derive(originals[index % len(originals)], rng) for index in range(count)]


def _derive(original: Image.Image, rng: np.random.Generator) -> bytes:
    width, height = (int(side * rng.uniform(_LEAST_KEPT, 1)) for side in original.size)
    left = int(rng.integers(original.width - width + 1))
    top = int(rng.integers(original.height - height + 1))
    # Sizes are spread evenly by their ratios.
    side = float(np.exp(rng.uniform(*np.log(_SIDES))))
    scale = side / min(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = original.resize(size, Image.Resampling.LANCZOS, (left, top, left + width, top + height))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(rng.integers(_QUALITIES[0], _QUALITIES[1] + 1)))
    return buffer.getvalue()
