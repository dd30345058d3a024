"""What of an option's value may be shown: no password, no key."""

from __future__ import annotations

import re

HIDDEN = "(hidden)"

_SECRET_NAME = re.compile(r"password|passwd|secret|token|\bkeys?\b", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(\w[\w+.-]*://).*@", re.DOTALL)
_SECRET_IN_QUERY = re.compile(r"([?&][^=&]+=)(?=[^&]*)([^&\s]*)")
_SECRET_WORD = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]*:(//|$)", re.IGNORECASE)


def is_secret(name: str, metavar: str = "") -> bool:
    """Tell whether an option's value may hold a secret: it is a URL, or is named as one.

    The name of a file is none, whatever the file holds.
    """
    if metavar in ("FILE", "PATH"):
        return False
    return metavar == "URL" or _SECRET_NAME.search(name) is not None


def shown(name: str, value: object, metavar: str = "") -> str:
    """Return *value* as anybody may read it."""
    text = str(value)
    if not text or value is None:
        return text
    if metavar == "URL":
        return without_credentials(text) if _URL.match(text) else HIDDEN
    return HIDDEN if is_secret(name, metavar) else without_credentials(text)


def without_credentials(text: str) -> str:
    """Return *text* without user names and passwords of URLs in it."""
    return _SECRET_IN_QUERY.sub(_hide_value, _CREDENTIALS.sub(r"\1***@", text))


def _hide_value(match: re.Match[str]) -> str:
    return f"{match[1]}***" if _SECRET_WORD.search(match[0]) else match[0]
