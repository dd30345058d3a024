"""What an application is doing: its requests in flight and its open WebSockets."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable
from typing import Any, cast

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from app.subclass import subclass


class Activity:
    """Counts requests from `begin` to their answer, and WebSockets while they are open.

    The references are weak, for a client that leaves in the middle of its request ends nothing.
    """

    def __init__(self, counted: Iterable[type[RequestHandler]] = ()) -> None:
        """*counted* are the classes that have the members of `counting`."""
        self.requests: weakref.WeakSet[HTTPServerRequest] = weakref.WeakSet()
        """Those that have begun and are not answered yet."""
        self.sockets: weakref.WeakSet[WebSocketHandler] = weakref.WeakSet()
        """Those that are open."""
        self._counted = {handler: handler for handler in counted}

    def begin(
        self, request: HTTPServerRequest, handler: type[RequestHandler]
    ) -> type[RequestHandler]:
        """Note that *request* has arrived; return *handler*, or a subclass, that tells its end."""
        self.requests.add(request)
        counted = self._counted.get(handler)
        if counted is None:  # no route's
            counted = subclass(handler, counting(handler, getattr(handler, "get", None)))
            self._counted[handler] = counted
        return counted


def counting(handler: type[RequestHandler], get: Callable[..., Any] | None) -> dict[str, Any]:
    """Return the members by which a subclass of *handler* tells its application its end.

    It does so whatever hooks *handler* overrides. *get* is what answers a GET.
    """
    has_own = handler.on_finish is not RequestHandler.on_finish  # Tornado's does nothing
    is_socket = issubclass(handler, WebSocketHandler)

    @functools.wraps(handler.on_finish)
    def on_finish(self: Any) -> None:
        activity: Activity = self.application.activity
        activity.requests.discard(self.request)
        if is_socket and self.get_status() == 101:  # the handshake is done
            activity.sockets.add(self)
        if has_own:
            handler.on_finish(self)

    if not is_socket:
        return {"on_finish": on_finish}
    # Not by on_close: there is none after an `open` that failed.
    original = cast(Callable[..., Any], get)

    @functools.wraps(original)
    async def get_until_closed(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            result = original(self, *args, **kwargs)
            if result is not None:
                await result
        finally:
            self.application.activity.sockets.discard(self)

    return {"on_finish": on_finish, "get": get_until_closed}
