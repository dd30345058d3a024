"""`sessions count`: how many there are."""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.operating.operation import Flag, Operation, Request, Work
from app.operating.shown import counted, record_in
from app.operating.sites import Site
from app.operating.terminal import out
from app.operating.walk import walk
from stores.contract import NO_SECRET, NO_SESSION


async def _run(request: Request, sites: Sequence[Site], work: Work) -> int:
    for site in sites:
        if request.has("exact"):
            out([await _exact(site)])
            continue
        number, is_exact = await site.records.count()
        estimate = "" if is_exact else ", an estimate"
        what = "sessions, one for each user, expired ones; --exact tells them apart"
        out([f"{counted(number, 'record')}{estimate}, {site.label}: {what}"])
    return 0


async def _exact(site: Site) -> str:
    now = time.time()
    sessions = users = expired = unreadable = 0
    async for page in walk(site.records):
        if page.anew:
            sessions = users = expired = unreadable = 0
        for record in map(record_in, page.found.values()):
            if record is None:
                unreadable += 1
            elif record.secret_hash == NO_SECRET:
                users += 1
            elif record.secret_hash not in NO_SESSION and site.is_alive(record, now):
                sessions += 1
            else:
                expired += 1
    return (
        f"{counted(sessions, 'session')}, {site.label}; beside them {users} lists of users' "
        f"sessions, {expired} expired and {unreadable} unreadable records"
    )


COUNT = Operation(
    "Prints the number first. It is the store's own estimate, where that is cheaper than to count, "
    "and says so.",
    _run,
    [Flag("exact", "go through all records, and tell sessions from what else is there")],
)
