"""Whether a response is a page that a person gets to see."""

from __future__ import annotations

from tornado.httputil import HTTPServerRequest

NO_BODY = (204, 205)

_PREFETCH = ("Sec-Purpose", "Purpose", "X-Moz")
"""By these headers a browser says "prefetch": it may never show the page."""


def shows_page(request: HTTPServerRequest, status: int) -> bool:
    """Tell whether the answer to *request* has a body, and somebody who looks at it.

    A 304 that Tornado sends by itself is a 200 here: the browser shows the same page again.
    """
    if request.method == "HEAD" or status < 200 or 300 <= status < 400 or status in NO_BODY:
        return False
    return not any("prefetch" in request.headers.get(name, "").lower() for name in _PREFETCH)
