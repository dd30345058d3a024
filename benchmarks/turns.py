"""Works measured in turn, round after round, each beside a second of bare Tornado."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from benchmarks.clients import CLIENTS_A_CONNECTION, MANY_CONNECTIONS, begin
from benchmarks.goals import Served, Work
from benchmarks.load import Result, measure, put_load
from benchmarks.service import Service, application

NO_COOKIE = "session=" + "A" * 54

CLIENTS = CLIENTS_A_CONNECTION * MANY_CONNECTIONS
"""Clients of each application, enough for the most connections."""

Services = Mapping[Served, tuple[Service, list[str]]]
"""What serves, with the cookies of its clients."""

Start = Callable[[Served, str], AbstractContextManager[Service]]
"""Runs what serves, with the URL of its store."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What to measure, and how long."""

    rounds: int
    seconds: int
    works: Sequence[Work]
    """The first is bare Tornado, beside which each is measured."""
    lone_seconds: float = 0.0
    warm_up: int = 0
    """Seconds of the same load before, for what compiles its code while it runs."""

    def __str__(self) -> str:
        warm_up = f"{self.warm_up} s of warming up and " if self.warm_up else ""
        return (
            f"Medians of {self.rounds} rounds of {self.seconds} s, in turn, in new processes, each "
            f"after {warm_up}a second of bare Tornado; {CLIENTS:,} clients, each with a "
            "session of its own; every answer was checked."
        )


def start_application(served: Served, url: str) -> AbstractContextManager[Service]:
    """Run an application of `benchmarks.applications`."""
    return application(served.kind, url, served.loop)


async def in_turn(
    run: Run,
    urls: Mapping[str, str],
    start: Start = start_application,
    once: Callable[[Services], Awaitable[None]] | None = None,
) -> dict[Work, Result]:
    """Return the median of each work's rounds; *once* is called in the first of them."""
    runs: dict[Work, list[Result]] = {work: [] for work in run.works}
    for number in range(run.rounds):
        async with _services(run.works, urls, start) as services:
            for work in run.works:
                runs[work].append(await _beside_bare(work, services, run))
            if once is not None and number == 0:
                await once(services)
        print(f"round {number + 1} of {run.rounds}", file=sys.stderr)
    return {work: _median(all) for work, all in runs.items()}


@contextlib.asynccontextmanager
async def _services(
    works: Sequence[Work], urls: Mapping[str, str], start: Start
) -> AsyncIterator[Services]:
    """Run what serves the works, in processes of their own.

    For each round anew: by where its memory lies, one process is some per cent faster than another.
    """
    with contextlib.ExitStack() as stack:
        services = {}
        for served in dict.fromkeys(work.served for work in works):
            service = stack.enter_context(start(served, urls[served.store]))
            without = served.kind == "bare"
            cookies = [NO_COOKIE] if without else await begin(service.port, CLIENTS)
            services[served] = service, cookies
        yield services


async def _beside_bare(work: Work, services: Services, run: Run) -> Result:
    """Measure a work, and bare Tornado just before: the machine's speed changes by the second."""
    bare = run.works[0]
    service, cookies = services[work.served]
    if run.warm_up:
        requests = [(work.path, cookie) for cookie in cookies]
        await asyncio.to_thread(put_load, service, requests, run.warm_up, work.connections)
    if work is bare:
        return await measure(service, work.path, cookies, run.seconds, work.connections)
    beside, without = services[bare.served]
    yardstick = await measure(beside, bare.path, without, 1, work.connections)
    result = await measure(service, work.path, cookies, run.seconds, work.connections)
    return dataclasses.replace(result, of_bare=result.rate / yardstick.rate)


def _median(runs: Sequence[Result]) -> Result:
    fields = [field.name for field in dataclasses.fields(Result)]
    return Result(
        **{name: statistics.median(getattr(run, name) for run in runs) for name in fields}
    )
