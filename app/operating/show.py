"""`sessions show`: one session, what is known of it and the keys of its data."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence

from app.operating.chosen import Choice
from app.operating.operation import Flag, Operation, Request, Work
from app.operating.shown import Listed, listed, moment, record_in
from app.operating.sites import Site
from app.operating.terminal import out, say
from stores.contract import NO_SESSION, Record, Unopened, Unreadable


async def _run(request: Request, sites: Sequence[Site], work: Work) -> int:
    choice = Choice(request)
    (id,) = choice.ids
    for site in sites:
        found = (await site.records.load([id])).get(id)
        if isinstance(found, Unreadable):
            say(f"the record of session {request.words[0]} cannot be read: {found.reason}")
            return 1
        if isinstance(found, Unopened):
            say(f"its values do not open, and are shown as they are kept: {found}")
        record = record_in(found)
        if record is None or record.secret_hash in NO_SESSION:
            continue
        for session in await listed(site, [record]):
            out(_lines(site, record, session, values=request.has("values")))
            return 0
    say(f"there is no session {request.words[0]}")
    return 1


def _lines(site: Site, record: Record, session: Listed, *, values: bool) -> Iterator[str]:
    alive = site.is_alive(record, time.time())
    facts = {
        "id": session.id,
        "manager": site.label,
        "user": session.user,
        "created": moment(record.created),
        "signed in": None if session.signed_in is None else moment(session.signed_in),
        "last seen": moment(session.last_seen),
        "expires" if alive else "expired": moment(session.expires),
        "new token": None if record.rotated is None else moment(record.rotated),
        "cookie": "outlives the browser" if record.persistent else "ends with the browser",
        "agent": session.agent,
        "address": session.address,
        "label": session.label,
    }
    yield from (f"{name:10} {'-' if fact is None else fact}" for name, fact in facts.items())
    yield f"{'keys':10} {len(record.data)}"
    for key, value in record.data.items():
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        size = f"  {key}  {len(text.encode())} bytes"
        yield f"{size}  {text}" if values else size


SHOW = Operation(
    "Prints what is known of one session, and the keys of its data with their sizes as JSON.",
    _run,
    [Flag("values", "print the values as well, which are private to the user")],
    words="ID",
    least=1,
    most=1,
)
