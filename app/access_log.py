"""The access log: one line for each request, without its query string.

The line is made for every request, so it is made cheaply, and not at all where nobody reads it.
"""

from __future__ import annotations

import logging
from typing import Any

from tornado.log import access_log
from tornado.web import RequestHandler

FIELDS = ("status", "method", "path", "address", "milliseconds")
LINE = "%d %s %s (%s) %.2fms"
WITH_SESSION = f"{LINE} session=%s user=%s"


def log_request(handler: RequestHandler) -> None:
    """Log a request that has ended; Tornado's setting `log_function`."""
    level = _level(handler)
    if access_log.isEnabledFor(level):
        _write(level, LINE, _values(handler))


def log_request_with_session(handler: RequestHandler) -> None:
    """Log it with the session's public id, and who is signed in."""
    level = _level(handler)
    if access_log.isEnabledFor(level):
        session = getattr(handler, "_session_own", None)
        id, user = (session.id, session.user) if session is not None else (None, None)
        _write(level, WITH_SESSION, (*_values(handler), id, user))


def is_request(record: logging.LogRecord) -> bool:
    """Tell whether *record* is a line of the access log."""
    return record.name == access_log.name and record.msg in (LINE, WITH_SESSION)


def request_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the parts of an access log's line, by their names."""
    values = record.args if isinstance(record.args, tuple) else ()
    fields: dict[str, Any] = dict(zip((*FIELDS, "session", "user"), values, strict=False))
    return fields | {"milliseconds": round(fields["milliseconds"], 2)}


def _level(handler: RequestHandler) -> int:
    status = handler.get_status()
    if status < 400:
        # Health checks come every few seconds, and say nothing when all is well.
        return logging.INFO if getattr(handler, "logs_success", True) else logging.DEBUG
    return logging.WARNING if status < 500 else logging.ERROR


def _write(level: int, line: str, values: tuple[object, ...]) -> None:
    """Do as `access_log.log` does, without the search for who called it."""
    access_log.handle(access_log.makeRecord(access_log.name, level, "", 0, line, values, None))


def _values(handler: RequestHandler) -> tuple[object, ...]:
    request = handler.request
    return (
        handler.get_status(),
        request.method,
        request.path,
        request.remote_ip,
        1000.0 * request.request_time(),
    )
