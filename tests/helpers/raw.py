"""Requests over a bare socket: exactly these bytes out, and a look at each byte that comes back."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

from tests.helpers.site import Site


class RawConnection:
    """A connection to a site's server: `async with RawConnection(site) as connection`."""

    def __init__(self, site: Site) -> None:
        self._port = site.port
        self.received = b""

    async def __aenter__(self) -> RawConnection:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def send(self, method: str, path: str | bytes, *headers: str | bytes) -> None:
        """Send the head of a request without a body, after which the server is to close."""
        target = path if isinstance(path, bytes) else path.encode("ascii")
        lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: localhost"]
        lines += [h if isinstance(h, bytes) else h.encode("latin-1") for h in headers]
        self._writer.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]))

    def write(self, data: bytes) -> None:
        """Send these bytes, of a body for example."""
        self._writer.write(data)

    async def read_until(self, separator: bytes) -> bytes:
        """Return everything up to and including *separator*."""
        chunk = await self._reader.readuntil(separator)
        self.received += chunk
        return chunk

    async def read_to_end(self) -> bytes:
        """Return all that came on this connection, when the server has closed it."""
        self.received += await self._reader.read()
        return self.received

    async def nothing_came(self, turns: int = 20) -> bool:
        """Tell whether no byte is there, the server having had its turns to send one.

        Each turn is a request to the same server on a connection of its own, answered in full.
        """
        for _ in range(turns):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(b"GET /plain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            assert answer.endswith(b"plain"), answer
            writer.close()
        read = asyncio.ensure_future(self._reader.read(1))
        await asyncio.sleep(0)
        if read.done():
            self.received += read.result()
            return False
        read.cancel()
        await asyncio.wait([read])
        return True


async def raw_request(
    site: Site, method: str, path: str | bytes, *headers: str | bytes
) -> tuple[int, str, bytes]:
    """Return (status, head, body) of the answer."""
    async with RawConnection(site) as connection:
        connection.send(method, path, *headers)
        answer = await connection.read_to_end()
    head, _, body = answer.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    return int(text.split(" ", 2)[1]), text, body
