"""`sessions sweep`: removes expired records where the database does not do so itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.operating.operation import Operation, Request, Work
from app.operating.shown import counted
from app.operating.sites import Site
from app.operating.terminal import Progress, out
from app.sessions.records import CHUNK


async def _run(request: Request, sites: Sequence[Site], work: Work) -> int:
    for site in sites:
        if site.store.expires_itself:
            out([f"0 removed, {site.label}: the server removes expired records by itself"])
            continue
        removed, step = 0, CHUNK
        with Progress(None) as progress:
            while step == CHUNK:
                step = await site.records.sweep()
                removed += step
                progress.add(step)
                done = counted(removed, "expired record")
                work.so_far = f"{done} removed; the same command removes the rest"
                await asyncio.sleep(0)
        out([f"{counted(removed, 'expired record')} removed, {site.label}"])
    return 0


SWEEP = Operation(
    "Removes expired records from SQL databases, as the service does once a minute; MongoDB and "
    "Redis do so by themselves.",
    _run,
)
