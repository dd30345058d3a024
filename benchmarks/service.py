"""Processes to measure: their port, their memory, the processor time they took (Linux)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.clients import CannotMeasure

ROOT = Path(__file__).resolve().parent.parent
_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the processor time, user's and system's, that a process has taken, its threads and
    its children, those that have ended among them.
    """
    ticks = 0
    for member in family(pid):
        with contextlib.suppress(FileNotFoundError):  # a child that has just ended
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15] if member == pid else fields[11:13]))
    return ticks / _TICK


def resident_bytes(pid: int | str = "self") -> int:
    """Return the memory of a process that is in RAM, shared pages included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


class Service:
    """A process that serves on a port."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def cpu_seconds(self) -> float:
        """Return the processor time that it and its children have taken."""
        return cpu_seconds(self.process.pid)

    def resident_bytes(self) -> int:
        """Return the memory of it and its children; pages they share are counted for each."""
        return sum(resident_bytes(pid) for pid in family(self.process.pid))


@contextlib.contextmanager
def serving(
    what: str, command: Sequence[str | Path], folder: Path = ROOT, **environment: str
) -> Iterator[Service]:
    """Run *command*, whose first line of output is the port that it serves on.

    Raises `CannotMeasure` if it ends before.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.strip():
            raise CannotMeasure(f"{what} did not start; see above")
        yield Service(process, int(line))
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def application(
    kind: str, url: str, loop: str = "asyncio"
) -> contextlib.AbstractContextManager[Service]:
    """Run an application of `benchmarks.applications`."""
    command = (sys.executable, "-m", "benchmarks.applications", kind, url, loop)
    return serving(f"the application {kind}", command)
