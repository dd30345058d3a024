"""`python -m benchmarks.peers [--quick]`: ours and other session systems, in turn in one run."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
import time
from contextlib import AbstractContextManager

from benchmarks import results
from benchmarks.clients import CannotMeasure
from benchmarks.databases import databases, has_store
from benchmarks.goals import Served
from benchmarks.load import check_wrk
from benchmarks.peers.programs import PEERS
from benchmarks.peers.works import PEER_WORKS
from benchmarks.service import Service
from benchmarks.table import as_text, of_loads
from benchmarks.turns import Run, in_turn, start_application


def main() -> None:
    """Install, measure, print the table; unless it was quick, keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of a second each")
    quick = parser.parse_args().quick
    started = time.monotonic()
    prepared = {name for name in PEERS if _is_prepared(name)}
    machine = results.machine()
    try:
        check_wrk()
        with databases(("mongodb", "redis")) as found:
            urls = {"memory": "memory:", **{name: each.url for name, each in found.items()}}
            ours = {"memory", *(name for name, each in found.items() if has_store(each))}
            works = [
                work
                for work in PEER_WORKS
                if work.store in (ours if work.ours else urls)
                and (work.kind in prepared or work.kind not in PEERS)
            ]
            run = Run(1, 1, works, warm_up=1) if quick else Run(3, 2, works, warm_up=2)
            loads = asyncio.run(in_turn(run, urls, _start))
    except CannotMeasure as error:
        sys.exit(f"benchmarks.peers: {error}")
    versions = "; ".join(PEERS[name].versions() for name in PEERS if name in prepared)
    print(results.describe(machine))
    print(f"{versions}.\n{run}\n")
    print(as_text(of_loads(loads)))
    print(f"\nof bare: of bare Tornado on asyncio.\nIt took {time.monotonic() - started:.0f} s.")
    if not quick:
        results.save(
            "peers",
            {
                "machine": machine,
                "versions": versions,
                "run": {"rounds": run.rounds, "seconds": run.seconds},
                "rows": {work.title: dataclasses.asdict(result) for work, result in loads.items()},
            },
        )


def _is_prepared(name: str) -> bool:
    """Install what a peer needs; tell whether it is there, and if not, why."""
    try:
        PEERS[name].prepare()
    except CannotMeasure as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return False
    return True


def _start(served: Served, url: str) -> AbstractContextManager[Service]:
    if served.kind in PEERS:
        return PEERS[served.kind].start(served, url)
    return start_application(served, url)


if __name__ == "__main__":
    main()
