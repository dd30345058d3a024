"""`python -m benchmarks.cost [--quick]`: what a request costs the database.

Read from the database's own counters: for a client alone, where each request is a call of its own,
and under the load of 32 connections, where what arrives together goes together.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import results
from benchmarks.clients import CONNECTIONS, CannotMeasure, begin, check
from benchmarks.counters import look
from benchmarks.databases import Database, databases, has_store
from benchmarks.load import check_wrk, put_load
from benchmarks.service import application
from benchmarks.table import as_text

BY_HAND = {"mongodb": "hand-motor", "redis": "hand-redis", "postgresql": "hand-sql"}

Cost = Mapping[str, float | None]


def main() -> None:
    """Measure, print the table; unless it was quick, keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a second for each line, not five")
    quick = parser.parse_args().quick
    machine = results.machine()
    costs: dict[str, Cost] = {}
    try:
        check_wrk()
        with databases() as found:
            for database in found.values():
                costs |= asyncio.run(_measure(database, 1 if quick else 5))
    except CannotMeasure as error:
        sys.exit(f"benchmarks.cost: {error}")
    print(results.describe(machine))
    print("What one request costs the database, by the database's own counters.\n")
    print(as_text(as_table(costs)))
    print(
        "\ncalls: commands of MongoDB, reads of a socket by Redis (a pipeline is one), "
        "transactions of PostgreSQL, which does not count bytes. log: bytes of the write-ahead "
        "log. db CPU: microseconds of the database's processor time, app CPU: of ours. A write of "
        "ours reads the session first; one by hand does not."
    )
    if not quick:
        results.save("cost", {"machine": machine, "rows": costs})


async def _measure(database: Database, seconds: int) -> dict[str, Cost]:
    costs: dict[str, Cost] = {}
    kinds = {"by hand": BY_HAND[database.name]}
    if has_store(database):
        kinds = {"ours": "sessions", **kinds}
    for title, kind in kinds.items():
        with application(kind, database.url) as service:
            cookies = await begin(service.port)
        for path in ("/read", "/write"):
            for connections in (1, CONNECTIONS):
                before = await look(database)
                with application(kind, database.url) as service:
                    # One round of the clients, so that it has opened what it needs.
                    size = await check(service.port, path, cookies, connections)
                    requests = [(path, cookie) for cookie in cookies]
                    result = await asyncio.to_thread(
                        put_load, service, requests, seconds, connections, size
                    )
                # Now that it has ended, PostgreSQL has counted all that it did.
                cost = (await look(database)).since(before, result.requests + len(cookies))
                name = f"{path[1:]}, {database.name}, {title}, {connections} at a time"
                costs[name] = {**cost, "app_cpu": round(result.cpu, 1), "rate": result.rate}
    return costs


def as_table(costs: Mapping[str, Cost]) -> list[Sequence[str]]:
    """Return the cells of the table, its header first."""
    return [
        (
            *("a request", "calls", "read", "written", "bytes in", "bytes out", "log"),
            *("db CPU us", "app CPU us"),
        ),
        *((name, *_cells(cost)) for name, cost in costs.items()),
    ]


def _cells(cost: Mapping[str, Any]) -> Iterator[str]:
    for name in ("calls", "read", "written"):
        yield f"{cost[name]:.2f}"
    for name in ("bytes_in", "bytes_out", "log_bytes", "cpu", "app_cpu"):
        yield "-" if cost[name] is None else f"{cost[name]:.0f}"


if __name__ == "__main__":
    main()
