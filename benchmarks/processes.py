"""`python -m benchmarks.processes [--quick]`: `main.py` with one process and with one a core, and
its start-up time and memory beside bare Tornado's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from benchmarks import results
from benchmarks.clients import CLIENTS, CONNECTIONS, CannotMeasure, get_all
from benchmarks.databases import Database, databases
from benchmarks.load import Result, check_wrk, put_load
from benchmarks.service import ROOT, Service
from benchmarks.table import as_text
from tests.helpers.servers import free_port

STARTS = {
    "bare Tornado": ("-m", "benchmarks.bare", "{port}"),
    "main.py, memory": ("main.py", "--port={port}", "--address=127.0.0.1", "--logging=error"),
}


def main() -> None:
    """Measure, print the tables; unless it was quick, keep them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of a second each")
    quick = parser.parse_args().quick
    rounds, seconds = (1, 1) if quick else (3, 3)
    machine = results.machine()
    counts = sorted({1, machine["cores"]})
    rates: dict[str, dict[int, Result]] = {}
    try:
        check_wrk()
        starts = start_up(rounds)
        with databases(("mongodb", "redis")) as found:
            for database in found.values():
                rates |= asyncio.run(_rates(database, counts, rounds, seconds))
    except CannotMeasure as error:
        sys.exit(f"benchmarks.processes: {error}")
    print(results.describe(machine) + "\n")
    kept = {
        title: {str(n): {"rate": r.rate, "p99": r.p99, "cpu": r.cpu} for n, r in of.items()}
        for title, of in rates.items()
    }
    print(as_text(as_table(kept)))
    print(
        f"\nRequests a second of main.py, {CONNECTIONS} connections. With as many processes as "
        "cores there is no core left for the load generator and the database: what more cores "
        "than these bring is not seen here.\n"
    )
    print(as_text(start_table(starts)))
    if not quick:
        results.save("processes", {"machine": machine, "rates": kept, "starts": starts})


@contextlib.contextmanager
def _started(words: Sequence[str]) -> Iterator[Service]:
    """Run a script on a free port; go on when it has answered."""
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
            with _started(words) as service:
                times[name].append((time.monotonic() - begun) * 1000)
                memory[name].append(service.resident_bytes() / 2**20)
    return {
        name: {
            "milliseconds": statistics.median(times[name]),
            "mebibytes": statistics.median(memory[name]),
        }
        for name in STARTS
    }


async def _rates(
    database: Database, counts: Sequence[int], rounds: int, seconds: int
) -> dict[str, dict[int, Result]]:
    """Return the median run of reading and writing for each number of processes."""
    runs: dict[str, dict[int, list[Result]]] = {}
    with contextlib.ExitStack() as stack:
        services = {}
        for count in counts:
            words = (*STARTS["main.py, memory"], f"--store={database.url}", f"--processes={count}")
            services[count] = stack.enter_context(_started(words))
        begun = await get_all(services[1].port, [("/sessions/set/Ada", "")] * CLIENTS)
        cookies = [answer.cookie for answer in begun]
        # Each write changes the name: the same again would be no change.
        works = {
            "read": [("/sessions/get", cookie) for cookie in cookies],
            "write": [(f"/sessions/set/{n}", c) for n in ("Bob", "Eve") for c in cookies],
        }
        for _ in range(rounds):
            for work, requests in works.items():
                for count, service in services.items():
                    (answer,) = await get_all(service.port, requests[:1])
                    result = await asyncio.to_thread(
                        put_load, service, requests, seconds, CONNECTIONS, answer.size
                    )
                    title = f"{work}, {database.name}"
                    runs.setdefault(title, {}).setdefault(count, []).append(result)
        await _check_names(services[1].port, cookies)
    return {
        title: {count: sorted(all)[len(all) // 2] for count, all in of.items()}
        for title, of in runs.items()
    }


async def _check_names(port: int, cookies: Sequence[str]) -> None:
    answers = await get_all(port, [("/sessions/get", cookie) for cookie in cookies])
    if not {answer.body for answer in answers} <= {"Bob", "Eve"}:
        raise CannotMeasure("a name that was written is not there")


def as_table(rates: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Sequence[str]]:
    """Return the cells: a row for each work, its rate for each number of processes."""
    counts = sorted({count for of in rates.values() for count in of}, key=int)
    return [
        ("main.py", *(f"--processes={count}" for count in counts), "times"),
        *(
            (
                title,
                *(f"{of[count]['rate']:,.0f}" for count in counts),
                f"{of[counts[-1]]['rate'] / of[counts[0]]['rate']:.2f}",
            )
            for title, of in rates.items()
        ),
    ]


def start_table(starts: Mapping[str, Mapping[str, float]]) -> list[Sequence[str]]:
    """Return the cells: start-up time and memory."""
    return [
        ("", "first answer, ms", "memory, MiB"),
        *(
            (name, f"{v['milliseconds']:.0f}", f"{v['mebibytes']:.0f}")
            for name, v in starts.items()
        ),
    ]


if __name__ == "__main__":
    main()
