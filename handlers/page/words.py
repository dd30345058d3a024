"""How the page puts times, values and clients into words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

LONGEST = 600
"""Characters of a value that the page shows."""

UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))

BROWSERS = (
    *(("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chromium/", "Chromium")),
    *(("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl")),
)
SYSTEMS = (
    *(("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows")),
    *(("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux")),
)
"""What a user agent has in it, and what that is called; the first that is there counts."""


def moment(time: datetime) -> str:
    """Return *time* as people write it, in UTC."""
    time = time.astimezone(UTC)
    return f"{time.day} {time:%b %Y, %H:%M} UTC"


def span(length: timedelta) -> str:
    """Return *length* in its largest whole unit: "3 hours"."""
    seconds = max(0, round(length.total_seconds()))
    for size, name in UNITS:
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "0 seconds"


def ago(time: datetime, now: datetime) -> str:
    """Return how long before *now* a *time* is."""
    passed = now - time
    return "just now" if passed < timedelta(seconds=10) else f"{span(passed)} ago"


def ahead(time: datetime, now: datetime) -> str:
    """Return how long after *now* a *time* is."""
    # To the nearest minute: what is kept to a fraction of a second is no "23 hours".
    return f"in {span(time - now + timedelta(seconds=30))}"


def shown(value: object) -> str:
    """Return a value of the session as JSON, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}… ({len(text):,} characters)"


def short(text: str) -> str:
    """Return *text*, cut if it is long."""
    return text if len(text) <= 60 else f"{text[:60]}…"


def client(agent: str | None) -> str:
    """Return what a user agent calls itself, in a few words."""
    if not agent:
        return "unknown client"
    browser = next((name for mark, name in BROWSERS if mark in agent), None)
    system = next((name for mark, name in SYSTEMS if mark in agent), None)
    if browser is None:
        return short(agent)
    return browser if system is None else f"{browser} on {system}"
