"""A bar for what takes a while, on the terminal of the person who waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable

_T = TypeVar("_T")


def bar(items: Iterable[_T], doing: str, total: int | None = None) -> Iterable[_T]:
    """The items, with a bar on stderr that is gone after the last; without a terminal there is none.

    Args:
        items: What is worked through.
        doing: What is done with each, as in `checking tulips`.
        total: How many there are, where they do not tell it themselves.
    """
    console = Console(stderr=True)
    return track(
        items, escape(f"{doing:<36}"), total, console=console, transient=True, disable=not console.is_terminal
    )
