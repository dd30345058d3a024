"""What serves a request is a subclass of the handler, under the handler's own name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tornado.web import RequestHandler


def subclass(
    handler: type[RequestHandler],
    members: Mapping[str, Any],
    bases: tuple[type[RequestHandler], ...] = (),
) -> type[RequestHandler]:
    """Return a subclass of *handler* with *members*, and with *bases* behind it."""
    named = {
        **members,
        "__module__": handler.__module__,
        "__qualname__": handler.__qualname__,
        "__doc__": handler.__doc__,
    }
    return cast("type[RequestHandler]", type(handler.__name__, (handler, *bases), named))
