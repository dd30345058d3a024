"""Keeps what clients send in their headers out of Tornado's log.

Tornado tells of a request that it cannot read by quoting the header it stumbled over. That may be
the `Cookie` header, with a good token beside another site's broken cookie.
"""

from __future__ import annotations

import logging
import re

from tornado.httputil import HTTPInputError


def redact() -> None:
    """See to it that Tornado's log quotes no header; doing so twice is the same as once."""
    logging.getLogger("tornado.general").addFilter(_without_quotations)


def _without_quotations(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            _reason(arg) if isinstance(arg, HTTPInputError) else arg for arg in record.args
        )
    return True


def _reason(error: HTTPInputError) -> str:
    return re.split("['\"]", str(error), maxsplit=1)[0].rstrip(" :")
