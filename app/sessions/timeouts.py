"""How long a session lives: OWASP's idle time-out and absolute time-out."""

from __future__ import annotations

from datetime import timedelta

from app.sessions.errors import ConfigurationError
from stores.contract import Record

MAX_LIFETIME = timedelta(days=400)
"""The longest that browsers keep a cookie (RFC 6265bis, section 5.5)."""

MIN_LIFETIME = timedelta(seconds=1)
"""What is below it is a `Max-Age` of 0, by which a browser removes the cookie."""


class Timeouts:
    """The time-outs of one manager. Raises `ConfigurationError` for such as cannot be kept.

    *idle* counts from the last request that presented the session, *lifetime* from its beginning.
    """

    def __init__(self, idle: timedelta, lifetime: timedelta) -> None:
        for name, period in (("idle_timeout", idle), ("lifetime", lifetime)):
            if not isinstance(period, timedelta) or period <= timedelta(0):
                raise ConfigurationError(f"{name} must be a timedelta above zero, not {period!r}")
        if lifetime > MAX_LIFETIME:
            raise ConfigurationError(
                f"lifetime is {lifetime}; browsers keep a cookie for 400 days at most"
            )
        if lifetime < MIN_LIFETIME:
            raise ConfigurationError(
                f"lifetime is {lifetime}; a cookie's Max-Age counts whole seconds, so 1 at least"
            )
        self.idle = min(idle, lifetime).total_seconds()  # a longer one would never be reached
        self.lifetime = lifetime.total_seconds()

    def expiry(self, now: float) -> float:
        """Return until when a record that begins *now* lives."""
        return now + self.idle

    def is_alive(self, record: Record, now: float) -> bool:
        """Tell whether *record* lives, by these time-outs and not by those it was written under."""
        return (
            now < record.expires
            and now < record.created + self.lifetime
            and (record.seen is None or now < record.seen + self.idle)
        )

    def end(self, record: Record) -> float:
        """Return until when *record* lives unless it is presented before."""
        end = min(record.expires, record.created + self.lifetime)
        return end if record.seen is None else min(end, record.seen + self.idle)

    def extension(self, record: Record, now: float) -> float | None:
        """Return until when *record* is to live when it is presented *now*.

        `None` while a touch is not due: the store is told at most once in a tenth of the idle time.
        """
        end = record.created + self.lifetime
        expires, known = now + self.idle, record.expires
        if record.seen is not None:  # else it is from before that was kept
            # The idle time may have been longer then, or shorter.
            known = min(record.seen + self.idle, known)
        if expires > end:
            expires, known = end, min(known, end)
        return expires if expires - known >= self.idle / 10 else None

    def left(self, record: Record, now: float) -> int:
        """Return the seconds that *record* can still live if it is used."""
        return max(int(record.created + self.lifetime - now), 0)
