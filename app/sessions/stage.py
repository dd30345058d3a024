"""How far a session's response is, and which changes that still allows."""

from __future__ import annotations

import enum

from app.sessions.errors import SessionCommitted, SessionConflict, SessionReadOnly


class Stage(enum.IntEnum):
    """How far the response is, or why the session cannot change."""

    OPEN = 0
    HEAD_SENT = 1
    ON_SOCKET = 2
    COMMITTED = 3
    READ_ONLY = 4
    REPLACED = 5
    """Another response has just replaced the token that the client presented."""
    ERROR_PAGE = 6
    """The page of an error is written, which saves nothing any more."""


OPEN, HEAD_SENT, ON_SOCKET, COMMITTED, READ_ONLY, REPLACED, ERROR_PAGE = Stage


def refuse_change(stage: Stage, retry_after: int) -> None:
    """Raise what a change is answered at *stage*, unless it is allowed.

    *retry_after* is in seconds, for a token that was just replaced.
    """
    if stage is COMMITTED:
        raise SessionCommitted(
            "the session was changed after the response was committed; change it earlier"
        )
    if stage is READ_ONLY:
        raise SessionReadOnly(
            "the session was changed in a group with read_only=True; "
            "set read_only=False on the group of this route"
        )
    if stage is REPLACED:
        raise SessionConflict(
            "the session's token was just replaced; send the request again", retry_after
        )


def refuse_cookie(stage: Stage, what: str, way_out: str = "do it in a request") -> None:
    """Raise unless the response can still take a cookie, which *what* needs.

    *way_out* is what to do on an open WebSocket.
    """
    if stage is HEAD_SENT:
        raise SessionCommitted(
            f"{what} needs a cookie, but the response has begun; do it before flush()"
        )
    if stage is ON_SOCKET:
        raise SessionCommitted(
            f"{what} needs a cookie, which an open WebSocket cannot send; {way_out}"
        )
