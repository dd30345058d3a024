"""Going through all records of a store, in steps that a moment's trouble does not end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from app.operating.terminal import Progress
from app.sessions.errors import SessionUnavailable
from app.sessions.records import CHUNK, Records
from stores.contract import Page, Resealed

TRIES = 4
"""Tries at one step; each asks for half as many records, which may be large."""

PAUSE = 0.5
"""Seconds before the second try at a step, twice as long before the next one."""


Step = TypeVar("Step", Page, Resealed)


async def walk(records: Records, *, shown: bool = True) -> AsyncIterator[Page]:
    """Yield the steps of a scan, and show how far it is. Raises `SessionUnavailable`."""
    async for page in steps(records, records.scan, CHUNK, lambda page: len(page.found), shown):
        yield page


async def steps(
    records: Records,
    do: Callable[[str | None, int], Awaitable[Step]],
    limit: int,
    size_of: Callable[[Step], int],
    shown: bool = True,
) -> AsyncIterator[Step]:
    """Yield what *do* returns for each step of about *limit* records; *size_of* says how many.

    Raises `SessionUnavailable`.
    """
    with Progress((await records.count()).number, shown=shown) as progress:
        after, failed = None, 0
        while True:
            try:
                step = await do(after, limit)
            except SessionUnavailable:
                failed += 1
                if failed == TRIES:
                    raise
                limit = max(1, limit // 2)
                await asyncio.sleep(PAUSE * 2 ** (failed - 1))
                continue
            failed = 0
            if step.anew:
                progress.begin_again()
            progress.add(size_of(step))
            yield step
            after = step.after
            if after is None:
                return
