"""Whose processor time it is, and who has the connections, while a load is on (Linux)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import CONNECTIONS
from benchmarks.load import put_load
from benchmarks.service import Service, cpu_seconds, family

ESTABLISHED = "01"
"""State of a connection in `/proc/net/tcp`."""


@dataclass(frozen=True)
class Parts:
    """One run of load on a service of one or more processes.

    Processor time is in microseconds for a request, the system's on behalf of a process included.
    """

    rate: float
    """Requests a second."""
    p99: float
    """Milliseconds within which 99 of 100 requests were answered."""
    load: float
    """Processor time of the load generator."""
    service: float
    """Processor time of the processes that serve."""
    parent: float
    """Processor time of the process that started them, if it serves nobody itself."""
    database: float | None
    """Processor time of the database; `None` where there is none."""
    connections: tuple[int, ...]
    """How many each of the processes had in the middle of the run."""

    @property
    def cores(self) -> float:
        """How many cores were busy with it."""
        of_all = self.load + self.service + self.parent + (self.database or 0.0)
        return self.rate * of_all / 1e6


async def measure(
    service: Service,
    database: int | None,
    requests: Sequence[tuple[str, str]],
    seconds: int,
    size: int,
) -> Parts:
    """Put load on *service*, whose database, if any, is the process of that id.

    Raises `CannotMeasure` as `put_load` does.
    """
    parent, *children = family(service.process.pid)
    serving = children or [parent]
    before = _looked(parent, children, database)
    putting = asyncio.to_thread(put_load, service, requests, seconds, CONNECTIONS, size)
    task = asyncio.ensure_future(putting)
    await asyncio.wait([task], timeout=seconds / 2)
    connections = tuple(_connections(pid, service.port) for pid in serving)
    result = await task
    after = _looked(parent, children, database)
    load, of_parent, of_children, of_database = (
        (now - then) / result.requests * 1e6 for now, then in zip(after, before, strict=True)
    )
    if not children:
        of_parent, of_children = 0.0, of_parent
    return Parts(
        *(result.rate, result.p99, load, of_children, max(of_parent, 0.0)),
        *(None if database is None else of_database, connections),
    )


def _looked(
    parent: int, children: Sequence[int], database: int | None
) -> tuple[float, float, float, float]:
    """Return the seconds so far of the load generators that have ended, a parent, its children, and
    the database."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    of_children = sum(map(cpu_seconds, children))
    return (
        ended.ru_utime + ended.ru_stime,
        cpu_seconds(parent) - of_children,
        of_children,
        0.0 if database is None else cpu_seconds(database),
    )


def _connections(pid: int, port: int) -> int:
    """Return how many clients of *port* a process is connected to."""
    inodes = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == ESTABLISHED and int(fields[1].rpartition(":")[2], 16) == port:
            inodes.add(f"socket:[{fields[9]}]")
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(descriptor) in inodes
    return count
