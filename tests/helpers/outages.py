"""What a store over a server must do while the server does not answer, or the store is closed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from stores import Store, StoreUnavailable
from stores.contract import Create
from tests.helpers.opened import while_open
from tests.helpers.records import load_record, make_record
from tests.helpers.recovery import eventually
from tests.helpers.servers import Server

Operation = Callable[[], Awaitable[Any]]


async def check_deadline(operations: Sequence[Operation], reason: str, seconds: float) -> None:
    """Check that each operation fails for this reason, and within so many seconds."""
    for operation in operations:
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match=reason):
            await operation()
        assert time.monotonic() - begun < seconds


async def check_late_start(server: Server, store: Store, reason: str) -> None:
    """Check that the store, which opened in vain, finds its server when this starts."""
    server.kill()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=reason):
            await store.open()
    server.start()  # in this thread, with which it ends
    await eventually(store.open, seconds=10)
    assert await store.load([bytes(16)]) == {}
    await store.close()


async def check_reopening(store: Store) -> None:
    """Check that a store that is not open says so, and opens again."""
    record = make_record()
    async with while_open(store):
        await store.open()
        await store.write([Create(record)])
    await store.close()
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.load([record.id])
    await store.open()
    assert await load_record(store, record.id) == record
    await store.close()
