"""How the time of an operation grows with the number of records in a database."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.clients import CONNECTIONS
from benchmarks.databases import Database, has_store
from benchmarks.latency import in_turn
from stores import Store, open_store
from stores.contract import Create, Record, Update

AT_A_TIME = 2_000
"""Records that are put in together."""


async def measure(
    found: Mapping[str, Database], sizes: Sequence[int], seconds: float = 3.0
) -> dict[str, dict[str, Any]]:
    """Fill each database up to each of *sizes*; return the microseconds of its operations there.

    With them, how it says that it finds a record, and the bytes of one in its files.
    """
    growth: dict[str, dict[str, Any]] = {}
    for database in found.values():
        if not has_store(database):
            continue
        store = open_store(database.url)
        store.timeout = 60.0
        await store.open()
        ids: list[bytes] = []
        times = {}
        for size in sizes:
            await _fill(store, ids, size)
            times[str(size)] = await _operations(store, ids, seconds)
        explain = {"mongodb": _explain_mongodb, "postgresql": _explain_postgresql}[database.name]
        plans, bytes = await explain(database.url, ids)
        growth[database.name] = {"times": times, "plans": plans, "bytes": bytes}
        await store.close()
    return growth


async def _fill(store: Store, ids: list[bytes], size: int) -> None:
    while len(ids) < size:
        now = time.time()
        new = [os.urandom(16) for _ in range(min(AT_A_TIME, size - len(ids)))]
        await store.write(
            [
                Create(Record(id, os.urandom(32), now, now + 86400, {"name": "Ada", "count": 0}))
                for id in new
            ]
        )
        ids += new


async def _operations(store: Store, ids: Sequence[bytes], seconds: float) -> dict[str, float]:
    """Return the microseconds for a record, alone and together with others."""

    async def load(count: int) -> None:
        chosen = set(random.choices(ids, k=count))
        found = await store.load(list(chosen))
        assert len(found) == len(chosen)

    async def write(count: int) -> None:
        chosen = set(random.choices(ids, k=count))
        await store.write([Update(id, {"count": random.randrange(10**6)}) for id in chosen])

    found = await in_turn(
        {
            "read, alone": lambda: load(1),
            f"read, {CONNECTIONS} together": lambda: load(CONNECTIONS),
            "write, alone": lambda: write(1),
            f"write, {CONNECTIONS} together": lambda: write(CONNECTIONS),
        },
        seconds,
    )
    return {name: t / (1 if "alone" in name else CONNECTIONS) for name, t in found.items()}


async def _explain_mongodb(url: str, ids: Sequence[bytes]) -> tuple[list[str], float]:
    from pymongo import AsyncMongoClient

    async with AsyncMongoClient[dict[str, Any]](url) as client:
        database = client.get_default_database()
        find = {"find": "sessions", "filter": {"_id": {"$in": ids[:CONNECTIONS]}}}
        update = {
            "update": "sessions",
            "updates": [{"q": {"_id": ids[0]}, "u": {"$set": {"data.count": 1}}}],
        }
        plans = []
        for name, command in (("find", find), ("update", update)):
            found = await database.command({"explain": command, "verbosity": "executionStats"})
            stats = found["executionStats"]
            stages = _stages(found["queryPlanner"]["winningPlan"])
            plans.append(
                f"{name} {' <- '.join(stages)}, {stats['totalDocsExamined']} documents examined"
            )
        size = await database.command("collStats", "sessions")
    return plans, (size["size"] + size["totalIndexSize"]) / size["count"]


def _stages(plan: Mapping[str, Any]) -> list[str]:
    inner = plan.get("inputStage") or plan.get("queryPlan")
    names = [plan["stage"]] if "stage" in plan else []
    return names + (_stages(inner) if inner else [])


async def _explain_postgresql(url: str, ids: Sequence[bytes]) -> tuple[list[str], float]:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        # The table that was filled, and its primary key, as the database knows them.
        table = await connection.fetchval(
            "SELECT relid::regclass::text FROM pg_stat_user_tables"
            " ORDER BY pg_table_size(relid) DESC LIMIT 1"
        )
        key = await connection.fetchval(
            "SELECT a.attname FROM pg_index i JOIN pg_attribute a"
            " ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
            " WHERE i.indisprimary AND i.indrelid = $1::text::regclass",
            table,
        )
        await connection.execute(f"ANALYZE {table}")
        some = [
            row[0]
            for row in await connection.fetch(f"SELECT {key} FROM {table} LIMIT {CONNECTIONS}")
        ]
        plans = []
        for name, condition, value in ((CONNECTIONS, "= ANY($1)", some), (1, "= $1", some[0])):
            lines = await connection.fetch(
                f"EXPLAIN (COSTS OFF) SELECT * FROM {table} WHERE {key} {condition} FOR UPDATE",
                value,
            )
            plan = " <- ".join(line[0].strip(" ->") for line in lines if "Cond" not in line[0])
            plans.append(f"select of {name}: {plan}")
        size = await connection.fetchval("SELECT pg_total_relation_size($1::text::regclass)", table)
    finally:
        await connection.close()
    return plans, size / len(ids)


def as_table(growth: Mapping[str, Mapping[str, Any]]) -> list[Sequence[str]]:
    """Return the cells: microseconds for a record, for each number of records."""
    sizes = list(dict.fromkeys(size for each in growth.values() for size in each["times"]))
    table: list[Sequence[str]] = [
        ("microseconds for a record", *(f"{int(size):,}" for size in sizes), "times", "bytes each")
    ]
    for database, each in growth.items():
        times = each["times"]
        for name in times[sizes[0]]:
            row = [times[size][name] for size in sizes]
            table.append(
                (
                    f"{database}, {name}",
                    *(f"{t:.0f}" for t in row),
                    f"{row[-1] / row[0]:.2f}",
                    f"{each['bytes']:.0f}",
                )
            )
    return table
