"""int8 from pictures of the user's own: half of them set the ranges, the other half judge the result.

Post-training quantisation by NNCF: the ranges of activations are measured on the first half, weights and
activations become 8-bit integers, and biases are corrected for the mean error
(https://docs.openvino.ai/2025/openvino-workflow/model-optimization-guide/quantizing-models-post-training.html).
"""

from __future__ import annotations

import logging
import math
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from visionserve.archiver.errors import CalibrationError
from visionserve.evaluation import layouts
from visionserve.runtime.engines import openvino
from visionserve.runtime.errors import EngineError, first_line
from visionserve.runtime.pictures import decode, jpeg
from visionserve.runtime.wire.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import torch

    from visionserve.archiver.models.spec import HandlerSpec
    from visionserve.runtime.model import Model

# NNCF's own default for the pictures that set the ranges; more did not move the agreement of the demo networks.
MOST_CALIBRATED = 300
# Enough to tell an agreement of 99.0 % from 99.5 % with two standard errors, and a minute of fp32 on two cores.
MOST_HELD_OUT = 1000
# Of so few pictures the extreme activations are known to within their natural spread.
_FEWEST = 20


@dataclass(frozen=True)
class Report:
    """How far int8 is from fp32 on pictures that it was not calibrated on.

    Attributes:
        calibrated: The pictures that set the ranges.
        held_out: The pictures that judged.
        agreement: The share of those for which both name the same class.
        largest_change: The largest change of any probability.
    """

    calibrated: int
    held_out: int
    agreement: float
    largest_change: float

    def __str__(self) -> str:
        return (
            f"calibrated on {self.calibrated} pictures; on {self.held_out} others its top-1 is fp32's for"
            f" {self.agreement:.1%}, and no probability changed by more than {self.largest_change:.4f}"
        )


def needed(min_agreement: float) -> int:
    """The fewest pictures to calibrate and judge on.

    Half of them must be enough that one disagreement is no more than is allowed: 100 for an agreement of 99 %.
    """
    allowed = 1 - min_agreement
    judging = math.ceil(round(1 / allowed, 6)) if allowed > 0 else MOST_HELD_OUT
    return 2 * max(_FEWEST, min(judging, MOST_HELD_OUT))


def source(written: HandlerSpec) -> str | None:
    """Where a model's calibration pictures are: those of its own, else those that it is checked on."""
    return written.calibration or written.check


def find(folder: Path, min_agreement: float) -> list[Path]:
    """The pictures under a folder, or those that a CSV names, in the order of their paths.

    Raises:
        CalibrationError: There is no such folder, or there are too few in it.
        LabelledPicturesError: The CSV is none of pictures and classes.
    """
    wanted = f"int8 needs at least {needed(min_agreement)} pictures like those it will be asked about"
    if folder.is_file():
        return _enough(sorted(path for path, _ in layouts.read(folder)), folder, wanted, min_agreement)
    if not folder.is_dir():
        raise CalibrationError(f"{folder} is no folder: {wanted} there (handler.calibration)")
    return _enough(layouts.pictures_in(folder), folder, wanted, min_agreement)


def _enough(found: list[Path], folder: Path, wanted: str, min_agreement: float) -> list[Path]:
    if len(found) < needed(min_agreement):
        raise CalibrationError(f"{folder} holds {len(found)} pictures: {wanted}")
    return found


def split(pictures: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Every other picture for calibration, the rest held out; of many, as many as help, evenly taken.

    In the order of paths a folder of one subfolder per class gives both halves of each class.
    """
    return _thin(pictures[::2], MOST_CALIBRATED), _thin(pictures[1::2], MOST_HELD_OUT)


def quantise(graph: Any, pixels: Sequence[npt.NDArray[np.uint8]]) -> Any:
    """An int8 graph from one with its weights, which is folded in place.

    Args:
        graph: An `openvino.Model` from pixels to logits.
        pixels: uint8 `[H, W, 3]` each, at the network's input size.

    Raises:
        EngineError: NNCF is not installed, or cannot quantise this network.
    """
    if find_spec("nncf") is None:
        raise EngineError("precision int8 needs NNCF to build: pip install nncf")
    openvino.library()
    # NNCF imports what compiles CUDA code, and that warns of machines without CUDA.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import nncf

    nncf.set_log_level(logging.ERROR)
    try:
        # Weights that were filled in leave biases behind reshapes, where NNCF does not find them to correct.
        openvino.fold(graph)
        # Its progress is for people; standard output is for what was asked.
        with redirect_stdout(sys.stderr):
            return nncf.quantize(
                graph, nncf.Dataset([picture[None] for picture in pixels]), subset_size=len(pixels)
            )
    except Exception as error:  # NNCF raises whatever it stumbles over
        cause = first_line(error)
        raise EngineError(f"precision int8: NNCF cannot quantise this network: {cause}") from error


def judge(calibrated: int, reference: torch.Tensor, answers: torch.Tensor) -> Report:
    """Compare logits of the held-out pictures.

    Args:
        calibrated: How many other pictures set the ranges.
        reference: fp32's, float32 `[N, classes]`.
        answers: int8's.
    """
    same = (reference.argmax(dim=1) == answers.argmax(dim=1)) & answers.isfinite().all(dim=1)
    change = (reference.softmax(dim=1) - answers.softmax(dim=1)).abs().max()
    return Report(calibrated, len(reference), float(same.double().mean()), float(change))


def require(report: Report, min_agreement: float) -> None:
    """Refuse int8 that names other classes than fp32 too often.

    Raises:
        CalibrationError: It does.
    """
    if not report.agreement >= min_agreement:
        raise CalibrationError(
            f"int8 strays too far: {report}; handler.minAgreement is {min_agreement:.1%}. Give it more pictures"
            " like those it will be asked about, or take precision bf16"
        )


def read_all(paths: Sequence[Path], model: Model, *, skip_broken: bool) -> list[npt.NDArray[np.uint8]]:
    """Pictures as the served network would see them.

    Args:
        paths: Their files.
        model: The model.
        skip_broken: Leave out what cannot be decoded, as a check on the same pictures does.

    Raises:
        CalibrationError: One cannot be decoded; if they are to be left out, so many that less than half remain.
    """
    pixels, broken = [], 0
    for path in paths:
        try:
            pixels.append(read(path, model))
        except CalibrationError:
            broken += 1
            if not skip_broken or 2 * broken > len(paths):
                raise
    return pixels


def read(path: Path, model: Model) -> npt.NDArray[np.uint8]:
    """A picture as the served network would see it: uint8 `[crop, crop, 3]`.

    Raises:
        CalibrationError: It cannot be decoded.
    """
    try:
        exact = jpeg.is_exact(model.decoding, "int8")
        return decode.prepare(path.read_bytes(), model.max_pixels, model.transform, exact=exact)[0]
    except (RequestError, OSError) as error:
        raise CalibrationError(f"{path}: {error}; remove it from the calibration pictures") from error


def _thin(paths: Sequence[Path], most: int) -> list[Path]:
    if len(paths) <= most:
        return list(paths)
    return [paths[index * len(paths) // most] for index in range(most)]
