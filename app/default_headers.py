"""Headers that an answer has unless its handler says otherwise."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tornado.web import RequestHandler

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

PRIVATE: Mapping[str, str] = MappingProxyType({"Cache-Control": "private, no-cache"})
"""Of a signed-in user's page (RFC 9111, section 5.2.2)."""


def with_defaults(handler: type[RequestHandler]) -> dict[str, Any]:
    """Return the members by which a subclass of *handler* sends its `_session_defaults`.

    Tornado clears all headers before an error page, and the defaults come back then. What the
    handler's own `set_default_headers` and `write_error` say stays.
    """
    own = handler.set_default_headers
    has_own = own is not RequestHandler.set_default_headers  # Tornado's does nothing
    early = has_own or handler.initialize is not RequestHandler.initialize

    @functools.wraps(own)
    def set_default_headers(self: Any) -> None:
        if early:
            self._session_says_caching = False
        if has_own:
            own(self)
        if self._session_defaults:
            set_defaults(self, self._session_defaults)

    return {
        "_session_defaults": NO_HEADERS,
        "set_default_headers": set_default_headers,
        **(_noting(handler) if early else {}),
    }


def _noting(handler: type[RequestHandler]) -> dict[str, Any]:
    """Return methods that note whether *handler* says of caching what is not to be replaced."""

    def noting(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def method(self: Any, name: str, value: Any) -> None:
            if name.lower() == "cache-control":
                self._session_says_caching = True
            original(self, name, value)

        return method

    return {
        "set_header": noting(handler.set_header),
        "add_header": noting(handler.add_header),
    }


def set_defaults(handler: Any, headers: Mapping[str, str]) -> None:
    """Let the answer have *headers*, and an error page in its place, too."""
    handler._session_defaults = headers
    for name, value in headers.items():
        if name != "Cache-Control" or not getattr(handler, "_session_says_caching", False):
            handler.set_header(name, value)
