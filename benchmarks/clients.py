"""Clients that look at what they are answered; they find errors, they do not measure."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

CONNECTIONS = 32
"""Connections that a load comes over."""

MANY_CONNECTIONS = 128
"""Connections of a load that shows what waiting for the store costs the others."""

CLIENTS_A_CONNECTION = 8
"""Clients with a record each, taking turns. So many that nobody's turn comes again while its last
request is on its way: each counter is then counted up by one request at a time."""

CLIENTS = CLIENTS_A_CONNECTION * CONNECTIONS


class CannotMeasure(Exception):
    """Something a measurement needs is missing or answers wrongly; the text says what."""


@dataclass(frozen=True)
class Answer:
    """A response as it came."""

    status: int
    body: str
    cookie: str
    """`name=value` if one was set, else ""."""
    size: int
    """Bytes, head and body."""


class Connection:
    """One connection that is kept alive."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str, cookie: str = "") -> Answer:
        """Send a GET and return the whole answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        header = f"Cookie: {cookie}\r\n" if cookie else ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        fields = {}
        for line in head.decode().splitlines()[1:-1]:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        body = await reader.readexactly(int(fields["content-length"]))
        cookie = fields.get("set-cookie", "").partition(";")[0]
        return Answer(int(head.split(b" ", 2)[1]), body.decode(), cookie, len(head) + len(body))

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            with contextlib.suppress(OSError):
                await self._streams[1].wait_closed()


async def get_all(
    port: int, requests: Sequence[tuple[str, str]], connections: int = CONNECTIONS
) -> list[Answer]:
    """Send requests, each a path and a cookie, over some connections; return the answers in order.

    Raises `CannotMeasure` for one that is not a 200.
    """
    answers: dict[int, Answer] = {}
    numbered = iter(enumerate(requests))

    async def work() -> None:
        connection = Connection(port)
        try:
            for number, (path, cookie) in numbered:
                answers[number] = answer = await connection.get(path, cookie)
                if answer.status != 200:
                    raise CannotMeasure(f"{path} answered {answer.status}")
        except (OSError, asyncio.IncompleteReadError):
            raise CannotMeasure("the application hung up") from None
        finally:
            await connection.close()

    done = await asyncio.gather(*(work() for _ in range(connections)), return_exceptions=True)
    for problem in done:
        if problem is not None:
            raise problem
    return [answers[number] for number in range(len(requests))]


def name_of(number: int) -> str:
    """Return the name in the record of a client: all are of one length, none is another's."""
    return f"Ada{number:04d}"


async def begin(port: int, count: int = CLIENTS) -> list[str]:
    """Let *count* clients begin a session; return their cookies."""
    answers = await get_all(port, [(f"/begin/{name_of(i)}", "") for i in range(count)])
    cookies = [answer.cookie for answer in answers]
    if len(set(cookies)) != count or not all(cookies):
        raise CannotMeasure("not every client got a cookie of its own")
    return cookies


async def check(
    port: int, path: str, cookies: Sequence[str], connections: int = CONNECTIONS
) -> int:
    """See that each client is answered what is its own; return the size of an answer in bytes.

    The clients come over so many *connections* at once. Answers of a path are all of one size.
    """
    answers = await get_all(port, [(path, cookie) for cookie in cookies], connections)
    for number, answer in enumerate(answers):
        expected = {"/read": name_of(number), "/write": "written", "/constant": name_of(0)}[path]
        if answer.body != expected:
            raise CannotMeasure(f"{path} answered {answer.body!r} to the client {expected!r}")
    sizes = {answer.size for answer in answers}
    if len(sizes) != 1:
        raise CannotMeasure(f"{path}: answers of several sizes: {sorted(sizes)}")
    return sizes.pop()


async def counts(port: int, cookies: Sequence[str]) -> int:
    """Return the sum of what the clients' records have counted."""
    answers = await get_all(port, [("/count", cookie) for cookie in cookies])
    return sum(int(answer.body) for answer in answers)
