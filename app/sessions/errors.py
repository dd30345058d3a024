"""The errors a user of the package can meet.

::

    ConfigurationError (ValueError)     found while the application is built
    SessionError
      SessionsOff (RuntimeError)        self.session where no group turned sessions on
      SessionReadOnly (RuntimeError)    a change in a read_only group
      SessionCommitted (RuntimeError)   a change that comes too late for this response
      SessionTooLarge                   413: the session would pass max_bytes
      SessionConflict                   409: the token was replaced meanwhile; retry
      SessionUnavailable                503: the store did not answer

The last three are Tornado `HTTPError`s: uncaught, they become the response.
"""

from __future__ import annotations

from tornado.web import HTTPError

from stores.contract import ConfigurationError as ConfigurationError

__all__ = [
    "ConfigurationError",
    "SessionCommitted",
    "SessionConflict",
    "SessionError",
    "SessionReadOnly",
    "SessionTooLarge",
    "SessionUnavailable",
    "SessionsOff",
]


class SessionError(Exception):
    """Anything that goes wrong with a session."""


class SessionsOff(SessionError, RuntimeError):
    """The handler's group has no sessions, or they are not loaded yet; the text says which."""


class SessionReadOnly(SessionError, RuntimeError):
    """The handler's group is `read_only` and the session was changed."""


class SessionCommitted(SessionError, RuntimeError):
    """The change comes after the response it would have to travel with."""


class SessionTooLarge(SessionError, HTTPError):
    """The session would hold more than the manager's `max_bytes`; nothing of it was written."""

    def __init__(self, size: int, max_bytes: int) -> None:
        self.size = size
        self.max_bytes = max_bytes
        HTTPError.__init__(
            self, 413, f"the session would hold {size} bytes; max_bytes is {max_bytes}"
        )


class SessionConflict(SessionError, HTTPError):
    """The request's token was replaced by another response; sent again, the request succeeds."""

    def __init__(self, what: str) -> None:
        HTTPError.__init__(self, 409, what, reason="Session Token Replaced, Retry")


class SessionUnavailable(SessionError, HTTPError):
    """The store failed or took too long. The text names the store and holds no secret."""

    def __init__(self, what: str) -> None:
        self.what = what
        HTTPError.__init__(self, 503, what)
