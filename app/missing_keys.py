"""Noticing that a store has sealed values and was given no keys: handlers would see sealed text."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from app.sessions.errors import SessionUnavailable
from app.sessions.manager import SessionManager
from app.sessions.records import Found
from stores.contract import SEALED, Record, Store

log = logging.getLogger(__name__)

LOOKED_AT = 20
"""Records at the start."""

MEND = "give the keys by SESSION_KEYS_FILE"


def is_sealed(found: Found | None) -> bool:
    """Tell whether a record was found as it is kept, with values that are sealed."""
    return isinstance(found, Record) and any(
        type(value) is str and SEALED.fullmatch(value) for value in found.data.values()
    )


async def warn_of_missing_keys(managers: Iterable[SessionManager]) -> None:
    """Look at a few records of each store, and log if there are sealed values and no keys.

    A store that does not answer, or has no scan, is not looked at.
    """
    for store, manager in {manager.store: manager for manager in managers}.items():
        if not store.shared or type(store).scan is Store.scan:
            continue
        try:
            page = await manager.records.scan(None, LOOKED_AT)
        except SessionUnavailable:
            continue
        if any(map(is_sealed, page.found.values())):
            log.error(
                "store %s has sealed values, and handlers are shown the sealed text: %s",
                *(store.name, MEND),
            )
