"""What an application is doing: its requests in flight and its open WebSockets."""

from __future__ import annotations

import functools
import weakref
from typing import Any, cast

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler


class Activity:
    """Counts requests from `begin` to their answer, and WebSockets while they are open.

    The references are weak, for a client that leaves in the middle of its request ends nothing.
    """

    def __init__(self) -> None:
        self.requests: weakref.WeakSet[HTTPServerRequest] = weakref.WeakSet()
        """Those that have begun and are not answered yet."""
        self.sockets: weakref.WeakSet[WebSocketHandler] = weakref.WeakSet()
        """Those that are open."""
        self._counted: dict[type[RequestHandler], type[RequestHandler]] = {}

    def begin(
        self, request: HTTPServerRequest, handler: type[RequestHandler]
    ) -> type[RequestHandler]:
        """Note that *request* has arrived; return a subclass of *handler* that tells its end.

        It does so whatever hooks *handler* overrides.
        """
        self.requests.add(request)
        counted = self._counted.get(handler)
        if counted is None:
            counted = self._counted[handler] = self._make_counted(handler)
        return counted

    def _make_counted(self, handler: type[RequestHandler]) -> type[RequestHandler]:
        requests, sockets = self.requests, self.sockets
        has_own = handler.on_finish is not RequestHandler.on_finish  # Tornado's does nothing
        is_socket = issubclass(handler, WebSocketHandler)

        @functools.wraps(handler.on_finish)
        def on_finish(self: RequestHandler) -> None:
            requests.discard(self.request)
            if is_socket and self.get_status() == 101:  # the handshake is done
                sockets.add(cast(WebSocketHandler, self))
            if has_own:
                handler.on_finish(self)

        members: dict[str, Any] = {
            "__module__": handler.__module__,
            "__qualname__": handler.__qualname__,
            "__doc__": handler.__doc__,
            "on_finish": on_finish,
        }
        if is_socket:
            # Not by on_close: there is none after an `open` that failed.
            get = cast(Any, handler).get

            @functools.wraps(get)
            async def get_until_closed(self: WebSocketHandler, *args: Any, **kwargs: Any) -> None:
                try:
                    result = get(self, *args, **kwargs)
                    if result is not None:
                        await result
                finally:
                    sockets.discard(self)

            members["get"] = get_until_closed
        return cast("type[RequestHandler]", type(handler.__name__, (handler,), members))
