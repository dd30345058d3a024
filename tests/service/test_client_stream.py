"""What a connection asks of the system for a request, and that nothing that came is left there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

from app import Config, Group, Route, make_app
from app.client_stream import LARGE_CHUNK, MOST_EARLY, SMALL_CHUNK, ClientStream
from app.connections import Connections
from app.http_server import Server
from app.limits import Limits
from app.listening import over_tls
from tests.helpers.tls import Authority

GET = b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"
SLOW = GET.replace(b"/echo", b"/slow")
ANSWER = b"0 bytes"
BODY = 900_000
LARGE_ANSWER = [bytes([65 + number]) * 700_001 for number in range(9)]


def post(size: int) -> bytes:
    head = f"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + b"x" * size


class Echo(RequestHandler):
    def get(self) -> None:
        self.write(f"{len(self.request.body)} bytes")

    post = get


class Large(RequestHandler):
    """An answer that the system does not take at once, in pieces that the client can tell apart."""

    async def get(self) -> None:
        self.set_header("Content-Length", sum(map(len, LARGE_ANSWER)))
        for piece in LARGE_ANSWER:
            self.write(piece)
            flushed = self.flush()
            if piece is LARGE_ANSWER[-1]:
                await flushed


class Slow(RequestHandler):
    begun: asyncio.Event
    may_end: asyncio.Event
    left: asyncio.Event

    async def get(self) -> None:
        self.begun.set()
        await self.may_end.wait()
        self.write(ANSWER)

    def on_connection_close(self) -> None:
        self.left.set()


class Asked:
    """The socket of a stream, which counts how often it is asked."""

    def __init__(self, of: socket.socket) -> None:
        self._socket = of
        self.sent: list[int] = []
        """Bytes that were sent by each call."""
        self.sizes: list[int] = []
        """Bytes that each read may take."""
        self.in_vain = 0

    def recv_into(self, buffer: Any, size: int) -> int:
        self.sizes.append(size)
        try:
            return self._socket.recv_into(buffer, size)
        except BlockingIOError:
            self.in_vain += 1
            raise

    def send(self, data: Any) -> int:
        self.sent.append(self._socket.send(data))
        return self.sent[-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def tls_of(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server and its clients need."""
    authority = Authority(folder)
    own = ssl.create_default_context(cafile=str(authority.file))
    return authority.server_context("localhost"), own


