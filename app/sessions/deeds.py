"""What a request has done to the sessions of users: none of that stops its own sign-in."""

from __future__ import annotations

from collections.abc import Iterable, Set
from contextvars import ContextVar

Deed = str | bytes
"""The key of a fence that was raised, or the id of a session that was ended."""

MAX_DEEDS = 10_000
"""Deeds after which a task that goes on for ever, a socket's say, begins to note anew."""

# The tasks that a request begins have a copy of its context, so they share the set.
_deeds: ContextVar[set[Deed] | None] = ContextVar("deeds", default=None)


def begin_deeds() -> set[Deed]:
    """Return where the deeds of a request go that begins in the task that runs."""
    deeds: set[Deed] = set()
    _deeds.set(deeds)
    return deeds


def go_on_with(deeds: Set[Deed]) -> None:
    """Let what is done from now on belong to *deeds*, for the same request goes on."""
    _deeds.set(deeds if isinstance(deeds, set) else None)


def note(deeds: Iterable[Deed]) -> None:
    """Note what the request that runs has done; nothing where none does."""
    own = _deeds.get()
    if own is not None:
        own.update(deeds)


def forget_old_deeds() -> None:
    """Forget too many of them, before one that is noted whole."""
    own = _deeds.get()
    if own is not None and len(own) > MAX_DEEDS:
        own.clear()
