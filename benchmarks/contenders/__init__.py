"""What is measured: one file each. A server answers over HTTP on loopback; the engine alone is the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from benchmarks.process import Tree
    from benchmarks.traffic import Form


class Server(Protocol):
    """A server of one model.

    Attributes:
        name: Short and stable: the key in the results.
        title: What a reader calls it.
        what: One sentence: what it is exactly, and whose settings these are.
        settings: Every setting that is not the software's own default.
        target: The path of its prediction URL.
        form: How a picture is sent to it.
        port: Where it listens on loopback, once started.
    """

    name: str
    title: str
    what: str
    settings: dict[str, object]
    target: str
    form: Form
    port: int

    def prepare(self) -> None:
        """Make what it serves; not part of its start.

        Raises:
            NotRun: It cannot be made; the message says why.
        """
        ...

    def start(self) -> None:
        """Start it and wait until it gives a picture an answer.

        Raises:
            NotRun: It cannot be started; the message says why.
        """
        ...

    @property
    def tree(self) -> Tree:
        """Its processes."""
        ...

    def stop(self) -> None:
        """End all of its processes and remove what it wrote."""
        ...
