"""Demo weights without a download: a classifier of seven colours that is right, made in seconds.

The backbone is random but seeded; its batch norms learn their statistics from generated pictures, and the last
linear layer is solved in closed form (ridge regression on the features). Deep random features keep colour, so
the result is a real network with real margins.
"""

from __future__ import annotations

import colorsys
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torchvision
from PIL import Image, ImageDraw
from torch import nn

from visionserve import progress
from visionserve.archiver.weights import entries
from visionserve.runtime.errors import WeightsError
from visionserve.runtime.pictures import decode
from visionserve.runtime.pictures.fit import fit, stack
from visionserve.runtime.proof import drawing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from visionserve.archiver.models.spec import HandlerSpec
    from visionserve.runtime.model import Transform


# Hue in degrees of each class, in the order of models/demo/colours.txt.
HUES = {"red": 0, "orange": 32, "yellow": 58, "green": 120, "cyan": 180, "blue": 228, "magenta": 300}

_HELD_OUT_PER_CLASS = 10
HELD_OUT = _HELD_OUT_PER_CLASS * len(HUES)
_TRAINED_PER_CLASS = 28
_BATCH = 8
# For the statistics of batch norms: with 96 pictures as with all 196, ResNet-50 is right about every held-out one.
_BATCHES_OF_STATISTICS = 12
_REQUIRED_ACCURACY = 0.99
# The penalty, as a share of the features' mean squared length.
_RIDGE = 1e-3
# Logits of the solved layer are near 0 and 1; this turns them into confident probabilities.
_SHARPNESS = 10.0
_HELD_OUT_SEED = 1_000_000


@dataclass(frozen=True)
class Example:
    """A picture whose right answer is known.

    Attributes:
        name: A file name for it.
        data: The encoded picture.
        truth: What a person would say it shows.
        accepted: The labels that say so.
    """

    name: str
    data: bytes
    truth: str
    accepted: tuple[str, ...]


@functools.lru_cache(maxsize=512)  # the demo's networks learn from the same pictures
def picture(colour: str, seed: int) -> bytes:
    """A JPEG that is mostly one colour: tinted photograph-like texture with a few grey shapes on it."""
    rng = np.random.Generator(np.random.PCG64([seed, HUES[colour]]))
    width, height = (int(side) for side in rng.integers(200, 420, 2))
    texture = np.asarray(drawing.photograph(int(rng.integers(1 << 30)), width, height).convert("L"))
    brightness = 0.45 + 0.55 * texture[..., None] / 255
    hue = (HUES[colour] + rng.uniform(-4, 4)) / 360
    tint = np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.85, 1.0), 1.0))
    image = Image.fromarray((255 * brightness * tint).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 4))):
        left, top = rng.uniform(0, 0.8, 2) * (width, height)
        side = rng.uniform(0.08, 0.2) * min(width, height)
        draw.ellipse((left, top, left + side, top + side), fill=(int(rng.integers(60, 200)),) * 3)
    return drawing.encode(image, "JPEG")


def held_out(per_class: int = _HELD_OUT_PER_CLASS) -> list[tuple[str, bytes]]:
    """Pictures that the demo weights never saw, with their colours."""
    return [(colour, picture(colour, _HELD_OUT_SEED + seed)) for seed in range(per_class) for colour in HUES]


def examples() -> list[Example]:
    """One picture of each colour that the demo weights never saw."""
    return [Example(f"{colour}.jpg", data, colour, (colour,)) for colour, data in held_out(per_class=1)]


def is_current(archive: Path, sources: Iterable[Path]) -> bool:
    """Whether an archive is there and newer than every file that goes into it."""
    if not archive.is_file():
        return False
    built = archive.stat().st_mtime
    return all(source.stat().st_mtime <= built for source in sources)


