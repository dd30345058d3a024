"""Counting commits: what each was to do to a session, and what became of it."""

from __future__ import annotations

from app.sessions.counters import Counters
from app.sessions.errors import SessionConflict, SessionError, SessionTooLarge
from app.sessions.pending import Pending, Saved

UPDATED, TOUCHED = ("update", "done"), ("touch", "done")


class Commits:
    """Counts the commits of one manager. One that found nothing to do is none."""

    def __init__(self, counters: Counters) -> None:
        self._counts = counters.commits

    def saved(self, pending: Pending, saved: Saved) -> None:
        """Count what the store has acknowledged, or was not asked for as it came too late."""
        record = pending.record
        if record is None:
            # Nobody's was not begun, for the browser keeps the cookie of another one back.
            if saved.gone and pending.user is None and not pending.ended:
                return
        elif saved.record is record:
            return
        elif not (pending.rotate or pending.ended or saved.gone):  # mostly
            self._counts[UPDATED if pending.changed or pending.removed else TOUCHED] += 1
            return
        # *gone* is also a sign-out under a token that was replaced meanwhile.
        outcome = "missing" if saved.gone else "done"
        for kind in _kinds_of(pending):
            self._counts[kind, outcome] += 1

    def failed(self, pending: Pending, error: SessionError) -> None:
        """Count what was refused, or not acknowledged."""
        outcome = "unavailable"
        if isinstance(error, SessionConflict):
            outcome = "conflict"
        elif isinstance(error, SessionTooLarge):
            outcome = "too_large"
        for kind in _kinds_of(pending):
            self._counts[kind, outcome] += 1


def _kinds_of(pending: Pending) -> tuple[str, ...]:
    """Return what a commit does: two things where one session ends and another one begins."""
    if pending.record is None or pending.ended:
        ends = pending.ended and (pending.record is not None or bool(pending.presented.several))
        return ("destroy",) * ends + ("create",) * pending.begins
    if pending.rotate:
        return ("rotate",)
    return ("update",) if pending.changed or pending.removed else ("touch",)
