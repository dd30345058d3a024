"""The requests that were answered, counted by handler, method and status where that is shown."""

from __future__ import annotations

from bisect import bisect_left
from http import HTTPStatus

from tornado.web import ErrorHandler, RequestHandler

from app.sessions.counters import SECONDS, Histogram

OTHER = "other"
"""In the place of a method or status that is not known: clients and handlers may invent any."""

NOT_FOUND = "not_found"
"""In the place of Tornado's `ErrorHandler`, which answers a path of no route."""

Labels = tuple[str, str, str]
"""Handler, method and status."""


class RequestCounts:
    """Seconds from a request's header to its answer, of all requests that a handler answered.

    Of a WebSocket it is the handshake.
    """

    def __init__(self) -> None:
        self.by_labels: dict[Labels, Histogram] = {}
        # The same by what is at hand. A class takes the requests of a route, so there are few.
        self._found: dict[tuple[type[RequestHandler], str | None, int], Histogram] = {}

    def note(self, handler: RequestHandler) -> None:
        """Count the request that *handler* has answered."""
        request = handler.request
        key = (type(handler), request.method, handler.get_status())
        try:
            histogram = self._found[key]
        except KeyError:
            histogram = self._series(*key)
        # As `Histogram.observe`, but without a call, for each request pays for it.
        seconds = request.request_time()
        histogram.counts[bisect_left(SECONDS, seconds)] += 1
        histogram.sum += seconds

    def _series(self, handler: type[RequestHandler], method: str | None, code: int) -> Histogram:
        key = (handler, method, code)
        is_known = True
        if method not in handler.SUPPORTED_METHODS:
            method, is_known = OTHER, False
        status = str(code)
        if code not in _STATUSES:
            status, is_known = OTHER, False
        name = NOT_FOUND if issubclass(handler, ErrorHandler) else handler.__name__
        histogram = self.by_labels.setdefault((name, str(method), status), Histogram(SECONDS))
        if is_known:
            self._found[key] = histogram
        return histogram


_STATUSES = frozenset(map(int, HTTPStatus))
