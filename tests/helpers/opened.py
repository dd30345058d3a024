"""A store that is open while a test uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from stores import Store
from tests.helpers.recovery import eventually

AnyStore = TypeVar("AnyStore", bound=Store)


@asynccontextmanager
async def while_open(store: AnyStore) -> AsyncIterator[AnyStore]:
    """Open the store, and close it in the end.

    The first open may take longer than a test's short time-out: it makes a table, for example.
    """
    try:
        await eventually(store.open)
        yield store
    finally:
        await store.close()
