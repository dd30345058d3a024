"""Waiting for a store to be available again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stores import StoreUnavailable

Answer = TypeVar("Answer")


async def eventually(operation: Callable[[], Awaitable[Answer]], seconds: float = 20) -> Answer:
    """Return what *operation* returns as soon as the store is available again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await operation()
        except StoreUnavailable:
            assert time.monotonic() < deadline, "the store did not recover"
            await asyncio.sleep(0.02)
