"""An `Origin` that cannot be read is nobody's: Tornado's check of it would end in a 500."""

from __future__ import annotations

from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest


def replace_unreadable(request: HTTPServerRequest) -> None:
    """Let an origin that is no URL be "null", as browsers send one that they do not tell."""
    try:
        urlsplit(request.headers["Origin"])
    except ValueError:
        request.headers["Origin"] = "null"
