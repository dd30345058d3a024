"""Bad days of a MongoDB server: stopped, killed, late; and how many connections there are."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from app.sessions.errors import SessionUnavailable
from app.sessions.gateway import Gateway
from stores import MongoStore, StoreUnavailable
from stores.contract import Create, Outcome, Update
from tests.helpers import recovery
from tests.helpers.database_servers import Mongod
from tests.helpers.opened import while_open
from tests.helpers.outages import Operation, check_deadline, check_late_start
from tests.helpers.records import load_record, load_records, make_record
from tests.helpers.servers import missing
from tests.helpers.sockets import connections_to

DONE = Outcome.DONE
eventually = functools.partial(recovery.eventually, seconds=10)
TIMEOUT = 0.5
SLACK = 1.5
"""Seconds; PyMongo itself looks at the time twice a second."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mongod]:
    """A server of the test's own, to do harm to."""
    if reason := missing("mongod"):
        pytest.skip(reason)
    server = Mongod(tmp_path)
    yield server
    server.kill()


@asynccontextmanager
async def opened(kind: str, url: str) -> AsyncIterator[MongoStore]:
    """A store, open, through motor or through PyMongo's own client."""
    source: Any = AsyncMongoClient(url) if kind == "pymongo" else url
    try:
        async with while_open(MongoStore(source, timeout=TIMEOUT)) as store:
            yield store
    finally:
        if source is not url:
            await source.close()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("kind", ["motor", "pymongo"])
async def test_a_stopped_server_fails_within_the_deadline(server: Mongod, kind: str) -> None:
    """A stopped server fails within the deadline, and all is well when it goes on."""
    record = make_record(data={"n": 0})
    async with opened(kind, server.url) as store:
        await store.write([Create(record)])
        server.pause()
        operations: list[Operation] = [
            lambda: store.load([record.id]),
            lambda: store.load([record.id, bytes(16)]),
            lambda: store.write([Update(record.id, {"n": 1})]),
            store.ping,
            store.open,
        ]
        await check_deadline(operations, "MongoDB does not answer", TIMEOUT + SLACK)
        server.resume()
        found = await eventually(lambda: load_records(store, [record.id]))
        assert found[record.id].data in ({"n": 0}, {"n": 1})  # it may arrive late
        assert await eventually(lambda: store.write([Update(record.id, {"n": 2})])) == [DONE]
        assert (await load_record(store, record.id)).data == {"n": 2}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("kind", ["motor", "pymongo"])
async def test_a_killed_server_loses_nothing_acknowledged(server: Mongod, kind: str) -> None:
    """A killed server loses nothing that it acknowledged, and is found again."""
    records = [make_record(data={"n": 0}) for _ in range(50)]
    async with opened(kind, server.url) as store:
        await store.write([Create(record) for record in records])
        await store.write([Update(record.id, {"n": 1}) for record in records])
        server.kill()
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await store.load([records[0].id])
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await store.write([Update(records[0].id, {"n": 2})])
        server.start()
        found = await eventually(lambda: load_records(store, [r.id for r in records]))
        assert [found[record.id].data for record in records] == [{"n": 1}] * 50
        last = Update(records[0].id, {"n": 3})
        assert await eventually(lambda: store.write([last])) == [DONE]


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("kind", ["motor", "pymongo"])
@pytest.mark.faults
async def test_an_outage_is_told_with_what_the_driver_found(server: Mongod, kind: str) -> None:
    """Also when the gateway gives a call up before the driver does."""
    async with opened(kind, server.url) as store:
        gateway = Gateway(store)
        await gateway.open()
        server.kill()
        for call in (
            lambda: gateway.load(bytes(16)),
            lambda: gateway.write(Update(bytes(16), {"n": 1})),
            lambda: gateway.ping(),
        ):
            with pytest.raises(SessionUnavailable, match="nobody listens there: start MongoDB"):
                await call()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_closing_does_not_wait_for_a_server_that_is_away(server: Mongod, how: str) -> None:
    async with opened("motor", server.url) as store:
        await asyncio.gather(*(store.load([bytes([n] * 16)]) for n in range(5)))
        getattr(server, how)()
        begun = time.monotonic()
    assert time.monotonic() - begun < TIMEOUT + SLACK


@pytest.mark.gen_test(timeout=30)
async def test_a_server_that_starts_after_the_store_is_found(server: Mongod) -> None:
    await check_late_start(server, MongoStore(server.url, timeout=TIMEOUT), "does not answer")


@pytest.mark.gen_test(timeout=30)
async def test_connections_are_bounded_also_while_nobody_answers(server: Mongod) -> None:
    records = [make_record() for _ in range(200)]
    async with opened("motor", server.url) as store:
        await asyncio.gather(*(store.write([Create(record)]) for record in records[:20]))
        for pause in (False, True):
            if pause:
                server.pause()
            loads = [store.load([record.id]) for record in records]
            await asyncio.gather(*loads, return_exceptions=True)
            # One a thread of motor's, of which there are five a core, and three for the monitor.
            assert connections_to(server.port) <= 5 * (os.cpu_count() or 1) + 3
        server.resume()
        await eventually(lambda: store.load([records[0].id]))
    deadline = time.monotonic() + 10
    while connections_to(server.port):  # the driver's threads are not waited for
        assert time.monotonic() < deadline, "connections were left open"
        await asyncio.sleep(0.02)
