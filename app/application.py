"""The application: made from a `Config`, with the stores it opens and closes."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tornado.web
from tornado.httputil import HTTPServerRequest
from tornado.websocket import WebSocketHandler

from app.readiness import Readiness
from app.routing import Endpoint, Group, compile_routes, fixed_paths
from app.sessions.errors import SessionUnavailable
from app.sessions.manager import SessionManager
from app.tornado_log import redact

DEFAULTS: Mapping[str, Any] = {
    "cross_origin_protection": True,
    # A peer that is gone without a word is found out, and none may send what fills the memory.
    "websocket_ping_interval": 30,
    "websocket_max_message_size": 1_000_000,
}
"""Tornado settings that this application has unless `Config.settings` says otherwise."""


@dataclass(frozen=True)
class Config:
    """What a deployment decides.

    *sessions* is the manager that groups with `sessions=True` use; *settings* are Tornado's own
    application settings.
    """

    routes: Group
    sessions: SessionManager | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)  # has cookie_secret


class Application(tornado.web.Application):
    """A Tornado application that knows its session managers, its requests in flight and its open
    WebSockets.
    """

    def __init__(self, endpoints: list[Endpoint], settings: Mapping[str, Any]) -> None:
        rules = [e.rule() for e in endpoints]
        super().__init__(rules, **{**DEFAULTS, **settings})
        # Without a look at every rule before; Tornado's own for static files would be among those.
        self._fixed = {} if "static_path" in settings else fixed_paths(endpoints, rules)
        self.endpoints = endpoints
        self.managers = list(
            dict.fromkeys(e.policy.manager for e in endpoints if e.policy.manager is not None)
        )
        self.readiness = Readiness(self.managers)
        # Weak, because a client that goes away in the middle of its request leaves without a word.
        self._in_flight: weakref.WeakSet[HTTPServerRequest] = weakref.WeakSet()
        # WebSockets that are open; app.binding sees to it that they leave when they end.
        self.open_sockets: weakref.WeakSet[WebSocketHandler] = weakref.WeakSet()

    async def open(self) -> list[SessionUnavailable]:
        """Open the stores; return what kept any from it. They are opened when used in any case."""
        results = await asyncio.gather(*(m.open() for m in self.managers), return_exceptions=True)
        return _failures(results)

    async def close(self) -> None:
        """Close the stores."""
        for manager in self.managers:
            await manager.close()

    @property
    def requests_in_flight(self) -> Iterable[HTTPServerRequest]:
        """Those that have begun and are not answered yet."""
        return self._in_flight

    @property
    def in_flight(self) -> int:
        """Requests that have begun and are not answered yet."""
        return len(self._in_flight)

    def add_handlers(self, host_pattern: str, host_handlers: Any) -> None:
        super().add_handlers(host_pattern, host_handlers)
        self._fixed = {}  # the host is to be looked at first

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        rule = self._fixed.get(request.path)
        if rule is None:
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, rule.target, rule.target_kwargs)

    def get_handler_delegate(
        self,
        request: HTTPServerRequest,
        target_class: type[tornado.web.RequestHandler],
        target_kwargs: dict[str, Any] | None = None,
        path_args: list[bytes] | None = None,
        path_kwargs: dict[str, bytes] | None = None,
    ) -> Any:  # Tornado's class for it is private
        self._in_flight.add(request)
        return super().get_handler_delegate(
            request, target_class, target_kwargs, path_args, path_kwargs
        )

    def log_request(self, handler: tornado.web.RequestHandler) -> None:
        self._in_flight.discard(handler.request)
        if isinstance(handler, WebSocketHandler) and handler.get_status() == 101:
            self.open_sockets.add(handler)
        super().log_request(handler)


def make_app(config: Config) -> Application:
    """Return the application that *config* describes; no loop need be running.

    Raises `ConfigurationError` for every mistake in the routes and the managers.
    """
    redact()
    return Application(compile_routes(config.routes, config.sessions), config.settings)


def _failures(results: list[BaseException | None]) -> list[SessionUnavailable]:
    failures = []
    for result in results:
        if isinstance(result, SessionUnavailable):
            failures.append(result)
        elif result is not None:
            raise result
    return failures
