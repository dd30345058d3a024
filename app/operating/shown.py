"""A session as operators see it: what its user's list of devices shows of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from app.missing_keys import is_sealed
from app.operating.sites import Site
from app.printable import printable
from app.sessions import token, user_record
from app.sessions.records import Found
from app.sessions.soundness import clamped
from app.sessions.user_record import Entry
from stores.contract import NO_SESSION, Record, Unopened

MOST_NAMED = 100
"""Records of a kind that are named, one by one."""

LONGEST_AGENT = 60
"""Characters of it in a table; as JSON, it is whole."""

HEAD = ("ID", "USER", "SIGNED IN", "LAST SEEN", "EXPIRES", "AGENT", "ADDRESS", "LABEL")
WIDTHS = (22, 20, 20, 20, 20, LONGEST_AGENT, 15, 0)


class Listed(NamedTuple):
    """One session: the fields of `Device`, and whose it is. Times are Unix times in seconds."""

    id: str
    user: str | None
    signed_in: float | None
    """`None` for nobody's session, and where it is not known."""
    last_seen: float
    expires: float
    agent: str | None
    address: str | None
    label: str | None

    def as_json(self, **more: str) -> str:
        """Return one line, in ASCII."""
        times = {
            name: None if value is None else moment(value)
            for name, value in zip(_TIMES, self[2:5], strict=True)
        }
        return json.dumps({**self._asdict(), **times, **more})

    def as_row(self) -> str:
        """Return one line of a table."""
        times = ("-" if value is None else moment(value) for value in self[2:5])
        agent = self.agent or "-"
        if len(agent) > LONGEST_AGENT:
            agent = f"{agent[: LONGEST_AGENT - 3]}..."
        rest = (self.user or "-", *times, agent, self.address or "-", self.label or "-")
        return row(self.id, *rest)


_TIMES = ("signed_in", "last_seen", "expires")


def row(*cells: str) -> str:
    """Return the cells below each other's columns; one that is too long moves the rest."""
    padded = (f"{printable(cell):{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    return "  ".join(padded).rstrip()


def moment(seconds: float) -> str:
    """Return a time as text: UTC, to the second; the nearest date for what is none."""
    return datetime.fromtimestamp(clamped(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def counted(number: int, noun: str) -> str:
    """Return the number with its noun, in the plural where that is right."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def record_in(found: Found | None) -> Record | None:
    """Return the record that was found, with its values as they are kept if they do not open."""
    if isinstance(found, Unopened):
        return found.record
    return found if isinstance(found, Record) else None


def live_sessions(site: Site, found: Iterable[Found], now: float) -> list[Record]:
    """Return the records that are sessions which have not expired."""
    records = filter(None, map(record_in, found))
    return [r for r in records if r.secret_hash not in NO_SESSION and site.is_alive(r, now)]


async def entries_of(
    site: Site, records: Iterable[Record], unopened: set[bytes] | None = None
) -> dict[bytes, Entry]:
    """Return what the lists of these sessions' users say.

    *unopened* gets the ids of lists whose values do not open. Raises `SessionUnavailable`.
    """
    users = {user_record.id_of(record.user) for record in records if record.user is not None}
    entries: dict[bytes, Entry] = {}
    for id, found in (await site.records.load([*users])).items():
        if unopened is not None and (isinstance(found, Unopened) or is_sealed(found)):
            unopened.add(id)
        entries |= user_record.read(record_in(found), None).entries
    return entries


async def listed(
    site: Site, records: Iterable[Record], unopened: set[bytes] | None = None
) -> list[Listed]:
    """Return how sessions are listed, but those that are known to be another manager's.

    *unopened* is what `entries_of` says. Raises `SessionUnavailable`.
    """
    records = list(records)
    entries = await entries_of(site, records, unopened)
    cookies = {None, *(manager.cookie.name for manager in site.managers)}
    sessions = [(record, entries.get(record.id)) for record in records]
    return [
        _listed(site, record, entry)
        for record, entry in sessions
        if entry is None or entry.text("cookie") in cookies
    ]


def _listed(site: Site, record: Record, entry: Entry | None) -> Listed:
    seen = record.created if record.seen is None else record.seen
    signed_in = record.authenticated or None
    if entry is not None:
        signed_in = entry.signed_in
    return Listed(
        token.public_id(record.id),
        record.user,
        None if record.user is None else signed_in,
        seen,
        site.end_of(record),
        None if entry is None else entry.text("agent"),
        None if entry is None else entry.text("address"),
        None if entry is None else entry.text("label"),
    )
