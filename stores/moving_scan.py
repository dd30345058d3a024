"""Going through the records of two stores, each record once.

First come those that the old store has, each as the new one has it by now if it was moved; then
those of the new store that the old one has not. A record that moves meanwhile stays in the old one.
Only one that expires there meanwhile, and was extended in the new one, comes twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from stores.contract import Page, Store
from stores.cursor import loaded, refuse
from stores.moving_look import Answer
from stores.moving_mark import is_mark

Found = TypeVar("Found", bound=Answer)

IN_OLD, IN_NEW = "old", "new"
"""How a place begins. In a store's own part, behind a point, it says where it goes on."""


async def scan(new: Store, old: Store, after: str | None, limit: int) -> Page:
    """Return the next step. Raises what the stores raise, `ConfigurationError` for *after*."""
    part, _, within = (IN_OLD if after is None else after).partition(".")
    if part == IN_OLD:
        page = await old.scan(within or None, limit)
        there = await loaded(new, list(page.found))
        found = {id: there.get(id, each) for id, each in _sessions(page.found).items()}
        following = IN_NEW if page.after is None else f"{IN_OLD}.{page.after}"
        return Page(_sessions(found), following, page.anew)
    if part != IN_NEW:
        refuse()
    page = await new.scan(within or None, limit)
    if page.anew:  # what came of the old store is forgotten with it
        return Page({}, IN_OLD, anew=True)
    there = _sessions(await loaded(old, list(page.found)))
    found = {id: each for id, each in _sessions(page.found).items() if id not in there}
    return Page(found, None if page.after is None else f"{IN_NEW}.{page.after}")


def _sessions(found: Mapping[bytes, Found]) -> dict[bytes, Found]:
    return {id: each for id, each in found.items() if not is_mark(each)}
