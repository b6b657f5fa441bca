from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzzing.fuzzer import Fuzzer

if TYPE_CHECKING:
    from visionserve.server.instance.launcher import TorchServe


def test_a_short_fuzz_run_breaks_nothing(server: TorchServe) -> None:
    """`make fuzz` is the long one, and also watches memory."""
    report = Fuzzer(server, "quick").run(400, seed=1)
    assert report.problems == {}
    assert report.restarts == 0
    assert report.kinds.total() == report.answers.total() == 400
    assert {status for status, _ in report.answers} >= {200, 400, 413, 415, 422}