class Client:
    """A client, and what its connection is on the server's side."""

    connections: Connections
    """All of the server's."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: ClientStream
    ) -> None:
        self._reader = reader
        self.writer = writer
        self.stream = stream
        self.asked = Asked(stream.socket)
        if stream.has_no_buffer:
            stream.socket = self.asked  # type: ignore[assignment]

    async def answer(self) -> bytes:
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await self._reader.readexactly(int(length))

    async def rest(self) -> bytes:
        return await self._reader.read()

    def reset(self) -> None:
        """Leave without a word of farewell."""
        own = self.writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def ask(self, request: bytes) -> bytes:
        self.writer.write(request)
        return await self.answer()


@contextlib.asynccontextmanager
async def clients(
    number: int = 1, tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None
) -> AsyncIterator[list[Client]]:
    """Yield clients of one server; each has had an answer."""
    Slow.begun, Slow.may_end, Slow.left = asyncio.Event(), asyncio.Event(), asyncio.Event()
    app = make_app(
        Config(Group("/", Route("echo", Echo), Route("slow", Slow), Route("large", Large)))
    )
    server = Server(app, Limits())
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    port = listening.getsockname()[1]
    server.add_sockets([over_tls(listening, tls[0]) if tls else listening])
    found: list[Client] = []
    try:
        for _ in range(number):
            reader, writer = await asyncio.open_connection(
                "localhost" if tls else "127.0.0.1", port, ssl=tls[1] if tls else None
            )
            writer.write(GET)
            before = {client.stream for client in found}
            await reader.readuntil(ANSWER)
            (stream,) = server._client_connections._streams - before
            found.append(Client(reader, writer, stream))
            found[-1].connections = server._client_connections
        yield found
    finally:
        for client in found:
            client.writer.close()
        server.stop()
        await server.close_all_connections()


@pytest.mark.gen_test
async def test_a_request_is_one_read_and_its_answer_is_one_send() -> None:
    async with clients() as (client,):
        for _ in range(10):
            assert await client.ask(GET) == ANSWER
        assert (client.asked.sizes, client.asked.in_vain) == ([SMALL_CHUNK] * 10, 0)
        assert len(client.asked.sent) == 10
        assert client.stream.sends == 11


@pytest.mark.gen_test
async def test_requests_change_nothing_that_the_loop_listens_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with clients(16) as all:
        changes: list[int] = []
        loop = IOLoop.current()
        update = loop.update_handler

        def noting(fd: Any, events: int) -> None:
            changes.append(events)
            update(fd, events)

        monkeypatch.setattr(loop, "update_handler", noting)

        async def ask_often(client: Client) -> None:
            for _ in range(10):
                assert await client.ask(GET) == ANSWER

        await asyncio.gather(*map(ask_often, all))
        assert len(changes) <= 16  # of 160 requests; otherwise two each
        assert sum(client.asked.in_vain for client in all) <= 16


@pytest.mark.gen_test
async def test_who_sends_too_early_does_not_keep_the_loop_busy() -> None:
    """What came early is read by and by, and then the loop is not asked about it any more."""
    async with clients() as (client,):
        calls = 0
        read = client.stream.read_from_fd

        def counting(buffer: Any) -> int | None:
            nonlocal calls
            calls += 1
            return read(buffer)

        client.stream.read_from_fd = counting  # type: ignore[method-assign, assignment]
        client.writer.write(SLOW)
        while not calls:
            await asyncio.sleep(0)
        client.writer.write(GET + GET)
        while client.stream._read_buffer_size == 0:
            await asyncio.sleep(0)
        before = calls
        for _ in range(50):
            await asyncio.sleep(0)
        assert calls == before
        assert calls <= MOST_EARLY + 10
        Slow.may_end.set()
        assert [await client.answer() for _ in range(3)] == [ANSWER] * 3


@pytest.mark.gen_test
@pytest.mark.parametrize("leave", ["closes", "resets"])
async def test_who_leaves_during_the_request_is_found_out(leave: str) -> None:
    async with clients() as (client,):
        client.writer.write(SLOW)
        await client.writer.drain()
        if leave == "closes":
            client.writer.close()
        else:
            client.reset()
        await Slow.left.wait()
        assert client.stream.closed()


@pytest.mark.gen_test
async def test_a_request_that_came_along_makes_no_room_for_others() -> None:
    async with clients(2) as (busy, idle):
        busy.writer.write(GET + SLOW)
        assert await busy.answer() == ANSWER
        while not Slow.begun.is_set():
            await asyncio.sleep(0)
        busy.connections.close_idle()  # which looks at them for the first time
        for client in (busy, idle):
            client.stream.since -= 60
        busy.connections.close_idle()
        assert (busy.stream.closed(), idle.stream.closed()) == (False, True)
        Slow.may_end.set()
        assert await busy.answer() == ANSWER


@pytest.mark.gen_test
@pytest.mark.parametrize("size", [1, SMALL_CHUNK, 200_000])
async def test_who_sends_in_vain_gets_the_answer_all_the_same(size: int) -> None:
    """Bytes that nobody read would make the system reset the connection."""
    async with clients() as (client,):
        last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        client.writer.write(last + b"x" * size)
        while not client.stream.closed():
            await asyncio.sleep(0)
        assert (await client.rest()).endswith(ANSWER)


@pytest.mark.gen_test
async def test_only_a_body_is_read_in_large_pieces() -> None:
    async with clients() as (client,):
        assert await client.ask(post(BODY)) == b"900000 bytes"
        assert client.asked.sizes[0] == SMALL_CHUNK
        assert set(client.asked.sizes[1:-1]) == {LARGE_CHUNK}  # the last may be for what follows
        client.asked.sizes.clear()
        assert await client.ask(GET) == ANSWER
        assert client.asked.sizes == [SMALL_CHUNK]


PIECES = (1, 7, SMALL_CHUNK - 1, SMALL_CHUNK, SMALL_CHUNK + 1, LARGE_CHUNK, 3 * LARGE_CHUNK + 1)


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("over_tls", [False, True])
async def test_nothing_stays_unread_however_it_arrives(over_tls: bool, tmp_path: Path) -> None:
    """Requests whose ends lie anywhere in what is sent at once, each answered."""
    bodies = (0, 1, SMALL_CHUNK - 200, SMALL_CHUNK, LARGE_CHUNK, 100_000)
    sent = b"".join(GET + post(size) for size in bodies)
    expected = [answer for n in bodies for answer in (ANSWER, f"{n} bytes".encode())]
    async with clients(1, tls_of(tmp_path) if over_tls else None) as (client,):
        for piece in PIECES:
            cut = sent if piece >= 1000 else (GET + post(1)) * 2
            answers = expected if piece >= 1000 else [ANSWER, b"1 bytes"] * 2

            async def send(cut: bytes = cut, piece: int = piece) -> None:
                for at in range(0, len(cut), piece):
                    client.writer.write(cut[at : at + piece])
                    await client.writer.drain()
                    await asyncio.sleep(0)

            sending = asyncio.create_task(send())
            assert [await client.answer() for _ in answers] == answers
            await sending


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("over_tls", [False, True])
async def test_what_the_system_does_not_take_at_once_follows(
    over_tls: bool, tmp_path: Path
) -> None:
    async with clients(1, tls_of(tmp_path) if over_tls else None) as (client,):
        client.writer.write(GET.replace(b"/echo", b"/large"))
        while not client.stream.unsent:
            await asyncio.sleep(0)
        assert await client.answer() == b"".join(LARGE_ANSWER)
        assert await client.ask(GET) == ANSWER
        assert client.stream.unsent == 0


@pytest.mark.gen_test
async def test_an_answer_to_who_has_left_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with clients(2) as (client, other):
        client.writer.write(SLOW)
        await client.writer.drain()
        client.reset()
        Slow.may_end.set()
        while not client.stream.closed():
            assert await other.ask(GET) == ANSWER
    assert caplog.records == []
