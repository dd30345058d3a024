"""What undoes a rotation, by the record before it and as it is now; no store is asked."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from app.sessions import values
from app.sessions.recognition import GRACE
from stores.contract import (
    JSON,
    NEVER_AUTHENTICATED,
    NEVER_ROTATED,
    Record,
    Rotation,
    Update,
)

TIME_STEP = 0.001
"""Seconds by which two `rotated` times of a record differ at least: what every store can tell."""


@dataclass(slots=True, eq=False)
class Undo:
    """A rotation of *saved* by *update* whose outcome is not known, or that may not stay."""

    saved: Record
    update: Update
    rotation: Rotation
    covered: float | None = None
    """The moment (`time.monotonic`) at which another rotation was first seen on top of it."""


def inverse_of(undo: Undo, found: Record, now: float) -> Update | None:
    """Return what undoes the rotation in *found*; `None` where there is nothing to undo."""
    saved, update, rotation = undo.saved, undo.update, undo.rotation
    now = later(found, now)
    if found.secret_hash == rotation.secret_hash:
        put_back, take_away = _values_back(saved, update, found)
        proved = rotation.authenticated is not None
        return Update(
            saved.id,
            set=put_back,
            unset=take_away,
            rotation=Rotation(
                rotation.secret_hash,
                saved.secret_hash,
                now,
                saved.user,
                saved.persistent,
                found.rotated or NEVER_ROTATED,
                (saved.authenticated or NEVER_AUTHENTICATED) if proved else None,
            ),
        )
    if found.secret_hash == saved.secret_hash and _is_same_time(found.rotated, saved.rotated):
        # It was not made, and must not be: from its own secret to itself, at another time.
        return Update(
            saved.id,
            rotation=Rotation(
                saved.secret_hash,
                saved.secret_hash,
                now,
                found.user,
                found.persistent,
                found.rotated or NEVER_ROTATED,
            ),
        )
    return None


def is_covered(undo: Undo, found: Record) -> bool:
    """Tell whether a sign-in went on with *undo*'s token, and may itself be undone yet.

    That would bring the token back, which no client has. So *undo* waits for it, for a while.
    """
    own, former = undo.rotation, undo.saved.secret_hash
    if former in (found.secret_hash, found.former_hash):  # it was undone, or never made
        return False
    if found.former_hash != own.secret_hash and (own.user is None or found.user != own.user):
        return False
    now = time.monotonic()
    if undo.covered is None:
        undo.covered = now
    return now - undo.covered < GRACE


def later(record: Record, now: float) -> float:
    """Return *now*, or a time after the record's last rotation where the clock went back.

    In whole milliseconds, which every store gives back as they were.
    """
    now = math.floor(now * 1000) / 1000
    return now if record.rotated is None else max(now, round(record.rotated + TIME_STEP, 3))


def _is_same_time(a: float | None, b: float | None) -> bool:
    return abs((a or NEVER_ROTATED) - (b or NEVER_ROTATED)) < TIME_STEP / 2


def _values_back(saved: Record, update: Update, found: Record) -> tuple[dict[str, JSON], list[str]]:
    """Return what to set and to unset, of what nobody else has written since."""
    put_back: dict[str, JSON] = {}
    take_away: list[str] = []
    for key, value in update.set.items():
        if key in found.data and values.same(found.data[key], value):
            if key in saved.data:
                put_back[key] = saved.data[key]
            else:
                take_away.append(key)
    for key in update.unset:
        if key in saved.data and key not in found.data:
            put_back[key] = saved.data[key]
    return put_back, take_away
