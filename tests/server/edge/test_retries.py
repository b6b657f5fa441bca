"""Requests whose instance fails them are asked again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from tests.server.edge.conftest import Front, Started


@pytest.mark.parametrize("failure", ["hang up", "500", "503"])
def test_a_failed_request_is_asked_of_the_other_slot(start: Started, failure: str) -> None:
    front = start()
    for each in front.backends.values():
        each.failure = failure
    for size in (1, 100_000, 262_144):
        front.backends["a"].failing = 1
        answers = [front.post(data=b"x" * size) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200] * 4


def test_a_request_is_asked_three_times_and_no_more(start: Started) -> None:
    front = start()
    for each in front.backends.values():
        each.failing, each.failure = 100, "500"
    answer = front.post()
    assert (answer.status_code, answer.json()["type"], len(front.seen)) == (500, "Worker", 3)


def test_the_model_s_own_refusals_are_final(start: Started) -> None:
    front = start()
    statuses = (400, 404, 413, 415, 422, 500, 501, 503, 504)
    for status in statuses:
        answer = front.post(f"/predictions/status-{status}")
        assert (answer.status_code, answer.json()) == (status, {"type": "Told"})
        assert front.post(f"/predictions/status-{status}", data=b"x" * 300_000).status_code == status
    assert len(front.seen) == 2 * len(statuses)


def test_what_torchserve_says_of_a_killed_worker_is_asked_again(start: Started) -> None:
    front = start()
    for each in front.backends.values():
        each.failing, each.failure = 1, "507"
    assert front.post().status_code == 200
    for each in front.backends.values():
        each.failing = 100
    answer = front.post()
    assert (answer.status_code, answer.json()["code"], answer.json()["type"]) == (503, 503, "Unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_silent_instance_s_requests_go_to_the_other(start: Started) -> None:
    front = start()
    front.backends["a"].failing = 100
    assert [front.post().json()["slot"] for _ in range(10)] == ["b"] * 10


def test_without_an_instance_there_is_a_refusal_never_a_reset(start: Started) -> None:
    front = start(up="a")
    front.backends["a"].failing = 100
    answer = front.post()
    assert (answer.status_code, answer.json()["code"]) == (503, 503)
    assert int(answer.headers["Retry-After"]) >= 1


def test_torchserve_s_wordless_refusal_gets_words(front: Front) -> None:
    answer = front.post("/predictions/status-413-empty")
    assert (answer.status_code, answer.json()["type"]) == (413, "RequestTooLarge")


def test_a_drained_slot_ends_what_it_has(start: Started) -> None:
    front = start(up="a")
    answers = []
    asking = threading.Thread(target=lambda: answers.append(front.post("/predictions/sleep-600")))
    asking.start()
    end = time.monotonic() + 5
    while front.control.sessions("a") == 0 and time.monotonic() < end:
        time.sleep(0.01)
    front.control.up("b")
    front.control.drain("a")
    assert [front.session.post(front.url + "/predictions/m").json()["slot"] for _ in range(5)] == ["b"] * 5
    assert front.control.figures().slots["a"].state == "drain"
    assert front.control.sessions("a") == 1
    asking.join()
    assert answers[0].json()["slot"] == "a"
    assert front.control.sessions("a") == 0
    front.control.down("a")
    assert front.control.figures().slots["a"].state == "down"


def test_a_slot_that_is_given_up_has_its_requests_asked_of_the_other(start: Started) -> None:
    front = start(up="a")
    with ThreadPoolExecutor(4) as pool:
        small = [pool.submit(ask, front, "sleep-4000", size) for size in (1, 100_000, 262_144)]
        large = pool.submit(ask, front, "sleep-4000", 400_000)
        end = time.monotonic() + 5
        while len(front.backends["a"].seen) < 4 and time.monotonic() < end:
            time.sleep(0.01)
        front.control.up("b")
        began = time.monotonic()
        front.control.give_up("a")
        refused = large.result()
        assert time.monotonic() - began < 3  # it does not wait for the answer that it would have had
        assert (refused.status_code, refused.json()["type"]) == (503, "Unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        assert [each.result().json()["slot"] for each in small] == ["b"] * 3
    assert front.control.figures().slots["a"].state == "drain"
    front.control.up("a")
    assert {front.post().json()["slot"] for _ in range(10)} == {"a", "b"}


def ask(front: Front, path: str, size: int) -> requests.Response:
    """Ask over a connection of its own."""
    return requests.post(f"{front.url}/predictions/{path}", data=b"x" * size, timeout=20)
