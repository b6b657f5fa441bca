"""A bar for whoever waits at a terminal, and nothing in a log."""

from __future__ import annotations

import io
from functools import partial

import pytest
from rich.console import Console

from visionserve import progress


@pytest.mark.parametrize("terminal", [True, False])
def test_there_is_a_bar_on_a_terminal_alone(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    here = partial(Console, file=written, force_terminal=terminal, width=100)
    monkeypatch.setattr(progress, "Console", lambda **_: here())
    assert list(progress.bar(iter("abc"), "checking [red] tulips", total=3)) == ["a", "b", "c"]
    assert ("checking [red] tulips" in written.getvalue()) == terminal
    assert ("100%" in written.getvalue()) == terminal
    assert terminal or not written.getvalue()
