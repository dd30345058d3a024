"""What a presented secret is to the records that the store found."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from hmac import compare_digest

from app.sessions.token import hash_secret
from stores.contract import Record

GRACE = 30.0
"""Seconds for which the token before the last rotation is recognised as such."""


class Standing(enum.Enum):
    """What a token is."""

    UNKNOWN = enum.auto()
    CURRENT = enum.auto()
    REPLACED = enum.auto()


UNKNOWN, CURRENT, REPLACED = Standing


def recognise(record: Record, secret: bytes, now: float) -> Standing:
    """Return what *secret* is to a record that lives; every comparison takes constant time."""
    secret_hash = hash_secret(secret)
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


def choose(found: Iterable[tuple[bytes, Record]], now: float) -> tuple[Record | None, Standing]:
    """Return the one record that several cookies of our name lead to, of (secret, record) pairs.

    When two of them open sessions, one may have been planted by a neighbouring site, and which one
    cannot be told: then it is none.
    """
    standings = [(record, recognise(record, secret, now)) for secret, record in found]
    current = [record for record, standing in standings if standing is CURRENT]
    if len(current) == 1:
        return current[0], CURRENT
    if not current and any(standing is REPLACED for _, standing in standings):
        return None, REPLACED
    return None, UNKNOWN
