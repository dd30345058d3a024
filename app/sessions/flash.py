"""Messages for the next page: one key of the session each, so that requests that add both win.

What a page shows is taken out when its response leaves (`take_shown`), and not before: until then
nobody knows whether it shows anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from app.sessions import values
from app.sessions.delta import RESERVED
from app.sessions.stage import ON_SOCKET, READ_ONLY
from app.sessions.working_copy import WorkingCopy

MAX_FLASHES = 20
"""Messages of one session; a further one takes the place of the oldest."""

_LEVEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}")
_TIME = re.compile(rf"{RESERVED}([0-9a-f]{{14}})")


class Flash(NamedTuple):
    """A message. The *text* is text and no markup: a template escapes it."""

    text: str
    level: str


def add_flash(copy: WorkingCopy, text: str, level: str) -> None:
    """Add a message to *copy*. Raises `TypeError`, `ValueError`, and as an assignment does."""
    if type(text) is not str:
        raise TypeError(f"flash() takes the text as a str, not {type(text).__name__}")
    if type(level) is not str or not _LEVEL.fullmatch(level):
        raise ValueError(
            f"flash() takes a level like 'info', 'success', 'warning' or 'error', not {level!r:.40}"
        )
    values.check(text, "the text of flash()")
    copy._refuse_change(begins=True)
    keys = _keys(copy)
    for key in keys[: max(0, len(keys) - MAX_FLASHES + 1)]:
        copy._remove(key)
    copy._local[_new_key(copy, keys)] = [text, level]


def shown_flashes(copy: WorkingCopy) -> list[Flash]:
    """Return the messages in order of time, and note that they are shown."""
    keys = _keys(copy)
    flashes = list(_read(copy, keys[-MAX_FLASHES:]))
    if copy._stage is ON_SOCKET:  # there is no response to wait for
        for key in keys:
            copy._remove(key)
    else:
        copy._shown = copy._shown.union(keys)
    return flashes


def take_shown(copy: WorkingCopy) -> None:
    """Take out what was shown, for the response that shows it leaves."""
    if copy._stage is not READ_ONLY:
        for key in copy._shown:
            copy._remove(key)


def _keys(copy: WorkingCopy) -> list[str]:
    """Return the keys of the messages, the oldest first."""
    return sorted(key for key in copy._keys() if key.startswith(RESERVED))


def _read(copy: WorkingCopy, keys: list[str]) -> Iterator[Flash]:
    for key in keys:
        match copy[key]:  # a list that was handed out: the response sees to it before it leaves
            case [str(text), str(level)]:
                yield Flash(text, level)


def _new_key(copy: WorkingCopy, keys: list[str]) -> str:
    """Return a key that comes after *keys*, whatever the clock says, and is nobody else's."""
    microseconds = int(copy._manager.clock() * 1e6)
    newest = _TIME.match(keys[-1]) if keys else None
    if newest is not None:
        microseconds = max(microseconds, int(newest[1], 16) + 1)
    return f"{RESERVED}{microseconds:014x}{os.urandom(4).hex()}"
