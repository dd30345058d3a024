"""`python -m benchmarks.processes [--quick]`: `main.py` with one process and with one a core, and
its start-up time and memory beside bare Tornado's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import results, start_up
from benchmarks.clients import CLIENTS, CONNECTIONS, CannotMeasure, get_all
from benchmarks.databases import Database, databases
from benchmarks.load import check_wrk
from benchmarks.parts import Parts, measure
from benchmarks.service import Service
from benchmarks.start_up import BARE, MAIN, started
from benchmarks.table import as_markdown, as_text

LOOPS = ("asyncio", "uvloop")

NO_TOKEN = "session=" + "A" * 54
"""A cookie of a session's length, for what takes no notice of it."""

LEGEND = (
    "Processor time is for a request: of the processes that serve (the one that started them takes "
    "none), of the load generator, and of the database. With as many processes as cores, these "
    "three share the cores: once all cores are busy, more processes can only take from the others. "
    "What more cores would bring is not seen here. times: the rate, times that of one process."
)

Runs = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""The fields of `Parts`, by the work and the number of processes."""


def main() -> None:
    """Measure, print the tables; unless it was quick, keep them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of a second, one loop")
    quick = parser.parse_args().quick
    rounds, seconds = (1, 1) if quick else (3, 2)
    machine = results.machine()
    counts = sorted({1, machine["cores"]})
    runs: dict[str, Runs] = {}
    try:
        check_wrk()
        starts = start_up.start_up(rounds)
        for loop in LOOPS[:1] if quick else LOOPS:
            with databases(("mongodb", "redis")) as found:
                runs[loop] = asyncio.run(_on_loop(loop, found, counts, rounds, seconds))
    except CannotMeasure as error:
        sys.exit(f"benchmarks.processes: {error}")
    print(results.describe(machine) + "\n")
    for loop, of in runs.items():
        print(as_text(as_table(loop, of)) + "\n")
    print(f"{CONNECTIONS} connections. {LEGEND}\n")
    print(as_text(start_up.as_table(starts)))
    if not quick:
        results.save("processes", {"machine": machine, "runs": runs, "starts": starts})


class _Work(NamedTuple):
    """What is asked of the services of one kind, by their number of processes."""

    services: Mapping[int, Service]
    requests: Sequence[tuple[str, str]]
    database: int | None = None
    """The process id of the database whose time is counted."""


async def _on_loop(
    loop: str, found: Mapping[str, Database], counts: Sequence[int], rounds: int, seconds: int
) -> Runs:
    """Return the median run of each work for each number of processes."""
    runs: dict[str, dict[str, list[Parts]]] = {}
    async with contextlib.AsyncExitStack() as stack:
        works: dict[str, _Work] = {}
        constant = [("/healthz", NO_TOKEN)]
        bare = {n: stack.enter_context(started((*BARE, str(n), loop))) for n in counts}
        works["bare Tornado"] = _Work(bare, constant)
        for database in found.values():
            of = await stack.enter_async_context(_sessions(database, loop, counts))
            works.setdefault("no sessions", of["no sessions"])
            works |= {f"{kind}, {database.name}": of[kind] for kind in ("read", "write")}
        for _ in range(rounds):
            for title, work in works.items():
                for count, service in work.services.items():
                    (answer,) = await get_all(service.port, work.requests[:1])
                    run = await measure(service, work.database, work.requests, seconds, answer.size)
                    runs.setdefault(title, {}).setdefault(str(count), []).append(run)
    return {
        title: {count: dataclasses.asdict(_middle(all)) for count, all in of.items()}
        for title, of in runs.items()
    }


def _middle(runs: Sequence[Parts]) -> Parts:
    return sorted(runs, key=lambda run: run.rate)[len(runs) // 2]


@contextlib.asynccontextmanager
async def _sessions(
    database: Database, loop: str, counts: Sequence[int]
) -> AsyncIterator[dict[str, _Work]]:
    """Run `main.py` over a database; in the end, see that the last names are there."""
    assert database.server is not None
    with contextlib.ExitStack() as stack:
        services = {}
        for count in counts:
            words = (*MAIN, f"--store={database.url}", f"--processes={count}", f"--loop={loop}")
            services[count] = stack.enter_context(started(words))
        begun = await get_all(services[1].port, [("/sessions/set/Ada", "")] * CLIENTS)
        cookies = [answer.cookie for answer in begun]
        # Each write changes the name: the same again would be no change.
        writes = [(f"/sessions/set/{n}", c) for n in ("Bob", "Eve") for c in cookies]
        reads = [("/sessions/get", cookie) for cookie in cookies]
        pid = database.server.pid
        yield {
            "no sessions": _Work(services, [("/healthz", NO_TOKEN)]),
            "read": _Work(services, reads, pid),
            "write": _Work(services, writes, pid),
        }
        answers = await get_all(services[1].port, reads)
        if not {answer.body for answer in answers} <= {"Bob", "Eve"}:
            raise CannotMeasure("a name that was written is not there")


def as_table(loop: str, runs: Runs) -> list[Sequence[str]]:
    """Return the cells: of each work, a row for each number of processes."""
    table: list[Sequence[str]] = [
        (
            *(f"{loop}, processor time in us", "processes", "req/s", "times", "p99 ms"),
            *("service", "load generator", "database", "cores busy", "connections"),
        )
    ]
    for title, of in runs.items():
        counts = sorted(of, key=int)
        for count in counts:
            run = Parts(**of[count])
            table.append(
                (
                    *(title, count, f"{run.rate:,.0f}"),
                    f"{run.rate / of[counts[0]]['rate']:.2f}",
                    f"{run.p99:.1f}",
                    f"{run.service + run.parent:.0f}",
                    *(f"{run.load:.0f}", "" if run.database is None else f"{run.database:.0f}"),
                    f"{run.cores:.2f}",
                    " + ".join(map(str, run.connections)),
                )
            )
    return table


def as_page(section: Mapping[str, Any]) -> str:
    """Return what `results.json` keeps of it as Markdown."""
    return "\n\n".join(
        [
            results.describe(section["machine"]),
            *(as_markdown(as_table(loop, of)) for loop, of in section["runs"].items()),
            f"{CONNECTIONS} connections. {LEGEND}",
            as_markdown(start_up.as_table(section["starts"])),
        ]
    )


if __name__ == "__main__":
    main()
