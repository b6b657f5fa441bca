"""A server that reads requests and answers nothing of interest: what the load generator can do at most."""

from __future__ import annotations

import asyncio
import re
import sys

_BODY = b'{"sink":1.0}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY
_LENGTH = re.compile(rb"Content-Length: (\d+)")


class Sink(asyncio.Protocol):
    """Counts a request's bytes, drops them and answers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        self._head = bytearray()
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        """Count."""
        if self._missing == 0:
            self._head += data
            head, blank, body = self._head.partition(b"\r\n\r\n")
            if not blank:
                return
            length = _LENGTH.search(head)
            self._missing = (int(length.group(1)) if length else 0) - len(body)
            self._head.clear()
        else:
            self._missing -= len(data)
        if self._missing <= 0 and isinstance(self._transport, asyncio.WriteTransport):
            self._missing = 0
            self._transport.write(_ANSWER)


async def serve(port: int) -> None:
    """Listen on loopback until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
