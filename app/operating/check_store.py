"""Whether a store can be reached, has the shape and the rights it needs, and warns of nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from app.operating.sites import Site
from app.sessions import token
from app.sessions.errors import SessionUnavailable
from stores.contract import NEVER_ROTATED, Change, Create, Delete, Outcome, Record, Rotation, Update

LIVES = 60.0
"""Seconds after which a record of the check expires, if it cannot be removed."""


class _Collector(logging.Handler):
    """Keeps what stores warn of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(record.getMessage())


async def open_site(site: Site) -> tuple[bool, list[str]]:
    """Open the store as the service does; return whether it is open, and what is wrong with it."""
    with _warnings() as sentences:
        try:
            for manager in site.managers:
                await manager.open()
        except SessionUnavailable as error:
            return False, [*sentences, error.what]
    return True, list(dict.fromkeys(sentences))


async def flaws_of_operations(site: Site) -> list[str]:
    """Do all that a session needs with a record of its own; return what the store refused."""
    now = site.managers[0].clock()
    hashes = [os.urandom(32) for _ in range(2)]
    record = Record(token.new_id(), hashes[0], now, now + LIVES, {"check": 1})
    rotation = Rotation(hashes[0], hashes[1], now, None, True, NEVER_ROTATED)
    steps: list[tuple[str, Change]] = [
        ("create", Create(record)),
        ("write to", Update(record.id, {"check": 2}, limit=1024)),
        ("give a new token to", Update(record.id, rotation=rotation)),
        ("extend", Update(record.id, expires=now + LIVES + 1, seen=now)),
        ("remove", Delete(record.id)),
    ]
    flaws = []
    for what, change in steps:
        try:
            (outcome,) = await site.records.write([change])
            if outcome is not Outcome.DONE:
                flaws.append(f"store {site.store.name} cannot {what} a session: {outcome.value}")
            elif what == "extend" and record.id not in await site.records.load([record.id]):
                flaws.append(f"store {site.store.name} does not return a session that it has")
        except SessionUnavailable as error:
            flaws.append(f"{error.what} (to {what} a session)")
            if what == "create":
                break
    return flaws


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Gather what the stores would write to the log."""
    log, collector = logging.getLogger("stores"), _Collector()
    before = log.propagate
    log.addHandler(collector)
    log.propagate = False
    try:
        yield collector.sentences
    finally:
        log.propagate = before
        log.removeHandler(collector)
