"""`python -m benchmarks.instructions [--quick]`: how many instructions one request takes.

Of the service over the memory store, for a client that is alone, and what each feature adds when it
is switched on. Nothing else tells a difference of one per cent; see `benchmarks.callgrind`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks import features, results
from benchmarks.asked import KINDS, Request
from benchmarks.callgrind import Counted, check_valgrind, counted
from benchmarks.clients import CannotMeasure
from benchmarks.instruction_tables import LOOPS, MAIN, feature_table, main_table, misses, note
from benchmarks.table import as_text

APPLICATIONS: Mapping[str, tuple[str, ...]] = {
    "bare": ("constant", "constant, cookie"),
    "ours": (
        *("constant, cookie", "read", "write", "signed-in read", "signed-in write"),
        *("begin", "sign in"),
    ),
    "touched": ("read",),
    "with-listener": ("read", "write", "begin", "sign in"),
    "with-metrics": ("constant, cookie", "read", "write"),
    "sealed": ("read", "write"),
    "without-agent": ("sign in",),
    "limited": ("sign in, one user",),
    "logged": ("constant, cookie", "read"),
    "without-log": ("constant, cookie", "read"),
    "without-counts": ("read", "write"),
}
"""What is counted in each."""


@dataclass(frozen=True)
class Run:
    """How often each is counted."""

    warm_up: int
    """Requests before, in which Python adapts its code to what it meets."""
    requests: int
    """Requests of which the mean is taken."""
    times: int


FULL = Run(warm_up=128, requests=64, times=3)
QUICK = Run(warm_up=24, requests=8, times=2)


def main() -> None:
    """Count, print the tables; unless it was quick, keep them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests, asyncio's loop only")
    run = QUICK if parser.parse_args().quick else FULL
    loops = LOOPS if run is FULL else LOOPS[:1]
    started, machine = time.monotonic(), results.machine()
    try:
        check_valgrind()
        counts = count_all(run, loops)
    except CannotMeasure as error:
        sys.exit(f"benchmarks.instructions: {error}")
    print(f"{note(machine, counts)}\n")
    print(as_text(main_table(counts)) + "\n")
    print(as_text(feature_table(counts)))
    for line in misses(counts):
        print(line)
    print(f"\nIt took {time.monotonic() - started:.0f} s.")
    if run is FULL:
        results.save("instructions", {"machine": machine, "counts": counts})


def count_all(run: Run, loops: Sequence[str]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Count in every application; on a loop but the first, what is in the first table only.

    Raises `CannotMeasure`.
    """
    works = {(loops[0], name): kinds for name, kinds in APPLICATIONS.items()}
    for loop in loops[1:]:
        for name, kind in MAIN.values():
            works[loop, name] = (*works.get((loop, name), ()), kind)
    counts: dict[str, dict[str, dict[str, list[float]]]] = {loop: {} for loop in loops}

    def run_one(work: tuple[str, str]) -> dict[str, list[float]]:
        return of_application(*work, works[work], run)

    # Instructions are the same however many processes share the cores.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for (loop, name), found in zip(works, pool.map(run_one, works), strict=True):
            counts[loop][name] = found
            print(f"{name} on {loop} is counted", file=sys.stderr)
    return counts


def of_application(loop: str, name: str, kinds: Sequence[str], run: Run) -> dict[str, list[float]]:
    """Return, for each of *kinds*, the instructions of a request, as often as *run* says.

    Raises `CannotMeasure`, for an answer that is not the right one, too.
    """
    settle = 1.5 * features.GATHER if name == "logged" else 0.0
    found: dict[str, list[float]] = {}
    with counted(("-m", "benchmarks.features", name, loop)) as service:
        works = {kind: KINDS[kind](service) for kind in kinds}
        service.begin()
        for kind, requests in works.items():
            _send(service, requests, run.warm_up)
            service.count(settle)
            found[kind] = []
            for _ in range(run.times):
                _send(service, requests, run.requests)
                found[kind].append(service.count(settle) / run.requests)
    return found


def _send(service: Counted, requests: Iterator[Request], number: int) -> None:
    for request in itertools.islice(requests, number):
        _, body = service.get(request.path, *request.headers)
        if body != request.body:
            raise CannotMeasure(f"{request.path} answered {body!r}, not {request.body!r}")


if __name__ == "__main__":
    main()
