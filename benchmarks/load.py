"""Load from `wrk` on an application that runs in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CONNECTIONS = 32

# Requests are put together once, so that wrk's part is the same for every application.
CLIENTS = """
local requests, at = {}, 0
init = function()
  for i, cookie in ipairs({%s}) do
    wrk.headers["Cookie"] = cookie
    requests[i] = wrk.format("GET")
  end
end
request = function()
  at = at %% #requests + 1
  return requests[at]
end
"""


class CannotMeasure(Exception):
    """Something a measurement needs is missing or answers wrongly; the text says what."""


@dataclass(frozen=True)
class Result:
    """What one run of load gave."""

    rate: float
    """Requests a second."""
    p99: float
    """Milliseconds within which 99 of 100 requests were answered."""


def check_wrk() -> None:
    """Raise `CannotMeasure` unless the load generator is there."""
    if shutil.which("wrk") is None:
        raise CannotMeasure("the benchmarks need wrk: apt-get install wrk")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def application(kind: str, url: str) -> Iterator[int]:
    """Run an application of `benchmarks.applications`; give its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.applications", kind, str(port), url],
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def get(port: int, path: str, cookie: str = "") -> tuple[str, str]:
    """Return the body of a 200, and the cookie it set or the one that was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    if response.status != 200:
        raise CannotMeasure(f"{path} answered {response.status}")
    return body, (response.getheader("Set-Cookie") or cookie).partition(";")[0]


def measure(
    port: int, path: str, cookies: Sequence[str], seconds: float, connections: int = CONNECTIONS
) -> Result:
    """Put load on *path*, from as many clients as there are cookies; each answer must be right."""
    for cookie in cookies:
        if get(port, path, cookie)[0] != "Ada":
            raise CannotMeasure(f"{path} does not answer Ada")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(CLIENTS % ", ".join(f'"{cookie}"' for cookie in cookies))
        script.flush()
        output = subprocess.run(
            [
                *("wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency"),
                *("-s", script.name, f"http://127.0.0.1:{port}{path}"),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise CannotMeasure(f"{path}: some answers under load were errors:\n{output}")
    if get(port, path, cookies[0])[0] != "Ada":
        raise CannotMeasure(f"{path} does not answer Ada any more")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    assert rate is not None
    assert p99 is not None
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    return Result(float(rate[1]), float(p99[1]) * unit)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise CannotMeasure("an application did not start")
