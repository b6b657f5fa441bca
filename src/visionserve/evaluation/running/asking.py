"""Asking a running server's model for labelled pictures, several at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from visionserve import progress
from visionserve.calls import Refused, Unreachable
from visionserve.evaluation.answers import Answers, Refusal
from visionserve.evaluation.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from visionserve.client import Client
    from visionserve.evaluation.labelled import LabelledPicture
    from visionserve.evaluation.running.served import Served

_NO_STATUS = 0


@dataclass(frozen=True)
class Given:
    """One picture's answer.

    Attributes:
        picture: What was asked.
        probabilities: Of every class, float32 `[classes]`.
        milliseconds: From sending the picture until the whole answer was there.
        stages: The milliseconds that the server says it spent in each stage.
    """

    picture: LabelledPicture
    probabilities: npt.NDArray[np.float32]
    milliseconds: float
    stages: dict[str, float]


def ask(
    served: Served,
    labels: tuple[str, ...],
    places: Mapping[str, int],
    pictures: Sequence[LabelledPicture],
    clients: int,
) -> Answers:
    """Ask for every picture and each class's probability; a picture without an answer ends nothing.

    Args:
        served: The model.
        labels: The classes.
        places: The place among them of each of the model's own labels.
        pictures: What to ask; at least one.
        clients: How many requests there are at once.

    Raises:
        EvaluationError: The server went away, its model is another one than at the start, or no picture at all was
            answered.
    """
    outcomes = _outcomes(served, places, pictures, clients)
    given = [one for one in outcomes if isinstance(one, Given)]
    refused = [one for one in outcomes if isinstance(one, Refusal)]
    if not given:
        first = refused[0]
        raise EvaluationError(
            f"{served.model} answered none of {len(pictures)} pictures: {first.picture.path}:"
            f" {first.status or 'no answer'} {first.type}: {first.message}"
        )
    return Answers(
        model=served.model,
        labels=labels,
        pictures=[one.picture for one in given],
        probabilities=np.stack([one.probabilities for one in given]),
        milliseconds=np.array([one.milliseconds for one in given]),
        refused=refused,
    )


def ask_alone(
    served: Served, places: Mapping[str, int], pictures: Sequence[LabelledPicture]
) -> list[Given | Refusal]:
    """Ask for pictures again, one after the other, so that none waits for another.

    Raises:
        EvaluationError: As for `ask`.
    """
    with served.client() as client:
        return [_one(client, served, places, picture) for picture in pictures]


def _outcomes(
    served: Served, places: Mapping[str, int], pictures: Sequence[LabelledPicture], clients: int
) -> list[Given | Refusal]:
    with ExitStack() as opened, ThreadPoolExecutor(clients) as pool:
        free: SimpleQueue[Client] = SimpleQueue()
        for _ in range(clients):
            free.put(opened.enter_context(served.client()))

        def one(picture: LabelledPicture) -> Given | Refusal:
            client = free.get()
            try:
                return _one(client, served, places, picture)
            finally:
                free.put(client)

        try:
            return list(progress.bar(pool.map(one, pictures), f"asking {served.model}", len(pictures)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one(client: Client, served: Served, places: Mapping[str, int], picture: LabelledPicture) -> Given | Refusal:
    try:
        data = picture.path.read_bytes()
    except OSError as error:
        return Refusal(picture, _NO_STATUS, "Unreadable", error.strerror or str(error), 0.0)
    start = time.perf_counter()
    try:
        try:
            document = client.detail(served.model, data, len(places))
        except Unreachable as error:
            if not client.is_there():
                raise EvaluationError(f"the server went away: {error}") from error
            # It closes connections after errors and while too large a body is sent.
            start = time.perf_counter()
            document = client.detail(served.model, data, len(places))
    except (Refused, Unreachable) as error:
        elapsed = 1e3 * (time.perf_counter() - start)
        if isinstance(error, Refused):
            return Refusal(picture, error.status, error.type, error.message, elapsed)
        return Refusal(picture, _NO_STATUS, "NoAnswer", str(error), elapsed)
    elapsed = 1e3 * (time.perf_counter() - start)
    return Given(picture, _probabilities(document, served, places), elapsed, document.get("stages", {}))


def _probabilities(document: dict[str, Any], served: Served, places: Mapping[str, int]) -> npt.NDArray[np.float32]:
    found = {each["label"]: each["probability"] for each in document["classes"]}
    if found.keys() != places.keys():
        raise EvaluationError(f"{served.model} at {served.inference} was replaced by another model meanwhile")
    probabilities = np.zeros(len(places), np.float32)
    for label, probability in found.items():
        probabilities[places[label]] = probability
    return probabilities
