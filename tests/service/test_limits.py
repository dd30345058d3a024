"""What one client may take of the service: each of these held something for ever."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import PATIENCE, Service, Start, starting, until

GET = b"GET /sessions/get HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = b"n/a"

needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

HANDLERS = '''
"""A service whose handlers take longer than its time-outs."""

import asyncio
import logging
import sys

import tornado.log
from tornado.web import RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

from app import Config, Group, Route, SessionManager, SessionMixin, make_app
from app.limits import Limits
from app.listening import address_of, listen
from app.server import serve
from stores import MemoryStore


class Slow(RequestHandler):
    async def get(self):
        await asyncio.sleep(1.5)
        self.write("slow answer")


class Events(RequestHandler):
    async def get(self):
        for _ in range(3):
            self.write("event ")
            await self.flush()
            await asyncio.sleep(0.8)


class Large(RequestHandler):
    def get(self):
        self.write(b"x" * 20_000_000)


class Socket(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)


@stream_request_body
class Upload(SessionMixin, RequestHandler):
    async def prepare(self):
        await super().prepare()
        self.size = 0
        self.request.connection.set_max_body_size(3_000_000)
        self.request.connection.set_body_timeout(30)

    def data_received(self, chunk):
        self.size += len(chunk)

    def put(self):
        self.session["size"] = self.size
        self.write(str(self.size))


tornado.log.enable_pretty_logging()
logging.getLogger().setLevel("INFO")
routes = Group(
    "/",
    Route("slow", Slow),
    Route("events", Events),
    Route("large", Large),
    Route("socket", Socket),
    Route("upload", Upload),
    sessions=True,
)
sockets = listen(0, "127.0.0.1")
limits = Limits(
    body_timeout=0.5, header_timeout=0.5, keep_alive_timeout=0.5, send_timeout=0.5
)
config = Config(routes, SessionManager(MemoryStore()))
announce = lambda: print("serving on", address_of(sockets), flush=True)
asyncio.run(serve(lambda: make_app(config), sockets, limits=limits, announce=announce))
'''


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def impatient(start: Start, tmp_path: Path) -> Service:
    """A service with time-outs of half a second, and handlers that take longer."""
    script = tmp_path / "handlers.py"
    script.write_text(HANDLERS)
    return start(script=script)


@contextlib.contextmanager
def clients(service: Service, count: int, data: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open connections that have sent *data*."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)
            opened.append(stack.enter_context(client))
            client.sendall(data)
        yield opened


def seconds_until_closed(client: socket.socket) -> float:
    """Return how long the service leaves a connection open, reading what comes."""
    begun = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        while client.recv(65536):
            pass
    return time.monotonic() - begun


def resident_bytes(service: Service) -> int:
    pages = Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def post(length: int, sent: int = 0) -> bytes:
    head = f"POST /sessions/get HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + b"x" * sent


# Bodies


@needs_proc
def test_a_body_over_the_limit_is_refused_before_it_is_read(start: Start) -> None:
    service = start("--port=0")
    before = resident_bytes(service)
    with clients(service, 5, post(90_000_000)) as refused:
        for client in refused:
            with contextlib.suppress(ConnectionError):
                for _ in range(90):
                    client.sendall(b"x" * 1_000_000)
            assert seconds_until_closed(client) < 5
    assert resident_bytes(service) - before < 20_000_000
    assert "Traceback" not in service.output


def answer_of(client: socket.socket) -> bytes:
    """Return all that the service sends until it closes the connection."""
    answer = b""
    while chunk := client.recv(65536):
        answer += chunk
    return answer


@pytest.mark.parametrize("sent", [0, 1_200_000, 5_000_000])
def test_a_body_over_the_limit_is_413_while_it_is_sent(start: Start, sent: int) -> None:
    """However much is sent before the answer is read, and whether or not that was all."""
    service = start("--port=0")
    with clients(service, 1, post(5_000_000, sent)) as (client,):
        answer = answer_of(client)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in head
    assert body == b"413: the body is over 1000000 bytes\n"
    assert "Traceback" not in service.output


def test_a_client_that_asks_first_is_not_told_to_go_on(start: Start) -> None:
    service = start("--port=0")
    asking = post(5_000_000).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    with clients(service, 1, asking) as (client,):
        assert answer_of(client).startswith(b"HTTP/1.1 413 ")
    assert "Traceback" not in service.output


def test_chunks_without_end_are_refused_at_the_limit(start: Start) -> None:
    service = start("--port=0", "--max-body-size=100000")
    head = b"POST /sessions/get HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with clients(service, 1, head) as (client,), contextlib.suppress(ConnectionError):
        for _ in range(1000):
            client.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        pytest.fail("10 MB were taken")


def test_unfinished_bodies_are_given_up(start: Start) -> None:
    service = start("--port=0", "--body-timeout=0.5")
    with clients(service, 5, post(900_000, 800_000)) as unfinished:
        for client in unfinished:
            assert seconds_until_closed(client) < 5
    assert service.get("/healthz").status == 200


def test_a_handler_of_uploads_raises_its_own_limits(impatient: Service) -> None:
    head = b"PUT /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    with clients(impatient, 1, head % 2_000_000) as (client,):
        client.sendall(b"x" * 1_500_000)
        time.sleep(1.5)  # three times the others' time-out
        client.sendall(b"x" * 500_000)
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"2000000")
        assert b"Set-Cookie: session=" in answer
    with clients(impatient, 1, head % 4_000_000) as (client,):
        assert client.recv(12) == b"HTTP/1.1 400"


# Headers and idle connections


@pytest.mark.parametrize("sent", [b"GET /sessi", b"GET / HTTP/1.1\r\nHost: local", b"\r\n"])
def test_half_a_header_is_given_up_however_slowly_it_goes_on(start: Start, sent: bytes) -> None:
    service = start("--port=0", "--header-timeout=1")
    with clients(service, 2, sent) as (still, dripping):
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < begun + PATIENCE:
                dripping.sendall(b"x")
                dripping.settimeout(0.1)
                with contextlib.suppress(TimeoutError):
                    if not dripping.recv(1):
                        break
        assert 0.5 < time.monotonic() - begun < 5
        assert seconds_until_closed(still) < 5


def test_half_a_header_after_an_answer_is_given_up(start: Start) -> None:
    service = start("--port=0", "--header-timeout=1")
    with clients(service, 1, GET) as (client,):
        assert client.recv(65536).endswith(ANSWER)
        time.sleep(0.2)  # what comes along with the request before counts as idle
        client.sendall(GET[:20])
        assert seconds_until_closed(client) < 5


def test_a_connection_that_says_nothing_is_closed(start: Start) -> None:
    service = start("--port=0", "--keep-alive-timeout=1")
    with clients(service, 1) as (silent,), clients(service, 1, GET) as (answered,):
        assert answered.recv(65536).endswith(ANSWER)
        assert 0.5 < seconds_until_closed(silent) < 5
        assert seconds_until_closed(answered) < 5


def test_a_connection_in_use_outlives_every_time_out(start: Start) -> None:
    service = start("--port=0", "--keep-alive-timeout=2", "--header-timeout=2")
    with clients(service, 1) as (client,):
        for _ in range(8):
            client.sendall(GET)
            assert client.recv(65536).endswith(ANSWER)
            time.sleep(0.4)


@pytest.mark.parametrize(
    ("path", "end"), [(b"/slow", b"slow answer"), (b"/events", b"event \r\n0\r\n\r\n")]
)
def test_a_slow_handler_is_not_cut_off(impatient: Service, path: bytes, end: bytes) -> None:
    with clients(impatient, 1, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n") as (
        client,
    ):
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    assert received.endswith(end)


# Those who do not read


@needs_proc
def test_a_client_that_reads_nothing_is_given_up(impatient: Service) -> None:
    before = resident_bytes(impatient)
    large = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with clients(impatient, 5, large):
        until(lambda: impatient.output.count("200 GET /large") == 5, "the answers to be made")
        until(lambda: resident_bytes(impatient) - before < 50_000_000, "the memory to be given up")


def test_a_slow_reader_gets_the_whole_answer(impatient: Service) -> None:
    request = b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with clients(impatient, 1, request) as (client,):
        received = 0
        while chunk := client.recv(2_000_000):
            received += len(chunk)
            time.sleep(0.1)
    assert received > 20_000_000


def test_pipelined_requests_wait_outside_of_the_service(impatient: Service) -> None:
    with clients(impatient, 1, b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n") as (client,):
        client.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError, ConnectionError):
            while sent < 50_000_000:
                sent += client.send(GET * 1000)
        assert sent < 50_000_000


# WebSockets


HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_a_websocket_outlives_the_time_outs_of_requests(impatient: Service) -> None:
    with clients(impatient, 1, HANDSHAKE) as (client,):
        assert b" 101 " in client.recv(65536)
        time.sleep(1.5)
        client.sendall(b"\x81\x82\0\0\0\0hi")
        assert client.recv(100) == b"\x81\x02hi"


def test_a_message_over_the_limit_ends_its_websocket(impatient: Service) -> None:
    with clients(impatient, 1, HANDSHAKE) as (client,):
        assert b" 101 " in client.recv(65536)
        client.sendall(b"\x82\xff" + (2_000_000).to_bytes(8, "big") + b"\0\0\0\0")
        assert seconds_until_closed(client) < 5


@needs_proc
def test_a_websocket_whose_peer_reads_nothing_is_cut_off(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "handlers.py"
    script.write_text(HANDLERS.replace("send_timeout=0.5", "send_timeout=60"))
    service = start(script=script)
    before = resident_bytes(service)
    message = b"\x82\xff" + (900_000).to_bytes(8, "big") + b"\0\0\0\0" + bytes(900_000)
    with clients(service, 1, HANDSHAKE) as (client,):
        assert b" 101 " in client.recv(65536)
        with pytest.raises(ConnectionError):
            for _ in range(300):
                client.sendall(message)
    assert "its peer left" in service.output
    assert resident_bytes(service) - before < 60_000_000


# File descriptors


@contextlib.contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Let processes that are started meanwhile have *count* file descriptors."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def poor(start: Start) -> Service:
    """A service with 256 file descriptors."""
    with descriptors(256):
        return start("--port=0")


def works(client: socket.socket) -> None:
    """Fail unless a connection is served."""
    client.sendall(GET)
    assert client.recv(65536).endswith(ANSWER)


@pytest.mark.faults
def test_idle_connections_make_room_for_new_ones(poor: Service) -> None:
    with clients(poor, 300), clients(poor, 1) as (late,):
        for _ in range(20):
            works(late)
            assert poor.get("/sessions/get").status == 200
    assert poor.output.count("no room for more connections") == 1
    assert "Traceback" not in poor.output
    assert len(poor.output) < 10_000


def test_connections_past_the_limit_wait_and_get_in_later(poor: Service) -> None:
    with clients(poor, 1, GET) as (early,):
        assert early.recv(65536).endswith(ANSWER)
        with clients(poor, 300, GET[:20]):
            poor.wait_for("no room for more connections (192 are open, and that is the limit)")
            with clients(poor, 1, GET) as (late,):
                early.sendall(GET)
                late.settimeout(1.5)
                with pytest.raises(TimeoutError):
                    late.recv(65536)
                assert len(poor.output) < 10_000
        assert poor.get("/sessions/get").status == 200
    assert poor.output.count("no room for more connections") == 1
    assert "Traceback" not in poor.output


@needs_proc
@pytest.mark.parametrize("sent", [b"", GET[:20]])
def test_the_acceptor_pauses_out_of_descriptors(start: Start, sent: bytes) -> None:
    service = start("--port=0")
    with clients(service, 1) as (early,):
        works(early)
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (40, 20_000))
        with clients(service, 100, sent):
            service.wait_for("no room for more connections (Too many open files)")
            begun, used = time.monotonic(), cpu_seconds(service)
            for _ in range(4):
                works(early)
                time.sleep(0.5)
            assert cpu_seconds(service) - used < (time.monotonic() - begun) / 4
        assert service.get("/sessions/get").status == 200
    assert service.output.count("no room for more connections") == 1
    assert "Traceback" not in service.output
    assert len(service.output) < 10_000


def cpu_seconds(service: Service) -> float:
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_max_connections_bounds_them(start: Start) -> None:
    service = start("--port=0", "--max-connections=3")
    with clients(service, 3, GET[:20]), clients(service, 1, GET) as (late,):
        service.wait_for("no room for more connections (3 are open, and that is the limit)")
        late.settimeout(0.5)
        with pytest.raises(TimeoutError):
            late.recv(65536)
    assert service.get("/sessions/get").status == 200


def test_a_service_without_room_stops_when_it_is_told_to(poor: Service) -> None:
    with clients(poor, 300, GET[:20]):
        poor.wait_for("no room for more connections")
        poor.stop()
