"""Counting commits: what each was to do to a session, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from app.sessions.counters import Counters
from app.sessions.errors import SessionConflict, SessionError, SessionTooLarge
from app.sessions.pending import Pending, Saved

Save = Callable[[Pending], Coroutine[Any, Any, Saved]]


def counted(save: Save, counters: Counters) -> Save:
    """Return *save*, each call of which is counted. One that found nothing to do is none."""
    commits = counters.commits

    async def save_and_count(pending: Pending) -> Saved:
        try:
            saved = await save(pending)
        except SessionError as error:
            for kind in kinds_of(pending):
                commits[kind, _outcome_of(error)] += 1
            raise
        if pending.record is None:
            # Nobody's was not begun, for the browser keeps the cookie of another one back.
            if saved.gone and pending.user is None and not pending.ended:
                return saved
        elif saved.record is pending.record:
            return saved
        # *gone* is also a sign-out under a token that was replaced meanwhile.
        outcome = "missing" if saved.gone else "done"
        for kind in kinds_of(pending):
            commits[kind, outcome] += 1
        return saved

    return save_and_count


def kinds_of(pending: Pending) -> tuple[str, ...]:
    """Return what a commit does: two things where one session ends and another one begins."""
    if pending.record is None or pending.ended:
        ends = pending.ended and (pending.record is not None or bool(pending.presented.several))
        return ("destroy",) * ends + ("create",) * pending.begins
    if pending.rotate:
        return ("rotate",)
    return ("update",) if pending.changed or pending.removed else ("touch",)


def _outcome_of(error: SessionError) -> str:
    if isinstance(error, SessionConflict):
        return "conflict"
    return "too_large" if isinstance(error, SessionTooLarge) else "unavailable"
