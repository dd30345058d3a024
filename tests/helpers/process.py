"""`main.py`, or a script like it, as a process of its own: started, watched, stopped in time."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.helpers.loops import OF_SERVICES

ROOT = Path(__file__).resolve().parents[2]

PATIENCE = 20.0
"""Seconds after which a process that does not do what it should has failed the test."""


def environment(**variables: str) -> dict[str, str]:
    """Return the environment for a process, without what would configure the service."""
    configures = re.compile("(PORT|SESSION_STORE)(_FILE)?$|SERVICE_")
    inherited = {k: v for k, v in os.environ.items() if not configures.match(k)}
    ours = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **OF_SERVICES}
    return {**inherited, **ours, **variables}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `main.py` to its end, with these environment variables."""
    return run_script(ROOT / "main.py", *arguments, **variables)


def run_script(script: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run *script* to its end, with these environment variables."""
    return subprocess.run(
        [sys.executable, script, *arguments],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def with_configure(folder: Path, text: str) -> Path:
    """Put a `main.py` with a `configure.py` of this *text* into *folder*, and return it.

    A program's own folder comes first on its path, so that this is like an edited checkout.
    """
    (folder / "configure.py").write_text(text)
    return Path(shutil.copy(ROOT / "main.py", folder))


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Return when *condition* holds; fail, saying *what* was waited for, when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def children(pid: int) -> list[int]:
    """Return the processes that *pid* has started (Linux only)."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in listed.read_text().split()] if listed.exists() else []


class Service:
    """A process that serves; its port is read from its start-up line."""

    def __init__(self, log: Path, command: list[str], variables: dict[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What the process has written so far."""
        return self.log.read_text()

    @property
    def port(self) -> int:
        found = re.search(r"serving on (?:.* )?http://[^ ]*:(\d+)", self.output)
        assert found, self.output
        return int(found[1])

    def wait_for(self, text: str) -> None:
        """Return when the process has written *text*."""

        def written() -> bool:
            assert self.process.poll() is None or text in self.output, self.output
            return text in self.output

        until(written, f"{text!r} in the output")

    def signal(self, signum: int = signal.SIGTERM) -> None:
        self.process.send_signal(signum)

    def exit_status(self, seconds: float = PATIENCE) -> int:
        """Return the process's exit status, which must come within *seconds*."""
        return self.process.wait(seconds)

    def stop(self) -> None:
        """Stop as a supervisor does, and fail unless that is clean."""
        self.signal()
        assert self.exit_status() == 0, self.output

    def kill(self) -> None:
        """End the process and all it has started, whatever they are doing."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def get(self, path: str, cookie: str = "") -> Answer:
        """Send one GET on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            return ask(connection, path, cookie)
        finally:
            connection.close()


class Answer:
    """What a service answered: `status`, `body`, and the session `cookie` if it set one."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read().decode()
        given = re.match(r"session=([^;]*)", response.headers.get("Set-Cookie", ""))
        self.cookie = given[1] if given else ""


def ask(connection: http.client.HTTPConnection, path: str, cookie: str = "") -> Answer:
    """Send one GET on *connection*."""
    connection.request("GET", path, headers={"Cookie": f"session={cookie}"} if cookie else {})
    return Answer(connection.getresponse())


Start = Callable[..., Service]


def starting(directory: Path) -> Iterator[Start]:
    """Yield what starts services that log into *directory*; end them all afterwards.

    `start("--port=0", script=None, **environment)` returns when the service has said where it
    listens. For a fixture: `yield from starting(tmp_path)`.
    """
    services: list[Service] = []

    def start(*arguments: str, script: Path | None = None, **variables: str) -> Service:
        command = [str(script or ROOT / "main.py"), *arguments]
        service = Service(directory / f"service-{len(services)}.log", command, variables)
        services.append(service)
        service.wait_for("serving on ")
        return service

    try:
        yield start
    finally:
        for service in services:
            service.kill()
