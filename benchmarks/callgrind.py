"""Counts the instructions of a process, the system's left out, by valgrind's tool callgrind.

A clock tells 5 per cent on a machine that does nothing else. Instructions are the same whatever
else the machine does, as long as the process does the same: so there is one request at a time, and
the next is sent when the process waits for it. Else one more or less would be read at a time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.clients import CannotMeasure
from benchmarks.service import ROOT

ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    # One instruction that fills or copies a block is counted once for each byte of it. Written out
    # as a loop, which fills 32 bytes at a time, it is counted for about what it takes.
    "GLIBC_TUNABLES": ":".join(
        f"glibc.cpu.x86_rep_{name}_threshold=1000000000" for name in ("stosb", "movsb")
    ),
}

PATIENCE = 120.0
"""Seconds to wait at most for the process, which is slow."""


def check_valgrind() -> None:
    """Raise `CannotMeasure` unless valgrind is there."""
    if shutil.which("valgrind") is None or shutil.which("vgdb") is None:
        raise CannotMeasure("instructions are counted by valgrind: apt-get install valgrind")


class Counted:
    """A process that serves on *port* while its instructions are counted."""

    def __init__(self, process: subprocess.Popen[str], port: int, folder: Path) -> None:
        self.port = port
        self._process = process
        self._folder = folder
        self._dumps = 0
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._connection.close()

    def begin(self) -> None:
        """Begin to count."""
        self._tell("instrumentation", "on")

    def count(self, settle: float = 0.0) -> int:
        """Return the instructions since the count before, and in the *settle* seconds from now on,
        in which the process may finish what it has put off."""
        time.sleep(settle)
        self._await_idleness()
        self._dumps += 1
        self._tell("dump", f"count {self._dumps}")
        text = (self._folder / f"counts.{self._dumps}").read_text()
        found = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
        assert found is not None
        return int(found[1])

    def get(self, path: str, *headers: str) -> tuple[str, str]:
        """Send a GET when the process waits for one; return the cookie that was set, and the body.

        Raises `CannotMeasure` if the answer is no 200.
        """
        self._await_idleness()
        lines = (f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", "")
        self._connection.sendall("\r\n".join(lines).encode())
        received = b""
        while (ends := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        head = received[:ends].decode()
        length = re.search(r"^Content-Length: (\d+)", head, re.MULTILINE)
        if not head.startswith("HTTP/1.1 200 ") or length is None:
            raise CannotMeasure(f"{path} answered {head.splitlines()[0]!r}")
        while len(received) < ends + 4 + int(length[1]):
            received += self._receive()
        cookie = re.search(r"^Set-Cookie: ([^;]*)", head, re.MULTILINE)
        return "" if cookie is None else cookie[1], received[ends + 4 :].decode()

    def _receive(self) -> bytes:
        received = self._connection.recv(65536)
        if not received:
            raise CannotMeasure("the application hung up")
        return received

    def _await_idleness(self) -> None:
        """Return when the process sleeps, which is when it waits for a request."""
        end = time.monotonic() + PATIENCE
        while _state(self._process.pid) != "S":
            if time.monotonic() > end or self._process.poll() is not None:
                raise CannotMeasure("the application does not come to rest")
            time.sleep(0.0002)

    def _tell(self, *words: str) -> None:
        command = ["vgdb", f"--pid={self._process.pid}", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode:
            raise CannotMeasure(f"valgrind does not listen to {' '.join(words)}: {done.stderr}")


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


@contextlib.contextmanager
def counted(words: Sequence[str]) -> Iterator[Counted]:
    """Run `python` with these *words*, whose first line of output is its port, under callgrind.

    Raises `CannotMeasure` if it does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = ("--tool=callgrind", "--instr-atstart=no", "-q")
        out = f"--callgrind-out-file={folder}/counts"
        process = subprocess.Popen(
            ["valgrind", *options, out, sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line.strip():
                raise CannotMeasure(f"{' '.join(words)} did not start under valgrind; see above")
            service = Counted(process, int(line), Path(folder))
            yield service
            service.close()
        finally:
            process.kill()
            process.wait(10)
            process.stdout.close()
