"""What load tests start and make beside the server is gone when they are, whatever ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO


class Keeper(Protocol):
    """Ends and removes what it is told of when this process is killed."""

    def guard_session(self, session: int) -> None:
        """End a session, named by its leader's process id."""

    def let_go_session(self, session: int) -> None:
        """Forget a session that has ended."""

    def guard_folder(self, folder: Path) -> None:
        """Remove a folder."""

    def let_go_folder(self, folder: Path) -> None:
        """Forget a folder that is gone."""


@contextmanager
def process(
    command: Sequence[str],
    keeper: Keeper | None,
    output: IO[bytes] | int | None = None,
    environment: dict[str, str] | None = None,
    errors: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own, of which nothing is left when the block ends.

    Args:
        command: The command.
        keeper: Ends it when this process is killed.
        output: Where its standard output goes.
        environment: What it is started with.
        errors: Where its standard error goes.
    """
    started = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        env=environment,
        start_new_session=True,
    )
    if keeper is not None:
        keeper.guard_session(started.pid)
    with started:
        try:
            yield started
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            if keeper is not None:
                keeper.let_go_session(started.pid)


@contextmanager
def folder(keeper: Keeper | None, prefix: str = "visionserve-") -> Iterator[Path]:
    """A temporary folder, removed when the block ends, or by the keeper."""
    with tempfile.TemporaryDirectory(prefix=prefix) as made:
        if keeper is not None:
            keeper.guard_folder(Path(made))
        yield Path(made)
    if keeper is not None:
        keeper.let_go_folder(Path(made))
