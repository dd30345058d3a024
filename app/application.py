"""The application: made from a `Config`, with the stores it opens and closes."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tornado.web
from tornado.httputil import HTTPServerRequest

from app.access_log import AccessLog
from app.activity import Activity
from app.origin import replace_unreadable
from app.readiness import Readiness
from app.request_counts import RequestCounts
from app.route_compiler import compile_default, compile_routes
from app.routing import Endpoint, Group
from app.sessions.errors import ConfigurationError, SessionUnavailable
from app.sessions.manager import SessionManager
from app.setting_checks import check_settings, check_xsrf_cookie, tell_of_static_files
from app.too_large import TooLarge, is_too_large
from app.tornado_log import redact
from app.watch import Watches

DEFAULTS: Mapping[str, Any] = {
    "cross_origin_protection": True,
    "log_function": AccessLog(),
    # A peer that is gone without a word is found out, and none may send what fills the memory.
    "websocket_ping_interval": 30,
    "websocket_max_message_size": 1_000_000,
}
"""Tornado settings that this application has unless `Config.settings` says otherwise."""


@dataclass(frozen=True)
class Config:
    """What a deployment decides.

    *sessions* is the manager that groups with `sessions=True` use; *settings* are Tornado's own
    application settings. A `default_handler_class` among them has the flags of the root group.
    """

    routes: Group
    sessions: SessionManager | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)  # has cookie_secret

    def __post_init__(self) -> None:
        if not isinstance(self.settings, Mapping):
            raise ConfigurationError(
                f"the settings of Config are {self.settings!r:.60}; they are a dict, or left out"
            )

    @functools.cached_property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The routes with their flags, compiled once. Raises `ConfigurationError`."""
        endpoints = compile_routes(self.routes, self.sessions)
        check_settings(endpoints, self.settings)
        return endpoints

    @functools.cached_property
    def default(self) -> Endpoint | None:
        """What answers a path of no route, if the settings name it. Raises `ConfigurationError`."""
        return compile_default(self.routes, self.sessions, self.settings)

    @property
    def managers(self) -> list[SessionManager]:
        """The managers of the routes, each once. Raises `ConfigurationError`."""
        served = self.endpoints if self.default is None else (*self.endpoints, self.default)
        managers = dict.fromkeys(endpoint.policy.manager for endpoint in served)
        return [manager for manager in managers if manager is not None]


class Application(tornado.web.Application):
    """A Tornado application that knows its session managers and what it is doing."""

    def __init__(self, config: Config) -> None:
        endpoints, default = config.endpoints, config.default
        settings = {**DEFAULTS, **config.settings}
        if default is not None:
            settings["default_handler_class"] = default.target
        managers = config.managers
        check_xsrf_cookie(managers, settings)
        tell_of_static_files(bool(config.routes.authenticated or config.routes.fresh), settings)
        super().__init__([e.rule for e in endpoints], **settings)
        self.endpoints = endpoints
        self.managers = managers
        served = endpoints if default is None else (*endpoints, default)
        self.activity = Activity(endpoint.target for endpoint in served)
        self._requests: RequestCounts | None = None
        self.watches = Watches()
        self.readiness = Readiness(self.managers)
        self.forwarded: Callable[[HTTPServerRequest], None] | None = None
        """Looks at what proxies say of a client, before anybody else sees the request."""

    @property
    def unsettled(self) -> int:
        """Token rotations without an answer that are being undone."""
        return sum(manager.unsettled for manager in self.managers)

    async def open(self) -> list[SessionUnavailable]:
        """Open the stores; return what kept any from it. They are opened when used in any case."""
        results = await asyncio.gather(*(m.open() for m in self.managers), return_exceptions=True)
        return _failures(results)

    async def close(self) -> None:
        """Close the stores; what is still open is watched no longer."""
        await self.watches.stop()
        for manager in self.managers:
            await manager.close()

    def count_requests(self) -> RequestCounts:
        """Return the counts of requests, which are kept from the first call on."""
        if self._requests is None:
            self._requests = RequestCounts()
        return self._requests

    def log_request(self, handler: tornado.web.RequestHandler) -> None:
        """Log a request that has ended, and count it where somebody asks for that."""
        if self._requests is not None:
            self._requests.note(handler)
        self.settings["log_function"](handler)

    def get_handler_delegate(
        self,
        request: HTTPServerRequest,
        target_class: type[tornado.web.RequestHandler],
        target_kwargs: dict[str, Any] | None = None,
        path_args: list[bytes] | None = None,
        path_kwargs: dict[str, bytes] | None = None,
    ) -> Any:  # Tornado's class for it is private
        if self.forwarded is not None:
            self.forwarded(request)
        if "Origin" in request.headers:
            replace_unreadable(request)
        if request.method not in ("GET", "HEAD") and is_too_large(request, target_class):
            target_class, target_kwargs = TooLarge, None
        counted = self.activity.begin(request, target_class)
        return super().get_handler_delegate(request, counted, target_kwargs, path_args, path_kwargs)


def make_app(config: Config) -> Application:
    """Return the application that *config* describes; no loop need be running.

    Raises `ConfigurationError` for every mistake in the routes and the managers.
    """
    redact()
    return Application(config)


def _failures(results: list[BaseException | None]) -> list[SessionUnavailable]:
    failures = []
    for result in results:
        if isinstance(result, SessionUnavailable):
            failures.append(result)
        elif result is not None:
            raise result
    return failures
