"""What a presented token is to the records that the store found."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from hmac import compare_digest

from stores.contract import Record

GRACE = 10.0
"""Seconds for which the token before the last rotation is recognised as such."""


class Standing(enum.Enum):
    """What a token is."""

    UNKNOWN = enum.auto()
    CURRENT = enum.auto()
    REPLACED = enum.auto()


UNKNOWN, CURRENT, REPLACED = Standing


def recognise(record: Record, secret_hash: bytes, now: float) -> Standing:
    """Return what a token is to a record that lives; every comparison takes constant time."""
    if compare_digest(secret_hash, record.secret_hash):
        return CURRENT
    if (
        record.former_hash is not None
        and record.rotated is not None
        and now - record.rotated < GRACE
        and compare_digest(secret_hash, record.former_hash)
    ):
        return REPLACED
    return UNKNOWN


def choose(
    found: Iterable[tuple[bytes, Record]], now: float
) -> tuple[Record | None, Standing, tuple[Record, ...]]:
    """Return what several cookies of one name lead to, of pairs of a secret's hash and a record.

    That is a record, what its token is, and all records that are open where there are several. None
    of several is taken: a neighbouring site may have planted one, and nobody can tell which.
    """
    standings = [(record, recognise(record, hash, now)) for hash, record in found]
    current = [record for record, standing in standings if standing is CURRENT]
    if len(current) > 1:
        return None, UNKNOWN, tuple(current)
    for wanted in (CURRENT, REPLACED):
        for record, standing in standings:
            if standing is wanted:
                return record, wanted, ()
    return None, UNKNOWN, ()


def why_none(
    standing: Standing, several: tuple[Record, ...], expired: bool, unreadable: bool
) -> str:
    """Return why tokens led to no session, as it is counted (`app.sessions.counters.LOADS`)."""
    if several:
        return "several"
    if standing is REPLACED:
        return "replaced"
    return "expired" if expired else "unreadable" if unreadable else "unknown"


def grace_left(record: Record, now: float) -> int:
    """Return the whole seconds until the record's former token is unknown, at least 1.

    At most the grace, although the process that replaced it may have a clock that is ahead.
    """
    return max(1, math.ceil(min(GRACE, GRACE - (now - (record.rotated or now)))))
