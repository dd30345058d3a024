"""Several processes on one socket come to have about as many connections each."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.shares import LEAD, Shares
from tests.helpers.process import Service, Start, children, starting, until

needs_proc = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks for connections in /proc"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


def two(start: Start, tmp_path: Path) -> Service:
    """A service of two processes, both of which serve."""
    service = start("--port=0", "--processes=2", f"--store=sqlite:///{tmp_path}/s")
    until(lambda: sum(connections(service)) == 0 and len(connections(service)) == 2, "two children")
    return service


def connections(service: Service) -> list[int]:
    """Return how many connections each child has."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = {row[9] for row in rows if row[1].endswith(f":{service.port:04X}") and row[3] == "01"}
    counts = []
    for pid in children(service.process.pid):
        held = 0
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
                held += found is not None and found[1] in mine
        counts.append(held)
    return counts


@contextlib.contextmanager
def clients(service: Service, count: int) -> Iterator[list[socket.socket]]:
    """Connect at once, and return when all were accepted."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.socket()) for _ in range(count)]
        for client in opened:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(("127.0.0.1", service.port))
        until(lambda: sum(connections(service)) == count, "all to be accepted")
        yield opened


@needs_proc
def test_connections_of_one_moment_are_spread(start: Start, tmp_path: Path) -> None:
    service = two(start, tmp_path)
    fewest = []
    for _ in range(3):  # a process that gets no time from the system may miss its turns
        with clients(service, 40):
            fewest.append(min(connections(service)))
        until(lambda: sum(connections(service)) == 0, "all to be closed")
    assert max(fewest) >= 15


@needs_proc
def test_a_child_that_hangs_keeps_nobody_out(start: Start, tmp_path: Path) -> None:
    service = two(start, tmp_path)
    hanging = children(service.process.pid)[0]
    os.kill(hanging, signal.SIGSTOP)
    try:
        with clients(service, 40) as opened:
            for client in opened:
                client.settimeout(20)
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert all(client.recv(12) == b"HTTP/1.1 200" for client in opened)
    finally:
        os.kill(hanging, signal.SIGCONT)


@needs_proc
def test_a_child_that_stops_counts_no_more(start: Start, tmp_path: Path) -> None:
    service = two(start, tmp_path)
    os.kill(children(service.process.pid)[0], signal.SIGTERM)
    until(lambda: len(children(service.process.pid)) == 1, "it to end")
    with clients(service, 40):
        assert connections(service) == [40]


def test_who_clearly_has_more_than_another_leads() -> None:
    shares = Shares(3)
    first, second, third = (shares[number] for number in range(3))
    first.tell(100)
    assert not first.leads()  # nobody else is there
    second.tell(100 - LEAD)
    assert not first.leads()  # the larger they are, the more they may differ
    second.tell(50)
    assert first.leads()
    assert not second.leads()
    third.tell(0)
    assert second.leads()
    second.leave()
    third.leave()
    assert not first.leads()
