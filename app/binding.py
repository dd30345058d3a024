"""From a handler's class to the class that one route runs: the same, with the route's policy.

Made once for each route when the application is built, so that a request pays for none of it.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, cast

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from app.activity import counting
from app.answer import Answer
from app.cookies_kept import CookiesKept
from app.default_headers import with_defaults
from app.guard import guarded
from app.mixin import SessionMixin
from app.policy import SessionPolicy
from app.session_use import MissingSession
from app.sessions.errors import ConfigurationError
from app.subclass import subclass
from app.websocket import Handshake

Convert = Callable[[str], object]
Method = Callable[..., Any]

DELIVERIES = ("on_message", "on_ping", "on_pong")
"""What Tornado calls with what the client of a WebSocket sent."""


def bind(
    handler: type[RequestHandler], policy: SessionPolicy, converters: Mapping[str, Convert]
) -> type[RequestHandler]:
    """Return a subclass of *handler* that runs within sessions as *policy* says, gets its path
    arguments converted, and says which methods it has to whom it refuses another one.

    Raises `ConfigurationError` where *handler* refuses to be subclassed.
    """
    members: dict[str, Any] = {"write_error": _with_allow(handler)}
    bases: tuple[type[RequestHandler], ...] = ()
    has_mixin = issubclass(handler, SessionMixin)
    if has_mixin:
        members["session_policy"] = policy
    elif policy.manager is not None and not hasattr(handler, "session"):
        members["session"] = MissingSession()
    if has_mixin or policy.authenticated:
        bases, defaults = with_defaults(handler)
        members |= defaults
    if policy.manager is not None:
        bases = (CookiesKept, *bases)
    if issubclass(handler, SessionMixin) and policy.manager is not None:
        if handler.prepare is not SessionMixin.prepare or _guards_behind(handler):
            members["prepare"] = _before_verb(handler.prepare)
        members |= _verbs(handler, check=policy.authenticated)
        bases = (Answer, *bases)
        if issubclass(handler, WebSocketHandler):
            members |= _socket(handler, check=policy.authenticated)
            bases = (Handshake, *bases)
    elif policy.authenticated:
        members |= guarded(handler, policy)
    if converters:
        members["prepare"] = _convert(members.get("prepare", handler.prepare), converters)
    members |= counting(handler, members.get("get", getattr(handler, "get", None)))
    try:
        return subclass(handler, members, bases)
    except Exception as error:  # of the handler's own __init_subclass__ or metaclass
        raise ConfigurationError(
            f"group {policy.group}: a route runs a subclass of its handler, and "
            f"{handler.__name__} refuses to have one: {error}"
        ) from error


def _guards_behind(handler: type[SessionMixin]) -> bool:
    """Tell whether a class behind the mixin has a `prepare`, which may answer."""
    behind = handler.__mro__[handler.__mro__.index(SessionMixin) + 1 :]
    return next(c for c in behind if "prepare" in vars(c)) is not RequestHandler


def _before_verb(original: Method) -> Method:
    """Bind `prepare` or `data_received`, which may answer but mostly leave that to the verb."""

    @functools.wraps(original)
    def method(self: SessionMixin, *args: Any) -> Awaitable[None] | None:
        return self._session_run(original, args, {}, is_verb=False)

    return method


def _verbs(handler: type[SessionMixin], *, check: bool) -> dict[str, Method]:
    verbs = {}
    if handler.data_received is not RequestHandler.data_received:
        verbs["data_received"] = _before_verb(_checked(handler.data_received, check))
    for name in map(str.lower, handler.SUPPORTED_METHODS):
        original = getattr(handler, name, None)
        if original is None:
            continue
        verbs[name] = _verb(_checked(original, check))
    return verbs


def _socket(handler: type[SessionMixin], *, check: bool) -> dict[str, Method]:
    """Bind what a WebSocket has besides; a `get` of its own is a verb that comes to `Handshake`."""
    socket = cast("type[WebSocketHandler]", handler)
    methods = {name: _delivered(getattr(socket, name)) for name in DELIVERIES}
    if socket.get is WebSocketHandler.get:
        methods["get"] = _checked(Handshake.get, check)
    else:
        methods["finish"] = _finish(socket.finish)
    return methods


def _checked(original: Method, check: bool) -> Method:
    """Return *original*, in an `authenticated` group with a second look at who comes in.

    A `prepare` may have swallowed the refusal of the first one.
    """
    if not check:
        return original

    @functools.wraps(original)
    def method(self: SessionMixin, *args: Any, **kwargs: Any) -> Any:
        self._session_admit()
        return original(self, *args, **kwargs)

    return method


def _verb(original: Method) -> Method:
    @functools.wraps(original)
    def verb(self: SessionMixin, *args: Any, **kwargs: Any) -> Any:
        if self._session_running:  # one verb calls another
            return original(self, *args, **kwargs)
        return self._session_run(original, args, kwargs, is_verb=True)

    return verb


def _finish(original: Method) -> Method:
    @functools.wraps(original)
    def finish(self: SessionMixin, *args: Any, **kwargs: Any) -> Any:
        if self._session_running and self.get_status() == 101:
            raise RuntimeError(
                f"{type(self).__qualname__}.get() opens the WebSocket past its session; "
                "let it call `await super().get(...)`"
            )
        return original(self, *args, **kwargs)

    return finish


def _delivered(original: Method) -> Method:
    @functools.wraps(original)
    def deliver(self: SessionMixin, data: str | bytes) -> Any:
        if self._session_socket_ended:  # what the client sent before it heard of the close
            return None
        return original(self, data)

    return deliver


def methods_of(handler: type[RequestHandler]) -> list[str]:
    """Return the methods that *handler* implements."""
    return [
        method
        for method in handler.SUPPORTED_METHODS
        if getattr(handler, method.lower(), None)
        is not getattr(RequestHandler, method.lower(), None)
    ]


def _with_allow(handler: type[RequestHandler]) -> Method:
    """Bind `write_error`: a 405 names the methods that there are (RFC 9110, section 15.5.6)."""
    allow = ", ".join(methods_of(handler))

    @functools.wraps(handler.write_error)
    def write_error(self: RequestHandler, status_code: int, **kwargs: Any) -> None:
        if status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", allow)
        handler.write_error(self, status_code, **kwargs)

    return write_error


def _convert(original: Method, converters: Mapping[str, Convert]) -> Method:
    def prepare(self: RequestHandler) -> Any:
        # The matcher saw to it that each converts.
        self.path_kwargs = {
            name: cast(str, converters[name](text)) if name in converters else text
            for name, text in self.path_kwargs.items()
        }
        return original(self)

    return prepare
