"""`python -m benchmarks.sealing [--quick]`: what sealed values cost, without HTTP and databases."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from app import SessionManager
from benchmarks import results
from benchmarks.table import as_text
from stores import EncryptedStore, MemoryStore, Store
from stores.json_text import decode, encode

SIZES = (16, 1024, 64 * 1024, 1024 * 1024)
"""Characters of the values."""

CLIENTS = 2_000
"""Sessions that take turns, more than keys are kept at hand."""


def main() -> None:
    """Measure, print the table; unless it was quick, keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sealing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the rounds")
    quick = parser.parse_args().quick
    rounds = 5 if quick else 25
    machine = results.machine()
    rows = {**_values(rounds), **asyncio.run(_requests(rounds))}
    print(results.describe(machine) + "\n")
    print(as_text(as_table(rows)))
    if not quick:
        results.save("sealing", {"machine": machine, "rows": rows})


def _sealed(inner: Store) -> EncryptedStore:
    return EncryptedStore(inner, {1: os.urandom(32)})


def _values(rounds: int) -> dict[str, list[float]]:
    """Return, for a value of each size, the microseconds as JSON text and sealed."""
    rows: dict[str, list[float]] = {}
    sealer = _sealed(MemoryStore()).sealer
    id = os.urandom(16)
    for size in SIZES:
        plain = {"value": os.urandom(size // 2).hex()}
        text, sealed = encode(plain), sealer.seal(id, plain)
        works: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "seal": (partial(encode, plain), partial(sealer.seal, id, plain)),
            "open": (partial(decode, text), partial(sealer.open, id, sealed)),
        }
        times = max(1, 20_000 // (size // 16 + 20))
        for name, both in works.items():
            pairs = [(_time(both[0], times), _time(both[1], times)) for _ in range(rounds)]
            rows[f"{name} a value of {size:,} characters"] = _medians(pairs)
    return rows


def _time(work: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times * 1e6


async def _requests(rounds: int) -> dict[str, list[float]]:
    """Return what a request asks of the manager, of sessions with three values, in microseconds."""
    managers = [SessionManager(MemoryStore()), SessionManager(_sealed(MemoryStore()))]
    headers: list[list[str]] = []
    for manager in managers:
        headers.append([])
        for n in range(CLIENTS):
            session = await manager.load(None)
            session.update({"name": f"Ada{n}", "count": 0, "cart": [{"sku": "x", "price": 9.5}]})
            headers[-1].append(str(await session.commit()).partition(";")[0])
    rows = {}
    for name, work in (("read", _read), ("write", _write)):
        pairs = []
        for _ in range(rounds):
            a, b = [await _time_all(work, m, h) for m, h in zip(managers, headers, strict=True)]
            pairs.append((a, b))
        rows[f"{name} a session of three values"] = _medians(pairs)
    return rows


async def _time_all(
    work: Callable[[SessionManager, str], Awaitable[None]],
    manager: SessionManager,
    headers: Sequence[str],
) -> float:
    began = time.process_time()
    for header in headers:
        await work(manager, header)
    return (time.process_time() - began) / len(headers) * 1e6


async def _read(manager: SessionManager, header: str) -> None:
    _ = (await manager.load(header))["name"]


async def _write(manager: SessionManager, header: str) -> None:
    session = await manager.load(header)
    session["count"] += 1  # type: ignore[operator]
    await session.commit()


def _medians(pairs: Sequence[tuple[float, float]]) -> list[float]:
    return [round(statistics.median(each), 2) for each in zip(*pairs, strict=True)]


def as_table(rows: dict[str, Any]) -> list[Sequence[str]]:
    """Return the cells of the table, its header first."""
    return [
        ("processor time, us", "plain", "sealed", "more"),
        *(
            (name, f"{plain:.1f}", f"{sealed:.1f}", f"{sealed - plain:.1f}")
            for name, (plain, sealed) in rows.items()
        ),
    ]


if __name__ == "__main__":
    main()
