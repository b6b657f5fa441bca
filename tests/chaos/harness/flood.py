"""Requests that come whether or not those before them are answered."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.chaos.harness.outcomes import Asked, Outcomes, outcome_of

_TIMEOUT = 150.0  # seconds


@dataclass(kw_only=True)
class Flood(Outcomes):
    """Many requests at a rate, each over a connection of its own.

    Args:
        url: Base URL of the server.
        path: What is asked.
        picture: The body.
        expected: What the answer must begin with.
    """

    url: str
    path: str
    picture: bytes
    expected: bytes

    def pour(self, rate: float, seconds: float) -> None:
        """Send so many a second for so long, and wait until all have ended."""
        asyncio.run(self._pour(rate, seconds))

    async def _pour(self, rate: float, seconds: float) -> None:
        begun, asking = time.monotonic(), []
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
            asking.append(asyncio.create_task(self._ask()))
        await asyncio.gather(*asking)

    async def _ask(self) -> None:
        start = time.monotonic()
        try:
            outcome = await asyncio.wait_for(self._outcome(), _TIMEOUT)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            outcome = type(error).__name__
        self.asked.append(Asked(start, time.monotonic(), outcome))

    async def _outcome(self) -> str:
        address = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            head = f"POST {self.path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(self.picture)}\r\n\r\n"
            writer.write(head.encode() + self.picture)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            body = await reader.readexactly(int(headers["content-length"]))
        finally:
            writer.close()
        return outcome_of(int(lines[0].split()[1]), headers.get("retry-after"), body, self.expected)
