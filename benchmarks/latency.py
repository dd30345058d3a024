"""What a client that is alone waits: ours against a hand-written driver call, and gathering's part.

Both are measured in turn (ours, by hand, ours, by hand ...), so that whatever else the machine
does is shared by both; medians.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from app.sessions.gateway import Gateway
from benchmarks.clients import Connection
from benchmarks.databases import Database
from stores import open_store
from stores.contract import Create, Record

Call = Callable[[], Awaitable[Any]]


async def in_turn(calls: Mapping[str, Call], seconds: float) -> dict[str, float]:
    """Run the calls one after another, over and over; return the median microseconds of each."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, call in calls.items():
            start = time.perf_counter()
            await call()
            times[name].append((time.perf_counter() - start) * 1e6)
    return {name: statistics.median(all) for name, all in times.items()}


async def of_requests(
    services: Mapping[str, tuple[int, str]], path: str, seconds: float
) -> dict[str, float]:
    """Return the median microseconds of a GET of *path* for each of these ports and cookies."""
    connections = {name: Connection(port) for name, (port, _) in services.items()}

    def call(name: str) -> Call:
        return lambda: connections[name].get(path, services[name][1])

    found = await in_turn({name: call(name) for name in services}, seconds)
    for connection in connections.values():
        await connection.close()
    return found


async def of_gathering(database: Database, seconds: float) -> dict[str, float]:
    """Return the microseconds of one read: by a driver call, by the store, and gathered.

    What gathering adds is the difference of the last two.
    """
    store = open_store(database.url)
    gateway = Gateway(store)
    now = time.time()
    record = Record(os.urandom(16), os.urandom(32), now, now + 3600, {"name": "Ada"})
    await gateway.open()
    try:
        await gateway.write(Create(record))
        driver = await _driver_call(database)
        return await in_turn(
            {
                "driver": driver,
                "store": lambda: store.load((record.id,)),
                "gathered": lambda: gateway.load(record.id),
            },
            seconds,
        )
    finally:
        await gateway.close()


async def _driver_call(database: Database) -> Call:
    """Return a read by primary key, as one writes it with the driver."""
    if database.name == "mongodb":
        from motor.motor_asyncio import AsyncIOMotorClient

        documents: Any = AsyncIOMotorClient(database.url).get_default_database()["lone"]
        await documents.insert_one({"_id": "ada", "name": "Ada"})
        return lambda: documents.find_one({"_id": "ada"})
    if database.name == "redis":
        import redis.asyncio

        client: Any = redis.asyncio.Redis.from_url(database.url)
        await client.hset("lone", "name", "Ada")
        return lambda: client.hgetall("lone")
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(database.url.replace("postgresql:", "postgresql+asyncpg:"))
    query = sa.text("SELECT name FROM lone WHERE id = :id")
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE lone (id text PRIMARY KEY, name text)"))
        await connection.execute(sa.text("INSERT INTO lone VALUES ('ada', 'Ada')"))

    async def read() -> object:
        async with engine.connect() as connection:
            return (await connection.execute(query, {"id": "ada"})).scalar_one()

    return read


def added_by_gathering(found: Mapping[str, float]) -> float:
    """Return what gathering adds as a share of one driver call."""
    return (found["gathered"] - found["store"]) / found["driver"]


def as_table(
    requests: Mapping[str, Mapping[str, float]], gathering: Mapping[str, Mapping[str, float]]
) -> list[Sequence[str]]:
    """Return the cells: what requests and what calls take, in microseconds."""
    table: list[Sequence[str]] = [("a client alone, us", "ours", "by hand", "ours / by hand")]
    for title, found in requests.items():
        ours, by_hand = found["ours"], found["by hand"]
        table.append((title, f"{ours:.0f}", f"{by_hand:.0f}", f"{ours / by_hand:.2f}"))
    for name, found in gathering.items():
        table.append(
            (
                f"gathering adds, {name}",
                f"{found['gathered'] - found['store']:.0f}",
                f"{found['driver']:.0f}",
                f"{added_by_gathering(found):.2f}",
            )
        )
    return table
