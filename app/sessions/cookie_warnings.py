"""What the log says of cookies that cannot work as they come; any client can cause these lines."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from app.sessions import token
from app.sessions.cookie import MAX_CANDIDATES, Cookie
from stores.contract import Record

log = logging.getLogger(__name__)

PAUSE = 10.0
"""Seconds between two lines of one kind: what a hostile client may fill the log with."""


class CookieWarnings:
    """The warnings of one manager."""

    def __init__(self, cookie: Cookie) -> None:
        self._cookie = cookie
        self._several, self._withheld, self._too_many = _Seldom(), _Seldom(), _Seldom()

    def several(self, records: Sequence[Record], now: float) -> None:
        """Tell that a request presents the tokens of several sessions."""
        if (untold := self._several.pass_(now)) is not None:
            log.warning(
                "a request presents the tokens of %d sessions in the cookie %s, and none is taken: "
                "%s%s; give the cookie one domain and path, or the prefix __Host-",
                len(records),
                self._cookie.name,
                ", ".join(token.public_id(record.id) for record in records),
                _more(untold),
            )

    def too_many(self, now: float) -> None:
        """Tell that a request presents more tokens than are looked at."""
        if (untold := self._too_many.pass_(now)) is not None:
            log.warning(
                "a request presents more than %d different tokens in the cookie %s, and none is "
                "looked at%s; a sign-in cannot help while its browser sends them all: give the "
                "cookie one domain and path, or the prefix __Host-",
                MAX_CANDIDATES,
                self._cookie.name,
                _more(untold),
            )

    def withheld(self, now: float) -> None:
        """Tell that another site's request would have begun a session."""
        if (untold := self._withheld.pass_(now)) is not None:
            log.warning(
                "a change of the session is dropped%s: the request comes from another site, for "
                "which browsers keep back the cookie %s (SameSite=%s), and a new one would replace "
                "it; change the session in a request from a page of your own",
                _more(untold),
                self._cookie.name,
                self._cookie.samesite,
            )


class _Seldom:
    """Lets one line through in `PAUSE` seconds, and counts the others."""

    def __init__(self) -> None:
        self._last = float("-inf")
        self._untold = 0

    def pass_(self, now: float) -> int | None:
        """Return how many lines were left out before this one; `None` to leave it out, too."""
        if 0 <= now - self._last < PAUSE:
            self._untold += 1
            return None
        untold, self._untold, self._last = self._untold, 0, now
        return untold


def _more(untold: int) -> str:
    return f" ({untold} more since the last line)" if untold else ""
