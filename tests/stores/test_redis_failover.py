"""A primary of a Valkey cluster killed under a steady load of writes; its replica takes over."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from stores.contract import Create
from stores.redis import RedisStore
from tests.helpers.database_servers import ValkeyCluster
from tests.helpers.servers import missing
from tests.helpers.writers import Writer, until_written

pytestmark = pytest.mark.faults

SESSIONS = 30


@pytest.mark.gen_test(timeout=90)
async def test_a_replica_takes_over_from_a_killed_primary(tmp_path: Path) -> None:
    if reason := missing("valkey-server"):
        pytest.skip(reason)
    cluster = ValkeyCluster(tmp_path, replicated=True)
    store = RedisStore(cluster.url)
    await store.open()
    try:
        writers = [Writer(store) for _ in range(SESSIONS)]
        await store.write([Create(writer.record) for writer in writers])
        stop = asyncio.Event()
        running = asyncio.gather(*(writer.run(stop) for writer in writers))
        await until_written(writers, 20)
        killed = time.monotonic()
        cluster.primaries[0].kill()
        dead = time.monotonic()
        await asyncio.to_thread(cluster.until_whole)
        await until_written(writers, 20)
        stop.set()
        await running
        struck = [writer for writer in writers if writer.failed]
        assert 0 < len(struck) < SESSIONS  # the other primaries' sessions were written all along
        window = max(max(writer.failed) for writer in struck) - killed
        assert window < 15
        # Replication is asynchronous: what was acknowledged just before the end may be lost.
        lost = {writer: await writer.lost() for writer in writers}
        assert all(writer in struck for writer, times in lost.items() if times)
        assert all(killed - 1 < at < dead + 1 for times in lost.values() for at in times)
        count, total = (sum(map(len, w)) for w in (lost.values(), (w.acknowledged for w in struck)))
        print(f"{len(struck)} of {SESSIONS} sessions failed for {window:.1f} s")
        print(f"lost {count} of {total} acknowledged writes")
    finally:
        await store.close()
        cluster.stop()
