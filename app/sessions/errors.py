"""The errors a user of the package can meet.

::

    ConfigurationError (ValueError)     found while the application is built
    SessionError
      SessionsOff (RuntimeError)        self.session where no group turned sessions on
      SessionReadOnly (RuntimeError)    a change in a read_only group
      SessionCommitted (RuntimeError)   a change that comes too late for this response
      SessionTooLarge                   413: the session would pass max_bytes
      NotAuthenticated                  401: the group takes (just) signed-in users only
      SessionConflict                   409: another request came between; retry
      SessionUnavailable                503: the store did not answer

The last four are Tornado `HTTPError`s: uncaught, they become the response, with their *headers*.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tornado.web import HTTPError

from stores.contract import ConfigurationError as ConfigurationError

__all__ = [
    "ConfigurationError",
    "NotAuthenticated",
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

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"  # Tornado's `HTTPError` would leave it out


class SessionsOff(SessionError, RuntimeError):
    """The handler's group has no sessions, or they are not loaded yet; the text says which."""


class SessionReadOnly(SessionError, RuntimeError):
    """The handler's group is `read_only` and the session was changed."""


class SessionCommitted(SessionError, RuntimeError):
    """The change comes after the response it would have to travel with."""


class SessionTooLarge(SessionError, HTTPError):
    """The session would hold more than the manager's `max_bytes`; nothing of it was written."""

    def __init__(self, size: int | None, max_bytes: int, key: str = "") -> None:
        self.size = size
        self.max_bytes = max_bytes
        what = f"{size} bytes"
        if size is None:
            what = "too much for its store, or by requests at the same time"
        largest = f", most of it under the key {key[:40]!r}" if key else ""
        HTTPError.__init__(
            self, 413, f"the session would hold {what}{largest}; max_bytes is {max_bytes}"
        )


class NotAuthenticated(SessionError, HTTPError):
    """The handler's group is `authenticated` and the client is nobody.

    Or it is `fresh`, and the user did not prove lately who he is: within *max_age* seconds.
    """

    def __init__(self, what: str, realm: str, max_age: int | None = None) -> None:
        # RFC 9110 demands a challenge with 401; no scheme is registered for cookies.
        challenge = f'Cookie realm="{realm}"'
        if max_age is not None:  # as RFC 9470 says it of tokens
            challenge += f', error="insufficient_user_authentication", max_age="{max_age}"'
        self.headers = {"WWW-Authenticate": challenge}
        HTTPError.__init__(self, 401, what)


class SessionConflict(SessionError, HTTPError):
    """Another request came between: it replaced the token, or ended all the user's sessions.

    Sent again, the request succeeds. *retry_after* is in seconds, *reason* is the status line's.
    """

    def __init__(
        self, what: str, retry_after: int = 1, reason: str = "Session Token Replaced, Retry"
    ) -> None:
        self.retry_after = retry_after
        self.headers = {"Retry-After": str(retry_after)}
        HTTPError.__init__(self, 409, what, reason=reason)


class SessionUnavailable(SessionError, HTTPError):
    """The store failed or took too long. The text names the store and holds no secret."""

    headers: Mapping[str, str] = MappingProxyType({"Retry-After": "1"})

    def __init__(self, what: str) -> None:
        self.what = what
        HTTPError.__init__(self, 503, what)
