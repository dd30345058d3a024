"""Going through all records of a store, in steps that a moment's trouble does not end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from app.operating.terminal import Progress
from app.sessions.errors import SessionUnavailable
from app.sessions.records import CHUNK, Records
from stores.contract import Page

TRIES = 4
"""Tries at one step; each asks for half as many records, which may be large."""

PAUSE = 0.5
"""Seconds before the second try at a step, twice as long before the next one."""


async def walk(records: Records, *, shown: bool = True) -> AsyncIterator[Page]:
    """Yield the steps of a scan, and show how far it is. Raises `SessionUnavailable`."""
    with Progress((await records.count()).number, shown=shown) as progress:
        after, limit, failed = None, CHUNK, 0
        while True:
            try:
                page = await records.scan(after, limit)
            except SessionUnavailable:
                failed += 1
                if failed == TRIES:
                    raise
                limit = max(1, limit // 2)
                await asyncio.sleep(PAUSE * 2 ** (failed - 1))
                continue
            failed = 0
            if page.anew:
                progress.begin_again()
            progress.add(len(page.found))
            yield page
            after = page.after
            if after is None:
                return
