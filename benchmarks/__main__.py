"""`python -m benchmarks [--quick]`: every work, interleaved, as one table and one picture."""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.goals import WORKS, Work
from benchmarks.load import CannotMeasure, Result, application, check_wrk, get, measure
from benchmarks.picture import draw
from tests.database_servers import Mongod, Postgres, Valkey

CLIENTS = 64
PICTURE = Path(__file__).with_name("results.svg")


def main() -> None:
    """Measure, print the table, draw the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="one round of a second each")
    arguments = parser.parse_args()
    rounds, seconds = (1, 1.0) if arguments.quick else (5, 3.0)
    try:
        check_wrk()
        results = _measure_all(rounds, seconds)
    except CannotMeasure as error:
        sys.exit(f"benchmarks: {error}")
    medians = {work: _median(runs) for work, runs in results.items()}
    print(_table(medians))
    if not arguments.quick:
        draw(PICTURE, medians)
        print(f"picture: {PICTURE.name}")


def _measure_all(rounds: int, seconds: float) -> dict[Work, list[Result]]:
    results: dict[Work, list[Result]] = {work: [] for work in WORKS}
    with contextlib.ExitStack() as stack:
        urls = stack.enter_context(_stores())
        ports: dict[tuple[str, str], int] = {}
        cookies: dict[tuple[str, str], list[str]] = {}
        for work in WORKS:
            key = (work.kind, work.store)
            if key not in ports:
                ports[key] = stack.enter_context(application(work.kind, urls[work.store]))
                cookies[key] = _clients(ports[key], work.kind)
        for number in range(rounds):
            for work in WORKS:
                key = (work.kind, work.store)
                results[work].append(measure(ports[key], work.path, cookies[key], seconds))
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return results


@contextlib.contextmanager
def _stores() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        servers = {}
        for name, make in (("mongodb", Mongod), ("valkey", Valkey), ("postgresql", Postgres)):
            servers[name] = make(Path(folder) / name)
            stack.callback(servers[name].stop)
        yield {"memory": "memory:", **{name: server.url for name, server in servers.items()}}


def _clients(port: int, kind: str) -> list[str]:
    """Return a cookie for each client, whose session then has a name."""
    if kind == "bare":
        return ["session=" + "A" * 54] * CLIENTS
    if kind == "sessions":
        return [get(port, "/write")[1] for _ in range(CLIENTS)]
    get(port, "/write")
    return ["session=" + "A" * 54] * CLIENTS


def _median(runs: list[Result]) -> Result:
    return Result(
        statistics.median(run.rate for run in runs), statistics.median(run.p99 for run in runs)
    )


def _table(medians: dict[Work, Result]) -> str:
    bare = medians[WORKS[0]].rate
    lines = [f"{'':34}{'req/s':>8}{'p99 ms':>8}{'of bare':>9}{'goal':>7}"]
    for work, result in medians.items():
        ratio = result.rate / bare
        goal = "" if work.goal is None else f"{work.goal:7.2f} {'' if ratio >= work.goal else '<'}"
        line = f"{work.title:34}{result.rate:8.0f}{result.p99:8.1f}{ratio:9.2f}{goal}"
        lines.append(line.rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
