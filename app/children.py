"""Several processes: a parent that starts children, and anew those that die."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.listening import UnixSocket
from app.shares import Share, Shares
from app.supervisor import Supervisor, stop_signals

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restarts:
    """When a child that died is started anew; all times in seconds.

    One that lived for *long_enough* is started at once, however often. One that did not waits:
    *first*, then twice as long each time, up to *longest*. After *most* such deaths in a row the
    parent gives up.
    """

    long_enough: float = 10
    first: float = 1
    longest: float = 30
    most: int = 10

    def wait(self, short_lives: int) -> float:
        """Return the seconds to wait after this many short lives in a row."""
        return min(self.first * 2 ** (short_lives - 1), self.longest) if short_lives else 0.0


class Inherited(NamedTuple):
    """What a child has of its parent."""

    number: int
    """Its place among the children, from 0 on; who is started in the place of a dead one has it."""
    told: int
    """The end of the pipe that tells it to stop."""
    share: Share
    """Its share of the connections."""


def fork(
    processes: int,
    announce: Callable[[], None],
    restarts: Restarts | None = None,
    sockets: Sequence[socket.socket] = (),
) -> Inherited | None:
    """Go on in *processes* children, and return in these what each has of its parent.

    The parent stays behind, restarts children that die, and on SIGTERM, SIGINT or SIGHUP lets them
    all stop: it closes a pipe of which each child has the other end, so that they stop too when the
    parent is killed. The parent calls *announce* when it can be told. The children listen on
    *sockets*, and the parent holds them for those that it starts later. Returns `None` without
    forking for one process.
    """
    if processes == 1:
        return None
    parent = _Parent(processes, restarts or Restarts(), sockets)
    announce()
    return parent.run()


@dataclass
class _Child:
    """One of the places that the parent keeps filled, and who is in it."""

    number: int
    pid: int = 0  # none, and it is to be started at `due`
    due: float = 0.0
    started: float = 0.0
    short_lives: int = 0  # in a row


class _Parent:
    """Runs in the parent until all children have ended; returns in the children only."""

    def __init__(
        self, processes: int, restarts: Restarts, sockets: Sequence[socket.socket]
    ) -> None:
        self._sockets = sockets
        self._supervisor = Supervisor()
        self._children = [_Child(number) for number in range(processes)]
        self._shares = Shares(processes)
        self._restarts = restarts
        self._stopping = False
        self._status = 0
        self._told, self._tell = os.pipe()
        self._woken, self._wake = os.pipe()  # written to at each signal
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for signum in stop_signals():
            signal.signal(signum, self._stop)
        signal.signal(signal.SIGCHLD, _note)

    def run(self) -> Inherited:
        log.info("starting %d processes", len(self._children))
        self._supervisor.tell("READY=1")
        while self._children:
            for child in self._children:
                due = not child.pid and not self._stopping and child.due <= time.monotonic()
                if due and self._start(child):
                    return Inherited(child.number, self._told, self._shares[child.number])
            self._sleep()
            self._reap()
        for listening in self._sockets:
            if isinstance(listening, UnixSocket):
                listening.remove()  # when no child was there to do it
        sys.exit(self._status)

    def _stop(self, *_: object) -> None:
        if not self._stopping:
            self._stopping = True
            self._supervisor.tell("STOPPING=1")
            for listening in self._sockets:
                listening.close()  # else nobody serves those who get in when the children are gone
            os.close(self._tell)

    def _start(self, child: _Child) -> bool:
        """Start it; return whether this is the child."""
        child.started = time.monotonic()
        try:
            child.pid = os.fork()
        except OSError as error:
            self._again(child, f"cannot be started: {error.strerror}")
            return False
        if child.pid:
            return False
        self._become_child()
        return True

    def _become_child(self) -> None:
        """Let go of what is the parent's; the loop puts its own handlers in the place of these."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._tell)
        for end in (self._woken, self._wake):
            os.close(end)

    def _sleep(self) -> None:
        """Wait for a signal, until a child is to be started, or a sign of life is due."""
        due = [child.due for child in self._children if not child.pid]
        if self._supervisor.interval is not None:
            self._supervisor.tell("WATCHDOG=1")
            due.append(time.monotonic() + self._supervisor.interval)
        wait = max(0.0, min(due) - time.monotonic()) if due else None
        select.select([self._woken], [], [], wait)
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)

    def _reap(self) -> None:
        for child in list(self._children):
            if child.pid:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if pid:
                    self._ended(child, os.waitstatus_to_exitcode(status))
            elif self._stopping:
                self._children.remove(child)

    def _ended(self, child: _Child, status: int) -> None:
        pid, child.pid = child.pid, 0
        self._shares[child.number].leave()
        if status == 0 or self._stopping:
            self._children.remove(child)
            self._status = self._status or int(status != 0)
            return
        how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
        self._again(child, f"(pid {pid}) {how}")

    def _again(self, child: _Child, what: str) -> None:
        """See to it that a child that died is started anew, or give up."""
        lived = time.monotonic() - child.started
        child.short_lives = child.short_lives + 1 if lived < self._restarts.long_enough else 0
        if child.short_lives >= self._restarts.most:
            log.error(
                "child %d %s; it died %d times in a row within %g s of its start: giving up",
                child.number,
                what,
                child.short_lives,
                self._restarts.long_enough,
            )
            self._status = 1
            self._children.remove(child)
            self._stop()
            return
        wait = self._restarts.wait(child.short_lives)
        child.due = time.monotonic() + wait
        log.warning("child %d %s; starting it anew in %g s", child.number, what, wait)


def _note(*_: object) -> None:
    """Do nothing: a signal that has a handler wakes the parent."""
