"""A batch in, as many right answers out: the handler under TorchServe's own worker code."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import quick
from tests.support.exchanges import BAD, FORMS, GOOD, JPEG, WRONG, Answers, Part, Sent, items
from tests.support.pictures import corpus
from tests.support.worker import LEAKS, Worker, decoding, error_of

from visionserve.runtime.machine import cores


def test_answers_are_offline_torchs(worker: Worker, offline: quick.Offline) -> None:
    for data in GOOD:
        (got,) = worker.ask([Sent.body(data)])
        expected = offline(data)
        assert (got.status, got.phrase, got.content_type) == (200, "OK", "application/json")
        assert list(got.document) == list(expected)[:5]
        assert got.document == pytest.approx({label: expected[label] for label in got.document}, abs=1e-4)


def test_the_decoders_of_all_workers_are_as_many_as_the_cores(worker: Worker) -> None:
    assert worker.handler.worker._decoders.count == cores.threads(workers=2)


@pytest.mark.parametrize("bad", range(9))
def test_a_batch_of_8_with_k_bad_gives_k_errors_and_8_minus_k_unchanged_answers(
    bad: int, worker: Worker, alone: Answers
) -> None:
    good = GOOD[: 8 - bad]
    for turn in range(8):
        batch = [Sent.body(data) for data in good] + [
            Sent.body(variant.data) for variant in BAD[turn : turn + bad]
        ]
        order = sorted(range(8), key=lambda place: (place * 3 + turn) % 8)
        got = worker.ask([batch[place] for place in order])
        for place, answer in zip(order, got, strict=True):
            if place < len(good):
                assert (answer.status, answer.body) == (200, alone[good[place]])
            else:
                variant = BAD[turn + place - len(good)]
                assert error_of(answer) == (variant.status, variant.type)
            assert answer.headers["X-Batch-Size"] == "8"


@pytest.mark.parametrize("variant", corpus.variants(), ids=lambda variant: variant.name)
def test_every_picture_of_the_corpus_gets_its_status_and_label(
    variant: corpus.Variant, worker: Worker, offline: quick.Offline
) -> None:
    (got,) = worker.ask([Sent.body(variant.data)])
    if variant.pixels is None:
        assert error_of(got) == (variant.status, variant.type)
    else:
        assert got.status == 200
        assert next(iter(got.document)) == next(iter(offline(variant.pixels)))


@pytest.mark.parametrize("decoded", [True, False], ids=["plain-torchserve", "our-configuration"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_picture_has_the_same_answer(
    form: str, decoded: bool, worker: Worker, alone: Answers
) -> None:
    make, reply = FORMS[form]
    with decoding(decoded):
        (got,) = worker.ask([make(JPEG)])
    assert got.status == 200
    answers = got.document["predictions"] if reply == "list" else [got.document]
    assert all(answer == json.loads(alone[JPEG]) for answer in answers)
    assert len(answers) == {"multipart-two": 2, "instances": 3}.get(form, 1)


@pytest.mark.parametrize("decoded", [True, False], ids=["plain-torchserve", "our-configuration"])
@pytest.mark.parametrize("wrong", WRONG)
def test_every_mistake_has_its_own_status_and_type(
    wrong: str, decoded: bool, worker: Worker, alone: Answers
) -> None:
    sent, expected = WRONG[wrong]
    with decoding(decoded):
        before, got, after = worker.ask([Sent.body(GOOD[1]), sent, Sent.body(GOOD[2])])
    assert error_of(got) == expected
    assert (before.body, after.body) == (alone[GOOD[1]], alone[GOOD[2]])


@pytest.mark.parametrize("value", ["null", "3", '"text"', "[]", "true", '""'])
def test_json_that_is_no_document_is_refused_however_it_arrives(value: str, worker: Worker) -> None:
    for decoded in (True, False):
        with decoding(decoded):
            (got,) = worker.ask([Sent.body(value.encode(), "application/json")])
        assert error_of(got) == (400, "InvalidRequest")


def test_pixels_are_counted_over_all_pictures_of_a_request(worker: Worker) -> None:
    half = corpus.encoded(corpus.picture(800, 700), "PNG")
    assert worker.ask([Sent.multipart(a=half)])[0].status == 200
    assert error_of(worker.ask([Sent.multipart(a=half, b=half)])[0]) == (413, "ImageTooLarge")


def test_top_k(worker: Worker, offline: quick.Offline) -> None:
    expected = list(offline(JPEG))
    sent = [Sent.body(JPEG, X_Top_K=k) for k in ("1", "3", " 7 ", "1000")] + [Sent.body(JPEG, **{"x-top-k": "2"})]
    got = [list(answer.document) for answer in worker.ask(sent)]
    assert got == [expected[:1], expected[:3], expected, expected, expected[:2]]


def test_detailed(worker: Worker, offline: quick.Offline) -> None:
    one, several = worker.ask(
        [
            Sent.body(JPEG, X_Response="Detailed"),
            Sent(Sent.multipart(a=JPEG, b=GOOD[1]).parts, {"x-response": "detailed", "X-Top-K": "1"}),
        ]
    )
    document = one.document
    assert (document["model"], document["version"]) == ("quick", "1.0")
    assert [each["label"] for each in document["classes"]] == list(offline(JPEG))[:5]
    assert [quick.LABELS[each["index"]] for each in document["classes"]] == list(offline(JPEG))[:5]
    assert set(document["classes"][0]) == {"label", "index", "probability"}
    assert set(document["stages"]) == {"decode", "inference"}
    times = dict(pair.split("=") for pair in one.headers["X-Stage-Times"].split(","))
    assert {stage: float(ms) for stage, ms in times.items()} == document["stages"]
    top = [answer["classes"][0]["label"] for answer in several.document["predictions"]]
    assert top == [next(iter(offline(data))) for data in (JPEG, GOOD[1])]


def test_a_deadline_to_come_changes_nothing(worker: Worker, alone: Answers) -> None:
    soon = str(int(time.time() * 1000) + 60_000)
    (got,) = worker.ask([Sent.body(JPEG, X_Request_Deadline_Ms=soon)])
    assert got.body == alone[JPEG]


def test_a_deadline_that_passes_while_neighbours_decode_is_not_run(
    worker: Worker, alone: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    moments = iter([now, now, now, now + 100])  # at the start, before each of two pictures, before the network
    monkeypatch.setattr("visionserve.runtime.wire.options.time", SimpleNamespace(time=lambda: next(moments)))
    deadline = str(int(now * 1000) + 50_000)
    headers = {**Sent.multipart().headers, "X-Request-Deadline-Ms": deadline}
    late, other = worker.ask([Sent(Sent.multipart(a=JPEG, b=JPEG).parts, headers), Sent.body(JPEG)])
    assert error_of(late) == (504, "DeadlineExceeded")
    assert other.body == alone[JPEG]


@pytest.mark.parametrize("name", ["describe", "Describe", "explain", "ts_stream_next", "body", "data"])
def test_hostile_headers_change_nothing_for_neighbours(name: str, worker: Worker, alone: Answers) -> None:
    batch = [Sent.body(GOOD[0]), Sent.body(GOOD[1], **{name: "True"}), Sent.body(GOOD[2])]
    got = worker.ask(batch)
    assert [got[0].body, got[2].body] == [alone[GOOD[0]], alone[GOOD[2]]]
    assert got[1].body == alone[GOOD[1]] or name == "explain"


def test_describe_answers_the_management_call_alone(worker: Worker) -> None:
    (described,) = worker.ask([Sent((), {"describe": "True", "Host": "localhost"})])
    document = described.document
    assert described.status == 200
    assert (document["model"], document["version"], document["engine"]) == ("quick", "1.0", "eager")
    assert document["spec"]["handler"]["architecture"] == "resnet18"
    assert len(document["weights"]["sha256"]) == 64
    assert document["versions"]["torch"] == torch.__version__
    forged = Sent((), {"describe": "True", "Content-Type": "multipart/form-data; boundary=x"})
    assert error_of(worker.ask([forged])[0]) == (400, "EmptyRequest")


ITEMS = items()


@settings(max_examples=400, deadline=None)
@given(places=st.lists(st.integers(0, len(ITEMS) - 1), min_size=1, max_size=8))
def test_any_batch_of_anything_gets_as_many_answers_each_its_own(
    places: list[int], worker: Worker, alone: Answers
) -> None:
    got = worker.ask([ITEMS[place][0] for place in places])
    for place, answer in zip(places, got, strict=True):
        expected = ITEMS[place][1]
        if isinstance(expected, bytes):
            assert (answer.status, answer.body) == (200, alone[expected])
        else:
            assert error_of(answer) == expected


@settings(max_examples=250, deadline=None)
@given(
    bodies=st.lists(st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode)), max_size=8),
    kind=st.sampled_from(["", "application/json", "text/plain", "image/jpeg", "multipart/form-data", "ä/\u0000"]),
    header=st.text(max_size=20).filter(lambda sent: not any(leak in sent for leak in LEAKS)),
)
def test_any_bytes_are_answered_with_a_client_error(
    bodies: list[bytes], kind: str, header: str, worker: Worker
) -> None:
    names = ("X-Top-K", "X-Response", "X-Request-Deadline-Ms", "Inference-Header-Content-Length")
    batch = [
        Sent((Part("body", body, kind),), {"Content-Type": kind, names[place % 4]: header})
        for place, body in enumerate(bodies)
    ]
    for decoded in (True, False):
        with decoding(decoded):
            for answer in worker.ask(batch):
                assert error_of(answer)[0] in (400, 413, 415, 422, 504)
