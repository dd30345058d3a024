"""What starting takes: bare Tornado and `main.py`, to the first answer, and their memory."""

from __future__ import annotations

import contextlib
import http.client
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.clients import CannotMeasure
from benchmarks.service import ROOT, Service
from tests.helpers.servers import free_port

BARE = ("-m", "benchmarks.bare", "{port}")
MAIN = ("main.py", "--port={port}", "--address=127.0.0.1", "--logging=error")

STARTS = {"bare Tornado": BARE, "main.py, memory": MAIN}


@contextlib.contextmanager
def started(words: Sequence[str]) -> Iterator[Service]:
    """Run a script on a free port; go on when it has answered.

    Raises `CannotMeasure` if it does not.
    """
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, *(word.format(port=port) for word in words)],
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    try:
        _wait_for_answer(port, process)
        yield Service(process, port)
    finally:
        process.terminate()
        process.wait(20)


def _wait_for_answer(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.005)
        finally:
            connection.close()
    raise CannotMeasure("a script did not start; see above")


def start_up(rounds: int) -> dict[str, dict[str, float]]:
    """Return, for bare Tornado and `main.py`, milliseconds to the first answer and MiB in RAM."""
    times: dict[str, list[float]] = {name: [] for name in STARTS}
    memory: dict[str, list[float]] = {name: [] for name in STARTS}
    for _ in range(rounds * 3):
        for name, words in STARTS.items():
            begun = time.monotonic()
            with started(words) as service:
                times[name].append((time.monotonic() - begun) * 1000)
                memory[name].append(service.resident_bytes() / 2**20)
    return {
        name: {
            "milliseconds": statistics.median(times[name]),
            "mebibytes": statistics.median(memory[name]),
        }
        for name in STARTS
    }


def as_table(starts: Mapping[str, Mapping[str, float]]) -> list[Sequence[str]]:
    """Return the cells: start-up time and memory."""
    return [
        ("", "first answer, ms", "memory, MiB"),
        *(
            (name, f"{v['milliseconds']:.0f}", f"{v['mebibytes']:.0f}")
            for name, v in starts.items()
        ),
    ]
