"""What a client keeps of a `Set-Cookie` value that a session's commit returned."""

from __future__ import annotations


def header_of(set_cookie: str | None) -> str:
    """Return the `Cookie` header that a browser sends from then on."""
    assert set_cookie is not None
    return set_cookie.partition(";")[0]


def token_of(set_cookie: str | None) -> str:
    """Return the value of the cookie."""
    return header_of(set_cookie).partition("=")[2]
