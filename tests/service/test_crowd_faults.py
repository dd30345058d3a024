"""A crowd signs in and out while the server of its store is killed and started again."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app import SessionManager
from stores import open_store
from tests.helpers.crowd import Crowd
from tests.helpers.crowd_report import report
from tests.helpers.database_servers import Mongod, Postgres, Valkey
from tests.helpers.doors import Served
from tests.helpers.rough_store import OtherProcess
from tests.helpers.servers import Server, missing
from tests.helpers.site import Site

KILLS = int(os.environ.get("CROWD_KILLS", "2"))
SEED = int(os.environ.get("CROWD_SEED", random.randrange(10**6)))

PATIENCE = 60.0


@pytest.mark.faults
@pytest.mark.gen_test(timeout=240)
@pytest.mark.parametrize(
    ("kind", "max_per_user"), [(Mongod, 100), (Valkey, 100), (Valkey, 5), (Postgres, 100)]
)
async def test_a_crowd_outlives_a_store_that_is_killed(
    serve: Callable[..., Site], tmp_path: Path, kind: type[Server], max_per_user: int
) -> None:
    programs = {Mongod: ("mongod",), Valkey: ("valkey-server",), Postgres: ("postgres", "initdb")}
    if reason := missing(*programs[kind]):
        pytest.skip(reason)
    server = await asyncio.to_thread(kind, tmp_path)
    over = asyncio.Event()
    try:
        stores = [open_store(server.url) for _ in range(2)]
        doors = [
            Served(serve, SessionManager(view, max_per_user=max_per_user))
            for view in (stores[0], OtherProcess(stores[1], "another"))
        ]
        users = [f"{name}-{os.urandom(4).hex()}" for name in ("ada", "bob", "eve", "kim", "lee")]
        crowd = Crowd(doors, users, random.Random(SEED), think=0.2)
        going = asyncio.ensure_future(crowd.go(over.is_set))
        for _ in range(KILLS):
            await until_answered(crowd, going, 200, 120)
            await asyncio.to_thread(server.kill)
            await until_answered(crowd, going, 503, 40)
            await asyncio.to_thread(server.start)
        await until_answered(crowd, going, 200, 120)
        over.set()
        await going
        found = await crowd.violations(stores[0], max_per_user, is_calm=False)
    finally:
        over.set()
        server.kill()
    assert not found, report(crowd, found, SEED)
    print(f"{server.url}, seed {SEED}, {len(crowd.deeds)} requests: {crowd.counts}")


async def until_answered(
    crowd: Crowd, going: asyncio.Future[None], status: int, times: int
) -> None:
    """Return when that many more requests had that answer."""
    deadline, wanted = time.monotonic() + PATIENCE, answered(crowd, status) + times
    while answered(crowd, status) < wanted:
        if going.done():
            going.result()
        assert time.monotonic() < deadline, f"not {times} times {status}: {crowd.counts}"
        await asyncio.sleep(0.05)


def answered(crowd: Crowd, status: int) -> int:
    return sum(deed.status == status for deed in crowd.deeds)
