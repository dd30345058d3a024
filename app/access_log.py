"""The access log: one line for each request, without its query string.

The line is made for every request, so it is made cheaply, and not at all where nobody reads it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from tornado.log import access_log
from tornado.web import RequestHandler

LINE = "%d %s %s (%s) %.2fms"
WITH_SESSION = f"{LINE} session=%s user=%s"

Values = tuple[object, ...]
"""Of one line: status, method, path, address, milliseconds; perhaps the session's id and user."""

Defer = Callable[[int, Values], bool]
"""Takes a level and the line's values to write them later; tells whether it does."""


class AccessLog:
    """Logs a request that has ended; Tornado's setting `log_function`.

    *defer* is offered each line but those of server errors, which are written at once.
    *with_session* adds the session's public id, and who is signed in.
    """

    def __init__(self, defer: Defer | None = None, *, with_session: bool = False) -> None:
        self._defer = defer
        self._with_session = with_session

    def __call__(self, handler: RequestHandler) -> None:
        status = handler.get_status()
        if status < 400:
            # Health checks come every few seconds, and say nothing when all is well.
            level = logging.INFO if getattr(handler, "logs_success", True) else logging.DEBUG
        else:
            level = logging.WARNING if status < 500 else logging.ERROR
        if not access_log.isEnabledFor(level):
            return
        request = handler.request
        taken = 1000.0 * request.request_time()
        values: Values = (status, request.method, request.path, request.remote_ip, taken)
        if self._with_session:
            session = getattr(handler, "_session_own", None)
            values += (None, None) if session is None else (session.id, session.user)
        if self._defer is not None and status < 500 and self._defer(level, values):
            return
        # As `access_log.log` does, without the search for who called it.
        line = WITH_SESSION if self._with_session else LINE
        access_log.handle(access_log.makeRecord(access_log.name, level, "", 0, line, values, None))


def is_request(record: logging.LogRecord) -> bool:
    """Tell whether *record* is a line of the access log; its `args` are the `Values` then."""
    return record.name == access_log.name and record.msg in (LINE, WITH_SESSION)


def message_of(values: Values) -> str:
    """Return the text of a line."""
    return (LINE if len(values) == 5 else WITH_SESSION) % values
