"""A store that is open while a test uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from stores import Store, StoreUnavailable
from tests.helpers.recovery import eventually

AnyStore = TypeVar("AnyStore", bound=Store)

SHORT = 1.0
"""Seconds; a store's time-out below it is for a test that waits for its end."""

SLOW = ("answer within", "answer in time")
"""What an error says where the server was only slow; a refusal is told at once."""


@asynccontextmanager
async def while_open(store: AnyStore) -> AsyncIterator[AnyStore]:
    """Open the store, and close it in the end.

    The first open may take longer than the time-out: it makes a table, for example, on a machine
    that does much else. It is tried again then.
    """
    try:
        try:
            await store.open()
        except StoreUnavailable as error:
            is_short = store.timeout is not None and store.timeout < SHORT
            if not is_short and not any(words in str(error) for words in SLOW):
                raise
            await eventually(store.open)
        yield store
    finally:
        await store.close()
