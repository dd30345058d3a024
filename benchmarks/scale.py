"""`python -m benchmarks.scale [--quick]`: what changes when there are a million sessions.

In the memory of one process here; in databases, see `benchmarks.scale_databases`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app import SessionManager
from app.sessions.sweeper import Sweeper
from app.sessions.token import encode, hash_secret, new_secret
from benchmarks import results, scale_databases
from benchmarks.clients import CannotMeasure
from benchmarks.databases import databases
from benchmarks.service import resident_bytes
from benchmarks.table import as_text
from stores import MemoryStore
from stores.contract import Create, Record, Update

GOAL_BYTES = 400
"""A session takes fewer of them, of the process's memory."""

GOAL_PAUSE = 28.0
"""Most milliseconds that the sweeper may keep the loop from its other work."""

GOAL_TIMES = 1.3
"""Most that the many may make an operation slower than the few."""

SAMPLE = 20_000
"""Clients that come, at random, of all that there are."""

RECENT = 10_000
"""Sessions that begin before the first of them comes back."""

BATCH = 2_000
"""Operations timed together."""


def main() -> None:
    """Measure, print the tables; unless it was quick, keep them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sessions, and less")
    quick = parser.parse_args().quick
    many = 100_000 if quick else 1_000_000
    machine = results.machine()
    memory = asyncio.run(_memory(1_000, many))
    print(results.describe(machine) + "\n")
    print(as_text(as_table(memory)) + "\n")
    sizes = (1_000, 10_000) if quick else (1_000, 100_000, 1_000_000)
    try:
        with databases(("mongodb", "postgresql")) as found:
            growth = asyncio.run(scale_databases.measure(found, sizes))
    except CannotMeasure as error:
        sys.exit(f"benchmarks.scale: {error}")
    print(as_text(scale_databases.as_table(growth)))
    for name, each in growth.items():
        print(f"\n{name}, with {sizes[-1]:,} records, explains: {'; '.join(each['plans'])}")
    if not quick:
        results.save("scale", {"machine": machine, "memory": memory, "databases": growth})


@dataclass(frozen=True)
class Filled:
    """A memory store with many sessions, and the cookies of some."""

    manager: SessionManager
    cookies: Sequence[str]
    bytes: float
    """Memory that one session takes, by the growth of the process."""


async def _memory(few: int, many: int) -> dict[str, float]:
    # In a new process: what one process has freed would count for the next store.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        bytes_new = pool.apply(_bytes_new, (many,))
    small, large = await _filled(few), await _filled(many)
    reads: dict[str, Callable[[], Awaitable[None]]] = {
        "few": lambda: _read(small),
        "many": lambda: _read(large),
    }
    writes: dict[str, Callable[[], Awaitable[None]]] = {
        "few": lambda: _write(small),
        "many": lambda: _write(large),
    }
    read, write = await _in_turn(reads), await _in_turn(writes)
    store = large.manager.store
    assert isinstance(store, MemoryStore)
    bytes_counted = store.size / len(store)
    begun = time.perf_counter()
    gc.collect()
    collection = time.perf_counter() - begun
    # All of them end within a minute or so, as they began.
    sweeper = Sweeper(store.sweep, clock=lambda: time.time() + 30 * 24 * 3600)
    begun = time.perf_counter()
    pause = await _longest_pause(sweeper.sweep())
    if len(store):
        raise CannotMeasure(f"{len(store)} sessions outlived their end")
    return {
        "few": few,
        "many": many,
        "bytes_new": bytes_new,
        "bytes": large.bytes,
        "bytes_counted": bytes_counted,
        "read_few_us": read["few"],
        "read_many_us": read["many"],
        "write_few_us": write["few"],
        "write_many_us": write["many"],
        "collection_ms": collection * 1e3,
        "sweep_s": time.perf_counter() - begun,
        "pause_ms": pause * 1e3,
    }


def _record(number: int, now: float, secret: bytes) -> Record:
    data: dict[str, Any] = {"name": f"Ada{number}", "count": number}
    id = random.randbytes(16)
    return Record(id, hash_secret("session", secret), now, now + 24 * 3600, data)


async def _filled(count: int, *, come_back: bool = True) -> Filled:
    """Return a store with *count* sessions, each of which came back soon and was written to.

    It has the bounds that it always has, which leave room for so many.
    """
    store = MemoryStore(max_sessions=count, max_bytes=count * 1024)
    manager = SessionManager(store)
    chosen = set(random.sample(range(count), min(count, SAMPLE)))
    cookies = []
    gc.collect()
    before = resident_bytes()
    recent: list[bytes] = []
    for number in range(count):
        secret = new_secret()
        record = _record(number, time.time(), secret)
        await store.write((Create(record),))
        if number in chosen:
            cookies.append(f"{manager.cookie.name}={encode(record.id, secret)}")
        if come_back:
            recent.append(bytes(bytearray(record.id)))  # a cookie's, not the store's own object
        if len(recent) == RECENT or (recent and number == count - 1):
            for id in recent:
                await store.load((id,))
                await store.write((Update(id, {"count": -1}, seen=time.time()),))
            recent.clear()
    del recent
    gc.collect()
    if len(store) != count:
        raise CannotMeasure(f"the store has {len(store)} sessions, not {count}")
    return Filled(manager, cookies, (resident_bytes() - before) / count)


def _bytes_new(count: int) -> float:
    """Return what a session takes that never came back."""
    return asyncio.run(_filled(count, come_back=False)).bytes


async def _read(filled: Filled) -> None:
    for cookie in random.choices(filled.cookies, k=BATCH):
        session = await filled.manager.load(cookie)
        if session["name"] is None:
            raise CannotMeasure("a session is not there")


async def _write(filled: Filled) -> None:
    for cookie in random.choices(filled.cookies, k=BATCH):
        session = await filled.manager.load(cookie)
        session["count"] = -1 if session["count"] == 0 else 0
        await session.commit()


async def _in_turn(works: Mapping[str, Callable[[], Awaitable[None]]]) -> dict[str, float]:
    """Return the microseconds of processor time of one operation: medians of runs in turn."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(11):
        for name, work in works.items():
            begun = time.process_time()
            await work()
            times[name].append((time.process_time() - begun) / BATCH * 1e6)
    return {name: statistics.median(all) for name, all in times.items()}


