"""Headers that an answer has unless its handler says otherwise."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tornado.web import RequestHandler

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

PRIVATE: Mapping[str, str] = MappingProxyType({"Cache-Control": "private, no-cache"})
"""Of a signed-in user's page (RFC 9111, section 5.2.2)."""


class NotesCaching(RequestHandler):
    """What stands right before `RequestHandler` where a handler may speak of caching early.

    Tornado lets nobody look at a header that was set.
    """

    _session_caching_said = False

    def set_header(self, name: str, value: Any) -> None:
        if name.lower() == "cache-control":
            self._session_caching_said = True
        super().set_header(name, value)

    def add_header(self, name: str, value: Any) -> None:
        if name.lower() == "cache-control":
            self._session_caching_said = True
        super().add_header(name, value)


def with_defaults(
    handler: type[RequestHandler],
) -> tuple[tuple[type[RequestHandler], ...], dict[str, Any]]:
    """Return the bases and members by which a subclass of *handler* sends its `_session_defaults`.

    Tornado clears all headers before an error page, and the defaults come back then. What the
    handler's own `set_default_headers` and `write_error` say stays.
    """
    own = handler.set_default_headers
    has_own = own is not RequestHandler.set_default_headers  # Tornado's does nothing
    speaks_early = has_own or _has_own_initialize(handler)

    @functools.wraps(own)
    def set_default_headers(self: Any) -> None:
        if speaks_early:
            self._session_caching_said = False
        if has_own:
            own(self)
        if self._session_defaults:
            set_defaults(self, self._session_defaults)

    return (NotesCaching,) if speaks_early else (), {
        "_session_defaults": NO_HEADERS,
        "_session_caching_said": False,
        "set_default_headers": set_default_headers,
    }


def set_defaults(handler: Any, headers: Mapping[str, str]) -> None:
    """Let the answer have *headers*, and an error page in its place, too."""
    handler._session_defaults = headers
    for name, value in headers.items():
        if name != "Cache-Control" or not handler._session_caching_said:
            handler.set_header(name, value)


def _has_own_initialize(handler: type[RequestHandler]) -> bool:
    definers = (base for base in handler.__mro__ if "initialize" in vars(base))
    return not next(definers).__module__.startswith("tornado.")