def make(spec: HandlerSpec, target: Path) -> float:
    """Train demo weights into a file, and return the share of held-out pictures they classify rightly.

    Raises:
        WeightsError: Fewer than `_REQUIRED_ACCURACY` are right; nothing is written.
    """
    state_dict, accuracy = train(spec.architecture, entries.transform(spec))
    if accuracy < _REQUIRED_ACCURACY:
        raise WeightsError(
            f"only {accuracy:.1%} of the held-out pictures are right, {_REQUIRED_ACCURACY:.0%} are required"
            f"; nothing was written to {target}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with part.open("wb") as file:
        torch.save(state_dict, file)
    part.replace(target)
    return accuracy


def train(architecture: str, transform: Transform) -> tuple[dict[str, torch.Tensor], float]:
    """Make demo weights.

    Args:
        architecture: A torchvision classifier whose last layer is linear.
        transform: Its input transform.

    Returns:
        The state dict, float32 on the CPU, and the share of held-out pictures it classifies rightly.
    """
    torch.manual_seed(0)
    network = torchvision.models.get_model(architecture, weights=None, num_classes=len(HUES))
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    drawn = [(colour, seed) for seed in range(_TRAINED_PER_CLASS) for colour in HUES]
    pictures = [picture(*each) for each in progress.bar(drawn, f"{architecture}: drawing pictures")]
    batches = _batches(pictures, transform)
    _learn_statistics(network, batches[:_BATCHES_OF_STATISTICS], architecture)
    features = _features(network.eval(), head, batches, architecture)
    _solve(head, features, _targets([colour for colour, _ in drawn]))
    return network.state_dict(), _accuracy(network, transform, architecture)


def _batches(pictures: Sequence[bytes], transform: Transform) -> list[torch.Tensor]:
    mean, std = torch.tensor(transform.mean), torch.tensor(transform.std)
    pixels = [fit(decode.decode(data, 1 << 20), transform) for data in pictures]
    return [
        ((stack(pixels[start : start + _BATCH]) / 255 - mean) / std).permute(0, 3, 1, 2)
        for start in range(0, len(pixels), _BATCH)
    ]


@torch.inference_mode()
def _learn_statistics(network: nn.Module, batches: Sequence[torch.Tensor], name: str) -> None:
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.momentum = None  # a plain average over all batches
    network.train()
    for batch in progress.bar(batches, f"{name}: learning statistics"):
        network(batch)


@torch.inference_mode()
def _features(network: nn.Module, head: nn.Linear, batches: Sequence[torch.Tensor], name: str) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    for batch in progress.bar(batches, f"{name}: computing features"):
        network(batch)
    hook.remove()
    return torch.cat(seen)


def _targets(colours: Sequence[str]) -> torch.Tensor:
    order = list(HUES)
    return torch.eye(len(order))[[order.index(colour) for colour in colours]]


@torch.no_grad()
def _solve(head: nn.Linear, features: torch.Tensor, targets: torch.Tensor) -> None:
    """Ridge regression in its dual form, W = Y'(XX' + aI)^-1 X, cheap for few examples of many features."""
    x = features.double()
    centre = x.mean(dim=0)
    centred = x - centre
    y = targets.double() - targets.double().mean(dim=0)
    gram = centred @ centred.T
    penalty = _RIDGE * gram.diagonal().mean() * torch.eye(len(x), dtype=torch.float64)
    weight = (torch.linalg.solve(gram + penalty, y).T @ centred) * _SHARPNESS
    head.weight.copy_(weight)
    head.bias.copy_(targets.double().mean(dim=0) * _SHARPNESS - weight @ centre)


@torch.inference_mode()
def _accuracy(network: nn.Module, transform: Transform, name: str) -> float:
    pictures = held_out()
    batches = _batches([data for _, data in pictures], transform)
    logits = torch.cat([network(batch) for batch in progress.bar(batches, f"{name}: held-out pictures")])
    right = logits.argmax(dim=1) == _targets([colour for colour, _ in pictures]).argmax(dim=1)
    return float(right.double().mean())
