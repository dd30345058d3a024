"""From a handler's class to the class that one route runs: the same, with the route's policy.

Made once for each route when the application is built, so that a request pays for none of it.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from app.mixin import SessionMixin
from app.policy import SessionPolicy

Convert = Callable[[str], object]
Method = Callable[..., Any]


def bind(
    handler: type[RequestHandler], policy: SessionPolicy, converters: Mapping[str, Convert]
) -> type[RequestHandler]:
    """Return a subclass of *handler* that runs within sessions as *policy* says and gets its path
    arguments converted; *handler* itself where there is neither to do.
    """
    bases: tuple[type, ...] = (handler,)
    members: dict[str, Any] = {}
    if issubclass(handler, SessionMixin):
        members["session_policy"] = policy
        if policy.manager is not None:
            if handler.prepare is not SessionMixin.prepare:
                members["prepare"] = _before_verb(handler.prepare)
            members |= _verbs(handler)
    elif policy.required and policy.manager is not None:
        # A handler that knows nothing of sessions is guarded all the same.
        bases = (SessionMixin, handler)
        members["session_policy"] = policy
        members["prepare"] = _before_verb(_one_after_another(SessionMixin.prepare, handler.prepare))
        members |= _verbs(handler)
    if converters:
        members["prepare"] = _convert(members.get("prepare", handler.prepare), converters)
    if not members:
        return handler
    members |= {
        "__module__": handler.__module__,
        "__qualname__": handler.__qualname__,
        "__doc__": handler.__doc__,
    }
    return cast("type[RequestHandler]", type(handler.__name__, bases, members))


def _before_verb(original: Method) -> Method:
    """Bind `prepare` or `data_received`, which may answer but mostly leave that to the verb."""

    @functools.wraps(original)
    def method(self: SessionMixin, *args: Any) -> Awaitable[None] | None:
        return self._session_run(original, args, {}, is_verb=False)

    return method


def _one_after_another(first: Method, second: Method) -> Method:
    async def prepare(self: SessionMixin) -> None:
        await first(self)
        result = second(self)
        if result is not None:
            await result

    return prepare


def _verbs(handler: type[RequestHandler]) -> dict[str, Method]:
    verbs = {}
    if handler.data_received is not RequestHandler.data_received:
        verbs["data_received"] = _before_verb(handler.data_received)
    for name in map(str.lower, handler.SUPPORTED_METHODS):
        handshake = name == "get" and issubclass(handler, WebSocketHandler)
        original = getattr(handler, name, None)
        if original is not None:
            verbs[name] = _handshake(original) if handshake else _verb(original)
    return verbs


def _verb(original: Method) -> Method:
    @functools.wraps(original)
    def verb(self: SessionMixin, *args: Any, **kwargs: Any) -> Any:
        if self._session_running:  # one verb calls another
            return original(self, *args, **kwargs)
        return self._session_run(original, args, kwargs, is_verb=True)

    return verb


def _handshake(original: Method) -> Method:
    @functools.wraps(original)
    async def get(self: SessionMixin, *args: Any, **kwargs: Any) -> None:
        await self._session_handshake(original, *args, **kwargs)

    return get


def _convert(original: Method, converters: Mapping[str, Convert]) -> Method:
    def prepare(self: RequestHandler) -> Any:
        # The matcher saw to it that each converts.
        self.path_kwargs = {
            name: cast(str, converters[name](text)) if name in converters else text
            for name, text in self.path_kwargs.items()
        }
        return original(self)

    return prepare
