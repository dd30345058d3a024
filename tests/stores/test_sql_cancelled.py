"""A caller that leaves while SQLite's file is being opened."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from stores import StoreUnavailable
from stores.sql import SQLStore

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")


class Connection(sqlite3.Connection):
    """A connection that tells whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True
        super().close()


class Opening:
    """Makes SQLite's connections, each when it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[Connection] = []
        self.begun = asyncio.Event()
        self.may_end = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._connect = sqlite3.connect
        monkeypatch.setattr("aiosqlite.core.sqlite3.connect", self)

    def __call__(self, *args: Any, **kwargs: Any) -> sqlite3.Connection:
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self.may_end.wait(30)
        self.made.append(self._connect(*args, factory=Connection, **kwargs))
        return self.made[-1]


@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("leaves", ["is cancelled", "has waited long enough"])
async def test_who_leaves_during_the_opening_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaves: str
) -> None:
    opening = Opening(monkeypatch)
    timeout = 30.0 if leaves == "is cancelled" else 0.2
    store = SQLStore(f"sqlite:///{tmp_path}/sessions.db", timeout=timeout)
    asking = asyncio.ensure_future(store.open())
    await opening.begun.wait()
    if leaves == "is cancelled":
        asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled() or isinstance(asking.exception(), StoreUnavailable)
    opening.may_end.set()
    await store.close()
    assert [connection.closed for connection in opening.made] == [True]
