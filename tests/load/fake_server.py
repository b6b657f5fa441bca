"""A real HTTP server whose service is known: one server, first come first served, a fixed time each.

python fake_server.py --service 0.01 --stall-after 3 --stall 2 prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from visionserve.load.sending.ceiling import Responder, serve

RIGHT, WRONG = "right", "wrong"


class FakeModel(Responder):
    """Answers in order; its settings are set once per process."""

    service = 0.0  # seconds each request takes
    stall_after = float("inf")  # seconds from the first request
    stall = 0.0  # seconds during which no service happens
    wrong_every = 0  # each n-th answer is wrong
    leak = 0  # bytes of memory that each request leaves behind
    reject_above = 0  # requests in the system above which 503 is answered

    first = 0.0
    free_at = 0.0
    count = 0
    waiting = 0
    leaked = bytearray()

    def answer(self) -> None:
        cls = FakeModel
        now = time.monotonic()
        cls.first = cls.first or now
        if cls.reject_above and cls.waiting >= cls.reject_above:
            self._respond(
                "503 Service Unavailable", '{"code":503,"type":"ServiceUnavailableException","message":"full"}'
            )
            return
        start = max(now, cls.free_at)
        stall_from = cls.first + cls.stall_after
        if stall_from <= start < stall_from + cls.stall:
            start = stall_from + cls.stall
        cls.free_at = start + cls.service
        cls.count += 1
        cls.waiting += 1
        cls.leaked += b"x" * cls.leak
        label = WRONG if cls.wrong_every and cls.count % cls.wrong_every == 0 else RIGHT
        asyncio.get_running_loop().call_at(cls.free_at, self._finish, label)

    def _finish(self, label: str) -> None:
        FakeModel.waiting -= 1
        stages = f"decode=0.5,inference={1000 * self.service:.3f}"
        self._respond("200 OK", f'{{"{label}":1.0}}', f"X-Batch-Size: 1\r\nX-Stage-Times: {stages}\r\n")

    def _respond(self, status: str, body: str, headers: str = "") -> None:
        headers += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(f"HTTP/1.1 {status}\r\n{headers}\r\n{body}".encode())


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("service", "stall_after", "stall"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(FakeModel, name))
    for name in ("wrong_every", "reject_above", "leak"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(FakeModel, name))
    for name, value in vars(parser.parse_args()).items():
        setattr(FakeModel, name, value)
    asyncio.run(serve(FakeModel))


if __name__ == "__main__":
    main()
