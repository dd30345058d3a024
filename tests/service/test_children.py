"""Several processes: those that die are started anew, with a pause, and not for ever in vain."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.children import Restarts
from tests.helpers.process import Service, Start, children, is_alive, starting, until

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks for child processes in /proc"
)

SCRIPT = r'''
"""A parent whose children do what the first argument says; the others are its `Restarts`."""

import logging
import os
import random
import select
import signal
import sys

import tornado.log

from app.children import Restarts, fork

tornado.log.enable_pretty_logging()
logging.getLogger().setLevel("INFO")


def announce():
    print("serving on http://localhost:0", flush=True)


inherited = fork(2, announce, Restarts(*map(float, sys.argv[2:5]), int(sys.argv[5])))
os.write(1, f"child {os.getpid()} {random.random()}\n".encode())
what = sys.argv[1]
if what == "die":
    sys.exit(3)
if what == "end":
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
select.select([inherited.told], [], [])
if what == "fail":
    sys.exit(4)
os.write(1, f"told {os.getpid()}\n".encode())
'''


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def parent(start: Start, tmp_path: Path) -> Start:
    """Start a parent: `parent(what, long_enough, first, longest, most)`."""
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    return lambda *arguments: start(*map(str, arguments), script=script)


def running(service: Service) -> list[int]:
    """Return the two children when both have said that they are there."""
    until(lambda: len(children(service.process.pid)) == 2, "two children")
    pids = children(service.process.pid)
    for pid in pids:
        service.wait_for(f"child {pid} ")
    return pids


def kill(service: Service, pid: int) -> None:
    """Kill a child, and return when its parent has noticed."""
    os.kill(pid, signal.SIGKILL)
    service.wait_for(f"(pid {pid}) was killed")


def test_children_that_lived_long_are_replaced_at_once(parent: Start) -> None:
    service = parent("live", 0, 30, 30, 1)
    for _ in range(110):
        kill(service, running(service)[0])
    assert service.output.count("was killed by signal 9; starting it anew in 0 s") == 110
    assert len(set(running(service))) == 2
    service.stop()


def test_a_child_that_dies_at_once_waits_longer_each_time(parent: Start) -> None:
    service = parent("die", 10, 0.1, 0.4, 5)
    begun = time.monotonic()
    assert service.exit_status() == 1
    assert time.monotonic() - begun > 0.1 + 0.2 + 0.4 + 0.4 - 0.05
    (last,) = [line for line in service.output.splitlines() if "giving up" in line]
    assert "exited with status 3; it died 5 times in a row within 10 s of its start" in last
    assert service.output.count("child 0 (") <= 5
    assert "starting it anew in 0.2 s" in service.output
    assert "Traceback" not in service.output


def test_giving_up_stops_the_children_that_live(parent: Start) -> None:
    service = parent("live", 10, 0.01, 0.01, 3)
    stays = running(service)[1]
    for _ in range(3):
        kill(service, next(pid for pid in running(service) if pid != stays))
    assert service.exit_status() == 1
    assert f"told {stays}" in service.output
    assert not is_alive(stays)


def test_a_child_that_ends_by_itself_is_not_replaced(parent: Start) -> None:
    service = parent("end", 10, 1, 1, 5)
    assert service.exit_status() == 0
    assert service.output.count("child ") == 2


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_back_off_ends_it_at_once(parent: Start, signum: int) -> None:
    service = parent("die", 10, 60, 60, 5)
    until(lambda: service.output.count("anew in 60 s") == 2, "both children to wait")
    service.signal(signum)
    assert service.exit_status(5) == 0


def test_a_child_that_fails_while_it_stops_makes_the_status_1(parent: Start) -> None:
    service = parent("fail", 10, 1, 1, 5)
    running(service)
    service.signal()
    assert service.exit_status(5) == 1
    assert "starting it anew" not in service.output


def test_children_draw_different_random_numbers(parent: Start) -> None:
    service = parent("live", 10, 1, 1, 5)
    running(service)
    drawn = [line.split()[2] for line in service.output.splitlines() if line.startswith("child ")]
    assert len(set(drawn)) == 2
    service.stop()


def test_the_waits_double_up_to_the_longest() -> None:
    restarts = Restarts()
    assert [restarts.wait(n) for n in range(9)] == [0, 1, 2, 4, 8, 16, 30, 30, 30]
