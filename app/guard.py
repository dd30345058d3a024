"""Who may come in to a group with `authenticated=True`, and what everybody else is answered."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from tornado.httputil import HTTPServerRequest
from tornado.web import Finish, RequestHandler

from app.policy import SessionPolicy
from app.sessions.errors import NotAuthenticated, SessionConflict, SessionUnavailable
from app.sessions.manager import SessionManager
from app.sessions.session import Session
from app.sessions.working_copy import refuse_replaced, save

PRIVATE = "private, no-cache"
"""`Cache-Control` of a signed-in user's page that says nothing else (RFC 9111, section 5.2.2)."""


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def guarded(handler: type[RequestHandler], policy: SessionPolicy) -> dict[str, Callable[..., Any]]:
    """Return the methods by which a handler without sessions of its own takes users only.

    They guard its entry and leave all else as *handler* has it.
    """
    by_session = policy.manager is not None and not knows_its_user(handler)

    @functools.wraps(handler.prepare)
    async def prepare(self: RequestHandler) -> None:
        session = None
        if by_session and not is_preflight(self.request):
            session = await load(self, cast(SessionManager, policy.manager), policy)
            if session.live:
                await save(session)  # extends its life
        self.add_header("Vary", "Cookie")
        user = session.user if session is not None else self.current_user
        admit(self, policy, user, session)
        if user:
            self.set_header("Cache-Control", PRIVATE)
        result = handler.prepare(self)
        if result is not None:
            await result

    @functools.wraps(handler.send_error)
    def send_error(self: Any, status_code: int = 500, **kwargs: Any) -> None:
        self._session_error_headers = {"Vary": "Cookie", **headers_of(kwargs)}
        handler.send_error(self, status_code, **kwargs)

    @functools.wraps(handler.finish)
    def finish(self: Any, chunk: Any = None) -> Any:
        for name, value in getattr(self, "_session_error_headers", NO_HEADERS).items():
            self.set_header(name, value)
        return handler.finish(self, chunk)

    return {"prepare": prepare, "send_error": send_error, "finish": finish}


def load(
    handler: RequestHandler, manager: SessionManager, policy: SessionPolicy
) -> Awaitable[Session]:
    """Load the session that the request of *handler* presents to *manager*."""
    request = handler.request
    header = request.headers.get("Cookie")
    if header is not None and "," in header:
        # Several lines are one (RFC 9113, section 8.2.3); Tornado joins those of any header by ",".
        header = "; ".join(request.headers.get_list("Cookie"))
    return manager.load(
        header,
        over_tls=request.protocol == "https",
        read_only=policy.read_only,
        withheld=manager.cookie.is_kept_back(request.method)
        and request.headers.get("Sec-Fetch-Site") == "cross-site",
    )


def headers_of(error: dict[str, Any]) -> Mapping[str, str]:
    """Return what an error page says besides, of the keyword arguments of `send_error`."""
    exception = error.get("exc_info", (None, None))[1]
    if isinstance(exception, NotAuthenticated | SessionConflict | SessionUnavailable):
        return exception.headers
    return NO_HEADERS


def knows_its_user(handler: type[RequestHandler]) -> bool:
    """Tell whether *handler* says by a `get_current_user` of its own who its user is."""
    definers = (base for base in handler.__mro__ if "get_current_user" in vars(base))
    return any(base.__module__ not in ("app.mixin", "tornado.web") for base in definers)


def admit(
    handler: RequestHandler, policy: SessionPolicy, user: Any, session: Session | None
) -> None:
    """Return if *user* is somebody; else raise what the client is answered.

    A CORS preflight carries no credentials (Fetch, section 3.2.2): it is the handler's to answer.
    Raises `NotAuthenticated` (401), `SessionConflict` (409) for a token that was just replaced, and
    `Finish` after a redirect to the login page.
    """
    if user or is_preflight(handler.request):
        return
    if session is not None:
        refuse_replaced(session)
    login = handler.settings.get("login_url") if _is_default_login(handler) else True
    if login and is_navigation(handler.request):
        url = handler.get_login_url()
        if urlsplit(url).path != handler.request.path:  # else the login page leads to itself
            handler.redirect(_with_next(url, handler.request))
            raise Finish
    realm = "login" if policy.manager is None else policy.manager.cookie.name
    raise NotAuthenticated(f"group {policy.group} takes signed-in users only", realm)


def is_preflight(request: HTTPServerRequest) -> bool:
    """Tell whether a browser asks beforehand if another origin may send a request."""
    return (
        request.method == "OPTIONS"
        and "Origin" in request.headers
        and "Access-Control-Request-Method" in request.headers
    )


def is_navigation(request: HTTPServerRequest) -> bool:
    """Tell whether a person's browser asks for a page to show."""
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", "")


def _is_default_login(handler: RequestHandler) -> bool:
    return type(handler).get_login_url is RequestHandler.get_login_url


def _with_next(url: str, request: HTTPServerRequest) -> str:
    """Return *url* with the page to come back to, as Tornado's `authenticated` does."""
    if "?" in url:
        return url
    back = request.full_url() if urlsplit(url).scheme else str(request.uri)
    if back.startswith(("//", "/\\")):  # which browsers take for the name of another site
        back = f"/%2F{back[2:]}"
    return f"{url}?{urlencode({'next': back})}"
