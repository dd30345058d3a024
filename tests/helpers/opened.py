"""A store that is open while a test uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from stores import Store
from tests.helpers.recovery import eventually

AnyStore = TypeVar("AnyStore", bound=Store)

SHORT = 1.0
"""Seconds; a store's time-out below it is for a test that waits for its end."""


@asynccontextmanager
async def while_open(store: AnyStore) -> AsyncIterator[AnyStore]:
    """Open the store, and close it in the end.

    The first open may take longer than a time-out that is short for the test's sake: it makes a
    table, for example. It is tried again then.
    """
    try:
        if store.timeout is not None and store.timeout < SHORT:
            await eventually(store.open)
        else:
            await store.open()
        yield store
    finally:
        await store.close()
