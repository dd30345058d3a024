"""Listens to every log line and looks in texts for what may not be there."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from app.sessions import token


@contextlib.contextmanager
def whole_log() -> Iterator[io.StringIO]:
    """Collect all that is logged anywhere, at DEBUG level and with tracebacks."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def spellings(tokens: Iterable[str], *words: str) -> list[str]:
    """Return how tokens, what they are made of, and other *words* look when they are printed."""
    found = [*words, *(quote(word) for word in words)]
    for text in tokens:
        _, secret = token.decode(text)
        found += (text, text[22:])
        for raw in (secret, token.hash_secret("session", secret)):
            found += (raw.hex(), repr(raw)[2:-1], str(list(raw))[1:-1])
            found += (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
    return found


def leaks(text: str, secrets: Iterable[str]) -> list[str]:
    """Return the lines of *text* that have a secret in them."""
    return [line for line in text.splitlines() if any(secret in line for secret in secrets)]
