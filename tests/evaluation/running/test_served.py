"""Which model of which server is meant."""

from __future__ import annotations

import pytest

from visionserve.evaluation.errors import EvaluationError
from visionserve.evaluation.running.served import Served

HERE = Served("one", "http://here")


def test_another_model_is_named_by_its_name_or_its_url() -> None:
    assert HERE.another("two") == Served("two", "http://here")
    assert HERE.another("http://x:1/base/predictions/two") == Served("two", "http://x:1/base")
    with pytest.raises(
        EvaluationError, match="http://x:1 names no model: write it like http://here/predictions/one"
    ):
        HERE.another("http://x:1")


def test_a_key_is_told_to_the_server_that_it_is_for_alone() -> None:
    here = Served("one", "http://here", key="sesame")
    assert here.another("two").key == "sesame"
    assert here.another("http://here/predictions/two").key == "sesame"
    assert here.another("http://there/predictions/two").key is None
    assert "sesame" not in repr(here)
