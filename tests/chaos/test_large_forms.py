"""Forms that would keep or end TorchServe's Java cost themselves, behind the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from tests.chaos.conftest import loaded
from tests.chaos.harness.served import PICTURE

if TYPE_CHECKING:
    from tests.chaos.harness.served import Served

SIZE = 19_900_000
MULTIPART = "multipart/form-data; boundary=xyz"
FORMS = {
    "url-encoded fields": (b"a&", "application/x-www-form-urlencoded"),
    "tiny parts": (b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n', MULTIPART),
    "a part's endless header": (b"--xyz\r\nContent-Disposition: form-data; name=a; ", MULTIPART),
    "half boundaries": (b"\r\n--xy", MULTIPART),
}


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_costs_itself(kind: str, served: Served) -> None:
    piece, content_type = FORMS[kind]
    body = piece * (SIZE // len(piece))
    java = served.of("java")[0].pid
    with loaded(served, clients=2) as traffic:
        before = len(traffic.asked)
        answer = requests.post(
            f"{served.url}/predictions/quick", body, headers={"Content-Type": content_type}, timeout=60
        )
        traffic.wait_for(50)
        longest = max(each.end - each.start for each in traffic.asked[before:])
    print(f"\n{kind}: {answer.status_code}, the longest of its neighbours {longest:.2f} s")  # noqa: T201
    assert 400 <= answer.status_code < 500
    assert traffic.lost == {}
    assert longest < 5  # 15 to 24 s where TorchServe takes them apart
    assert served.of("java")[0].pid == java


def test_files_of_one_name_are_all_answered_and_curls_default_is_a_picture(served: Served) -> None:
    url = f"{served.url}/predictions/quick"
    right = requests.post(url, PICTURE, timeout=60).json()
    twice = requests.post(url, files=[("data", PICTURE), ("data", PICTURE)], timeout=60)
    assert twice.json() == {"predictions": [right, right]}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert requests.post(url, PICTURE, headers=form, timeout=60).json() == right
