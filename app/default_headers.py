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

    @functools.wraps(own)
    def set_default_headers(self: Any) -> None:
        if has_own:
            own(self)
        if self._session_defaults:
            set_defaults(self, self._session_defaults)

    members: dict[str, Any] = {
        "_session_defaults": NO_HEADERS,
        "set_default_headers": set_default_headers,
    }
    if _has_own_initialize(handler):
        members |= _noting(handler, set_default_headers)
    elif has_own:
        members["_session_says_caching"] = _asking(own)
    return members


def set_defaults(handler: Any, headers: Mapping[str, str]) -> None:
    """Let the answer have *headers*, and an error page in its place, too."""
    handler._session_defaults = headers
    says_caching = getattr(handler, "_session_says_caching", None)
    for name, value in headers.items():
        if name != "Cache-Control" or says_caching is None or not says_caching():
            handler.set_header(name, value)


# Tornado lets nobody look at a header that was set. Two ways to know if one of caching was:


def _asking(own: Callable[[Any], None]) -> Callable[[Any], bool]:
    """Return a method that calls *own* again, which sets the default headers, and sets none."""

    def says_caching(self: Any) -> bool:
        names: list[str] = []

        def note(name: str, value: object) -> None:
            names.append(name.lower())

        self.set_header = self.add_header = note
        try:
            own(self)
        finally:
            del self.set_header, self.add_header
        return "cache-control" in names

    return says_caching


def _has_own_initialize(handler: type[RequestHandler]) -> bool:
    definers = (base for base in handler.__mro__ if "initialize" in vars(base))
    return not next(definers).__module__.startswith("tornado.")


def _noting(
    handler: type[RequestHandler], set_default_headers: Callable[[Any], None]
) -> dict[str, Any]:
    """Return methods that note it; for `initialize`, which cannot be called twice."""

    def noting(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def method(self: Any, name: str, value: Any) -> None:
            if name.lower() == "cache-control":
                self._session_caching_said = True
            original(self, name, value)

        return method

    @functools.wraps(set_default_headers)
    def begin(self: Any) -> None:
        self._session_caching_said = False
        set_default_headers(self)

    return {
        "set_default_headers": begin,
        "set_header": noting(handler.set_header),
        "add_header": noting(handler.add_header),
        "_session_says_caching": lambda self: self._session_caching_said,
    }
