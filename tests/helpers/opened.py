"""A store that is open while a test uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from stores import Store

AnyStore = TypeVar("AnyStore", bound=Store)


@asynccontextmanager
async def while_open(store: AnyStore) -> AsyncIterator[AnyStore]:
    """Open the store, and close it in the end."""
    try:
        await store.open()
        yield store
    finally:
        await store.close()
