"""Load from `wrk`, every answer counted and checked."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.clients import CONNECTIONS, CannotMeasure, check, counts
from benchmarks.service import Service

# Requests are put together once, so that wrk's part is the same for every application.
SCRIPT = """
local requests, at = {}, 0
init = function()
  for _, line in ipairs({%s}) do
    local path, cookie = line:match("(%%S+) (.*)")
    requests[#requests + 1] = wrk.format("GET", path, {Cookie = cookie})
  end
end
request = function()
  at = at %% #requests + 1
  return requests[at]
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests": %%d, "seconds": %%.6f, "bytes": %%d, "p50": %%.3f, "p99": %%.3f, ' ..
    '"errors": {"connect": %%d, "read": %%d, "write": %%d, "timeout": %%d, "status": %%d}}\\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect, e.read, e.write, e.timeout, e.status))
end
"""


@dataclass(frozen=True, order=True)
class Result:
    """What one run of load gave."""

    rate: float
    """Requests a second."""
    p50: float
    """Milliseconds within which half of the requests were answered."""
    p99: float
    """Milliseconds within which 99 of 100 requests were answered."""
    cpu: float
    """Microseconds of processor time that the serving process took for a request."""
    requests: int
    """Requests that were answered."""
    of_bare: float = 1.0
    """The rate, times that of bare Tornado just before."""


def check_wrk() -> None:
    """Raise `CannotMeasure` unless the load generator is there."""
    if shutil.which("wrk") is None:
        raise CannotMeasure("the load comes from wrk, which is not here: apt-get install wrk")


def put_load(
    service: Service,
    requests: Sequence[tuple[str, str]],
    seconds: int,
    connections: int = CONNECTIONS,
    size: int | None = None,
) -> Result:
    """Send *requests*, each a path and a cookie, in turn and over again.

    Raises `CannotMeasure` if any answer was an error, or if their bytes are not those of answers
    of *size* bytes each.
    """
    lines = ", ".join(f'"{path} {cookie}"' for path, cookie in requests)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % lines)
        script.flush()
        cpu = service.cpu_seconds()
        output = subprocess.run(
            [*command, "-s", script.name, f"http://127.0.0.1:{service.port}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        cpu = service.cpu_seconds() - cpu
    _, found, text = output.rpartition("RESULT ")
    if not found:
        raise CannotMeasure(f"wrk wrote no result:\n{output}")
    got = json.loads(text)
    path, answered = requests[0][0], got["requests"]
    if any(got["errors"].values()) or not answered:
        raise CannotMeasure(f"{path}: of {answered} answers, errors were {got['errors']}")
    # Of what was on its way at the end, a part may have arrived.
    if size is not None and not 0 <= got["bytes"] - answered * size <= connections * size:
        raise CannotMeasure(
            f"{path}: {answered} answers of {size} bytes are not {got['bytes']} bytes"
        )
    rate = answered / got["seconds"]
    return Result(rate, got["p50"], got["p99"], cpu / answered * 1e6, answered)


async def measure(
    service: Service,
    path: str,
    cookies: Sequence[str],
    seconds: int,
    connections: int = CONNECTIONS,
) -> Result:
    """Put load on *path* from as many clients as there are cookies.

    Before and after, each client must be answered what is its own; under load each answer must be
    a 200 of the same size; and a write that was acknowledged must be there, once.
    """
    size = await check(service.port, path, cookies)
    before = await counts(service.port, cookies) if path == "/write" else 0
    requests = [(path, cookie) for cookie in cookies]
    result = await asyncio.to_thread(put_load, service, requests, seconds, connections, size)
    if path == "/write":
        written = await counts(service.port, cookies) - before
        # What was on its way when wrk hung up may be written, too.
        if not result.requests <= written <= result.requests + connections:
            raise CannotMeasure(
                f"{path}: {result.requests} writes were acknowledged, {written} are there"
            )
    await check(service.port, path, cookies)
    return result
