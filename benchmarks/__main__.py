"""`python -m benchmarks [--loop=uvloop] [--quick]`: every work of a loop, in turn, as one table."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
import time
from collections.abc import Mapping
from typing import Any

from app.loops import loop_factory
from benchmarks import latency, results
from benchmarks.clients import CannotMeasure
from benchmarks.databases import Database, databases, has_store
from benchmarks.goals import TABLES, Work, quick
from benchmarks.load import Result, check_wrk
from benchmarks.table import LEGEND, as_text, of_loads
from benchmarks.turns import Run, Services, in_turn
from stores import ConfigurationError

Microseconds = Mapping[str, Mapping[str, float]]


def main() -> None:
    """Measure, print the tables; unless it was quick, keep them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of a second each")
    parser.add_argument("--loop", choices=list(TABLES), default="asyncio", help="fewer on uvloop")
    options = parser.parse_args()
    works = TABLES[options.loop]
    # On uvloop's, a client that is alone is not measured.
    rounds, lone_seconds = (5, 3.0) if options.loop == "asyncio" else (3, 0.0)
    run = Run(rounds, 2, works, lone_seconds)
    if options.quick:
        run = Run(1, 1, quick(works), lone_seconds / 8)
    started, machine = time.monotonic(), results.machine()
    try:
        check_wrk()
        loop_factory(options.loop)
        with databases() as found:
            loads, lone, gathering = asyncio.run(_measure_all(found, run))
    except (CannotMeasure, ConfigurationError) as error:
        sys.exit(f"benchmarks: {error}")
    print(results.describe(machine))
    print(f"{run}\n")
    print(as_text(of_loads(loads)))
    print(f"\n{LEGEND}\n")
    if lone:
        print(as_text(latency.as_table(lone, gathering)) + "\n")
    print(f"It took {time.monotonic() - started:.0f} s.")
    if not options.quick:
        section: dict[str, Any] = {
            "machine": machine,
            "run": {"rounds": run.rounds, "seconds": run.seconds},
            "rows": {work.title: dataclasses.asdict(result) for work, result in loads.items()},
        }
        if lone:
            section |= {"lone": lone, "gathering": gathering}
        results.save(results.SECTION_OF_LOOP[options.loop], section)


async def _measure_all(
    found: Mapping[str, Database], run: Run
) -> tuple[dict[Work, Result], Microseconds, Microseconds]:
    urls = {"memory": "memory:", **{name: each.url for name, each in found.items()}}
    with_store = {"memory", *(name for name, each in found.items() if has_store(each))}
    run = dataclasses.replace(
        run, works=[w for w in run.works if w.store in (with_store if w.ours else urls)]
    )
    lone: dict[str, Mapping[str, float]] = {}

    async def measure_alone(services: Services) -> None:
        """Measure what a request of a client that is alone takes, beside the handler by hand."""
        for work in run.works:
            if work.by_hand is not None:
                both = {
                    "ours": services[work.served],
                    "by hand": services[work.served._replace(kind=work.by_hand)],
                }
                asked = {k: (service.port, cookies[0]) for k, (service, cookies) in both.items()}
                lone[work.title] = await latency.of_requests(asked, work.path, run.lone_seconds)

    loads = await in_turn(run, urls, once=measure_alone if run.lone_seconds else None)
    gathering = {
        name: await latency.of_gathering(found[name], run.lone_seconds)
        for name in found
        if name in with_store and run.lone_seconds
    }
    return loads, lone, gathering


if __name__ == "__main__":
    main()
