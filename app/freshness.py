"""Whether a user proved lately who he is, as a group with `fresh=` wants it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.sessions.session import Session
from app.sessions.working_copy import proof_of

SKEW = 60.0
"""Seconds by which the clock of the process that took the proof may be ahead of this one's.

What is later than that is no proof: it would be one for as long as the clocks differ.
"""


def is_fresh(session: Session | None, user: Any, within: timedelta) -> bool:
    """Tell whether *session* knows that *user* proved, *within* that time before the request, who
    he is.

    A handler's user whose name is not that of the session's is somebody else, who proved nothing.
    One who is no text, such as a row of a table, cannot be compared.
    """
    if session is None or session.user is None:
        return False
    name = user.decode("utf-8", "replace") if isinstance(user, bytes) else user
    if isinstance(name, str) and name != session.user:
        return False
    proved, came, now = proof_of(session)
    return proved is not None and proved <= now + SKEW and came - proved < within.total_seconds()