async def _longest_pause(work: Awaitable[None]) -> float:
    """Return the most seconds that the loop did not turn while *work* was done."""
    task = asyncio.ensure_future(work)
    longest, last = 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    await task
    return longest


def as_table(found: Mapping[str, float]) -> list[Sequence[str]]:
    """Return the cells of the table; a `!` marks what misses its goal."""
    few, many = found["few"], found["many"]
    times = {work: found[f"{work}_many_us"] / found[f"{work}_few_us"] for work in ("read", "write")}

    def bytes(name: str) -> str:
        return f"{found[name]:.0f}" + "!" * (found[name] >= GOAL_BYTES)

    return [
        ("memory store, one process", f"{few:,.0f}", f"{many:,.0f}", "times", "goal"),
        *(
            (
                f"{work} of a session, us",
                f"{found[f'{work}_few_us']:.1f}",
                f"{found[f'{work}_many_us']:.1f}",
                f"{times[work]:.2f}" + "!" * (times[work] > GOAL_TIMES),
                f"{GOAL_TIMES}",
            )
            for work in times
        ),
        ("bytes a session that never came back", "", bytes("bytes_new"), "", f"{GOAL_BYTES}"),
        ("bytes a session that was written to", "", bytes("bytes"), "", f"{GOAL_BYTES}"),
        ("bytes that the store counts for it", "", f"{found['bytes_counted']:.0f}", "", ""),
        ("removing all when they have expired, s", "", f"{found['sweep_s']:.1f}", "", ""),
        (
            *("longest pause of the loop meanwhile, ms", ""),
            f"{found['pause_ms']:.1f}" + "!" * (found["pause_ms"] > GOAL_PAUSE),
            *("", f"{GOAL_PAUSE:.0f}"),
        ),
        ("a full garbage collection, ms", "", f"{found['collection_ms']:.0f}", "", ""),
    ]


if __name__ == "__main__":
    main()
