"""Keeps headers and query strings of clients out of Tornado's log.

Tornado tells of a request that it cannot read by quoting the header it stumbled over. That may be
the `Cookie` header, with a good token beside another site's broken cookie. It tells of an error by
quoting the request's first line, the query string too, in which applications have tokens as well.
"""

from __future__ import annotations

import logging
import re

from tornado.httputil import HTTPInputError, HTTPServerRequest


def redact() -> None:
    """See to it that Tornado's log quotes neither; doing so twice is the same as once."""
    for name in ("tornado.general", "tornado.application"):
        logging.getLogger(name).addFilter(_without_quotations)


def _without_quotations(record: logging.LogRecord) -> bool:
    if record.msg in _OF_SIGNED_COOKIES:
        record.args = ("(left out)",)
    if isinstance(record.args, tuple):
        record.args = tuple(map(_quotable, record.args))
    return True


_OF_SIGNED_COOKIES = frozenset(
    f"{what} %r"
    for what in (
        "Invalid cookie signature",
        "Expired cookie",
        "Cookie timestamp in future; possible tampering",
        "Tampered cookie",
    )
)
"""What Tornado says of a cookie of `set_signed_cookie`, with its value."""

_SUMMARY = re.compile(r"([A-Z]+ [^?\s]*)\?\S* (\([^()]*\))")
"""A request as Tornado quotes it, with its query string: `GET /path?query (address)`."""


def _quotable(arg: object) -> object:
    if isinstance(arg, HTTPInputError):
        return _reason(arg)
    if isinstance(arg, HTTPServerRequest):
        return f"{type(arg).__name__}({arg.method} {arg.host}{arg.path}, from {arg.remote_ip})"
    if isinstance(arg, str) and "?" in arg:
        return _SUMMARY.sub(r"\1 \2", arg)
    return arg


_QUOTED = re.compile(r"['\":]|(?<=Unsupported Transfer-Encoding) ")
"""What stands before the client's own words in the reasons that Tornado gives."""


def _reason(error: HTTPInputError) -> str:
    return _QUOTED.split(str(error), maxsplit=1)[0].rstrip()
