"""Classes of outcomes."""

from __future__ import annotations

import pytest

from visionserve.load import outcomes
from visionserve.load.outcomes import Outcome


@pytest.mark.parametrize(
    ("status", "error_type", "is_bad", "label_is_right", "expected"),
    [
        (200, "", False, True, Outcome.OK),
        (200, "", False, False, Outcome.WRONG),
        (200, "", True, False, Outcome.WRONG),
        (400, "InvalidImage", True, False, Outcome.REFUSED_BAD),
        (413, "ImageTooLarge", True, False, Outcome.REFUSED_BAD),
        (400, "InvalidImage", False, False, Outcome.CLIENT_ERROR),
        (404, "ModelNotFoundException", False, False, Outcome.CLIENT_ERROR),
        (429, "", False, False, Outcome.REJECTED),
        (503, "ServiceUnavailableException", False, False, Outcome.REJECTED),
        (503, "InternalServerException", False, False, Outcome.HANDLER_ERROR),
        (500, "ModelFailure", True, False, Outcome.HANDLER_ERROR),
        (507, "InternalServerException", False, False, Outcome.HANDLER_ERROR),
    ],
)
def test_answers(status: int, error_type: str, is_bad: bool, label_is_right: bool, expected: Outcome) -> None:
    assert outcomes.of_answer(status, error_type, is_bad, label_is_right) is expected


def test_failures() -> None:
    assert outcomes.of_failure(TimeoutError()) is Outcome.TIMEOUT
    assert outcomes.of_failure(ConnectionResetError()) is Outcome.RESET
    assert outcomes.of_failure(ConnectionRefusedError()) is Outcome.RESET
