"""Where a scan in the order of the ids goes on: the last id that it has returned."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NoReturn

from stores.contract import ConfigurationError, Page, Record, Store, Unopened, Unreadable

COUNTED = 20_000
"""Records that one step of an exact count passes."""


def id_after(after: str | None) -> bytes:
    """Return the id behind which the next step begins. Raises `ConfigurationError`."""
    if after is None:
        return b""
    if not re.fullmatch("([0-9a-f]{2})+", after):
        refuse()
    return bytes.fromhex(after)


def page_of(found: Mapping[bytes, Record | Unreadable], limit: int) -> Page:
    """Return the step that has *found* these, in the order of their ids, of at most *limit*."""
    return Page(found, max(found).hex() if len(found) >= limit else None)


async def count_in_steps(step: Callable[[bytes, int], Awaitable[tuple[int, bytes | None]]]) -> int:
    """Return how many records there are.

    *step* returns how many come behind an id, and `None`; or, if they are more than a number, this
    number and the id of the last one that is counted.
    """
    number, behind = 0, b""
    while True:
        more, last = await step(behind, COUNTED)
        number += more
        if last is None:
            return number
        behind = last


async def loaded(store: Store, ids: Sequence[bytes]) -> dict[bytes, Record | Unreadable | Unopened]:
    """Return what the store has of these, all of which it must be able to tell."""
    if not ids:
        return {}
    found: dict[bytes, Record | Unreadable | Unopened] = {}
    for id, answer in (await store.load(ids)).items():
        if not isinstance(answer, Record | Unreadable | Unopened):
            raise answer
        found[id] = answer
    return found


def refuse() -> NoReturn:
    """Raise the error for a place that is none of the store's."""
    raise ConfigurationError("the place where the scan is to go on is none of this store's")
