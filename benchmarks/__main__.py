"""`python -m benchmarks [--quick]`: every work, interleaved, as one table and one picture."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence

from benchmarks import latency, picture, results
from benchmarks.clients import CLIENTS_A_CONNECTION, CONNECTIONS, CannotMeasure, begin
from benchmarks.databases import Database, databases, has_store
from benchmarks.goals import QUICK_WORKS, WORKS, Work
from benchmarks.load import Result, check_wrk, measure
from benchmarks.service import Service, application
from benchmarks.table import LEGEND, as_text, of_loads

NO_COOKIE = "session=" + "A" * 54


@dataclasses.dataclass(frozen=True)
class Run:
    """What to measure, and how long."""

    rounds: int
    seconds: int
    lone_seconds: float
    works: Sequence[Work]

    @property
    def clients(self) -> int:
        """Clients of each application."""
        return CLIENTS_A_CONNECTION * max(work.connections for work in self.works)


FULL = Run(rounds=5, seconds=2, lone_seconds=3.0, works=WORKS)
QUICK = Run(rounds=1, seconds=1, lone_seconds=0.4, works=QUICK_WORKS)


def main() -> None:
    """Measure, print the tables; unless it was quick, keep them and draw the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of a second each")
    run = QUICK if parser.parse_args().quick else FULL
    started, machine = time.monotonic(), results.machine()
    try:
        check_wrk()
        with databases() as found:
            loads, lone, gathering = asyncio.run(_measure_all(found, run))
    except CannotMeasure as error:
        sys.exit(f"benchmarks: {error}")
    print(results.describe(machine))
    print(
        f"Medians of {run.rounds} rounds of {run.seconds} s, in turn, in new processes, each after "
        f"a second of bare Tornado; {CONNECTIONS} connections, {run.clients} clients, each with a "
        "session of its own; every answer was checked.\n"
    )
    print(as_text(of_loads(loads)))
    print(f"\n{LEGEND}\n")
    print(as_text(latency.as_table(lone, gathering)))
    print(f"\nIt took {time.monotonic() - started:.0f} s.")
    if run is FULL:
        picture.draw(loads)
        results.save(
            "load",
            {
                "machine": machine,
                "run": {"rounds": run.rounds, "seconds": run.seconds},
                "rows": {work.title: dataclasses.asdict(result) for work, result in loads.items()},
                "lone": lone,
                "gathering": gathering,
            },
        )


Microseconds = Mapping[str, Mapping[str, float]]
Services = Mapping[tuple[str, str], tuple[Service, list[str]]]


async def _measure_all(
    found: Mapping[str, Database], run: Run
) -> tuple[dict[Work, Result], Microseconds, Microseconds]:
    urls = {"memory": "memory:", **{name: each.url for name, each in found.items()}}
    ours = {"memory", *(name for name, each in found.items() if has_store(each))}
    works = [w for w in run.works if w.store in (ours if w.kind == "sessions" else urls)]
    runs: dict[Work, list[Result]] = {work: [] for work in works}
    lone: dict[str, Mapping[str, float]] = {}
    for number in range(run.rounds):
        async with _services(works, urls, run.clients) as services:
            for work in works:
                runs[work].append(await _beside_bare(work, services, run.seconds))
            if number == 0:
                lone = await _alone(works, services, run.lone_seconds)
        print(f"round {number + 1} of {run.rounds}", file=sys.stderr)
    gathering = {
        name: await latency.of_gathering(found[name], run.lone_seconds)
        for name in found
        if name in ours
    }
    return {work: _median(all) for work, all in runs.items()}, lone, gathering


@contextlib.asynccontextmanager
async def _services(
    works: Sequence[Work], urls: Mapping[str, str], clients: int
) -> AsyncIterator[Services]:
    """Run the applications of *works*, in processes of their own.

    For each round anew: by where its memory lies, one process is some per cent faster than another.
    """
    with contextlib.ExitStack() as stack:
        services = {}
        for kind, store in dict.fromkeys((work.kind, work.store) for work in works):
            service = stack.enter_context(application(kind, urls[store]))
            cookies = [NO_COOKIE] if kind == "bare" else await begin(service.port, clients)
            services[kind, store] = service, cookies
        yield services


async def _alone(
    works: Sequence[Work], services: Services, seconds: float
) -> dict[str, Mapping[str, float]]:
    """Measure what a request of a client that is alone takes, beside the hand-written handler."""
    lone: dict[str, Mapping[str, float]] = {}
    for work in works:
        if work.by_hand is not None:
            pair = {"ours": (work.kind, work.store), "by hand": (work.by_hand, work.store)}
            asked = {k: (services[v][0].port, services[v][1][0]) for k, v in pair.items()}
            lone[work.title] = await latency.of_requests(asked, work.path, seconds)
    return lone


async def _beside_bare(work: Work, services: Services, seconds: int) -> Result:
    """Measure a work, and bare Tornado just before: the machine's speed changes by the second."""
    bare = WORKS[0]
    service, cookies = services[work.kind, work.store]
    if work is bare:
        return await measure(service, work.path, cookies, seconds, work.connections)
    beside, without = services[bare.kind, bare.store]
    yardstick = await measure(beside, bare.path, without, 1, work.connections)
    result = await measure(service, work.path, cookies, seconds, work.connections)
    return dataclasses.replace(result, of_bare=result.rate / yardstick.rate)


def _median(runs: Sequence[Result]) -> Result:
    fields = [field.name for field in dataclasses.fields(Result)]
    return Result(
        **{name: statistics.median(getattr(run, name) for run in runs) for name in fields}
    )


if __name__ == "__main__":
    main()
