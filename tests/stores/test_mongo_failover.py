"""A replica set of three whose primary is killed while the service writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import SessionManager
from stores import MongoStore
from tests.helpers.database_servers import MongoReplicaSet
from tests.helpers.servers import missing
from tests.helpers.site import Site
from tests.helpers.steady_load import ROUTES, SteadyLoad

pytestmark = pytest.mark.faults

TIMEOUT = 2.0


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[MongoReplicaSet]:
    if reason := missing("mongod"):
        pytest.skip(reason)
    replica_set = MongoReplicaSet(tmp_path)
    yield replica_set
    replica_set.stop()


@pytest.mark.gen_test(timeout=120)
async def test_no_write_is_lost_when_the_primary_is_killed(
    replica_set: MongoReplicaSet,
    serve: Callable[..., Site],
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = MongoStore(replica_set.url, timeout=TIMEOUT)
    site = serve(ROUTES, SessionManager(store))
    async with SteadyLoad(site, longest=2 * TIMEOUT + 3) as load:
        primary = replica_set.primary()
        assert primary is not None
        before = load.acknowledged
        killed = time.monotonic()
        await asyncio.to_thread(primary.kill)
        await load.until_well()
        served_again = time.monotonic() - killed
        # What the killed node wrote and nobody confirmed is rolled back when it returns.
        await asyncio.to_thread(primary.start)
        await load.until_well()
        after = load.acknowledged
    await load.check()
    window = load.window()
    record_property("seconds of 503", round(window, 2))
    with capsys.disabled():
        print(
            f"\nprimary killed: {load.refused} answers of 503 within {window:.1f} s, all served "
            f"again after {served_again:.1f} s; {after - before} writes acknowledged meanwhile"
        )


@pytest.mark.gen_test(timeout=120)
async def test_what_the_killed_primary_alone_has_was_not_acknowledged(
    replica_set: MongoReplicaSet, serve: Callable[..., Site]
) -> None:
    store = MongoStore(replica_set.url, timeout=TIMEOUT)
    site = serve(ROUTES, SessionManager(store))
    async with SteadyLoad(site, longest=2 * TIMEOUT + 3) as load:
        primary = replica_set.primary()
        assert primary is not None
        others = [node for node in replica_set.nodes if node is not primary]
        for node in others:
            await asyncio.to_thread(node.kill)
        await load.until_refused(1)  # until then, writes reach the primary alone
        await asyncio.to_thread(primary.kill)
        for node in others:
            await asyncio.to_thread(node.start)
        await load.until_well()
        await asyncio.to_thread(primary.start)
        await load.until_well()
    await load.check()
