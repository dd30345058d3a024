"""Who may come in to a group with `authenticated=True` or `fresh=`, and what all others get."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Mapping
from typing import Any, cast
from urllib.parse import urlencode, urljoin, urlsplit

from tornado.httputil import HTTPServerRequest
from tornado.web import Finish, RequestHandler

from app.current_user import knows_its_user, refuse_awaitable
from app.default_headers import NO_HEADERS, PRIVATE, set_defaults
from app.freshness import is_fresh
from app.policy import SessionPolicy
from app.sessions.errors import NotAuthenticated, SessionConflict, SessionUnavailable
from app.sessions.manager import SessionManager
from app.sessions.saving import save
from app.sessions.session import Session
from app.sessions.working_copy import refuse_replaced


def guarded(handler: type[RequestHandler], policy: SessionPolicy) -> dict[str, Any]:
    """Return the members by which a handler without sessions of its own takes users only.

    They guard its entry and leave all else as *handler* has it.
    """
    by_session = policy.manager is not None and not knows_its_user(handler)

    async def come_in(self: Any) -> bool:
        """Return whether it is a user who came in, rather than a preflight."""
        session, user = None, None
        asks_session = by_session and "get_current_user" not in vars(self)
        if (asks_session or policy.fresh is not None) and not is_preflight(self):
            session = await load(self, cast(SessionManager, policy.manager), policy)
            if session.live:
                await save(session)  # extends its life
            user = session.user
        if session is None or not asks_session:
            user = self.current_user
        return admit(self, policy, user, session)

    @functools.wraps(handler.prepare)
    async def prepare(self: Any) -> None:
        self._session_guarded = True
        try:
            is_user = await come_in(self)
            if is_user:
                set_defaults(self, PRIVATE)
            result = handler.prepare(self)
            if result is not None:
                await result
            if not is_user:  # prepare may have chosen another method than the preflight's
                admit(self, policy, None, None)
        except (NotAuthenticated, SessionConflict, SessionUnavailable) as error:
            self._session_defaults = {**self._session_defaults, **headers_of(error)}
            raise

    @functools.wraps(handler.flush)
    def flush(self: Any, include_footers: bool = False) -> Any:
        if self._session_guarded:  # the head leaves
            self._session_guarded = False
            self.add_header("Vary", "Cookie")
        return handler.flush(self, include_footers)

    return {
        "_session_guarded": False,
        "prepare": prepare,
        "flush": flush,
    }


def load(
    handler: RequestHandler, manager: SessionManager, policy: SessionPolicy, waited: float = 0.0
) -> Awaitable[Session]:
    """Load the session that the request of *handler* presents to *manager*.

    It has *waited* so many seconds for other stores.
    """
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
        waited=waited,
        client=request,
    )


def headers_of(error: BaseException | None) -> Mapping[str, str]:
    """Return what the page of *error* says besides."""
    if isinstance(error, NotAuthenticated | SessionConflict | SessionUnavailable):
        return error.headers
    return NO_HEADERS


def meets(policy: SessionPolicy, user: Any, session: Session | None) -> bool:
    """Tell whether *user* is somebody, who proved it as lately as *policy* wants it."""
    return bool(user) and (policy.fresh is None or is_fresh(session, user, policy.fresh))


def admit(
    handler: RequestHandler, policy: SessionPolicy, user: Any, session: Session | None
) -> bool:
    """Return whether *user* may come in, rather than a preflight; else raise what is answered.

    A CORS preflight carries no credentials (Fetch, section 3.2.2): it is the handler's to answer.
    Raises `TypeError` for an awaitable, which would be somebody in any case.
    Raises `NotAuthenticated` (401), `SessionConflict` (409) for a token that was just replaced, and
    `Finish` after a redirect to the login page.
    """
    if user and inspect.isawaitable(user):
        refuse_awaitable(handler, user)
    if meets(policy, user, session):
        return True
    if is_preflight(handler):
        return False
    if session is not None:
        refuse_replaced(session)
    request = handler.request
    if is_navigation(request) and (url := _login_url(handler)) and not _leads_back(url, request):
        url = _with_next(url, request)
        # The login page has to do with a user who is signed in.
        handler.redirect(_with_query(url, "reauthenticate=1") if user else url)
        raise Finish
    realm = "login" if policy.manager is None else policy.manager.cookie.name
    if user and policy.fresh is not None:
        raise NotAuthenticated(
            f"group {policy.group} takes users only who proved who they are within {policy.fresh}",
            *(realm, int(policy.fresh.total_seconds())),
        )
    raise NotAuthenticated(f"group {policy.group} takes signed-in users only", realm)


def is_preflight(handler: RequestHandler) -> bool:
    """Tell whether a browser asks *handler*'s own `options` if another origin may send a request.

    It has no body: none may reach an upload's `data_received`.
    """
    request = handler.request
    headers = request.headers
    return (
        request.method == "OPTIONS"
        and "Origin" in headers
        and "Access-Control-Request-Method" in headers
        and headers.get("Content-Length", "0") == "0"
        and "Transfer-Encoding" not in headers
        and inspect.unwrap(type(handler).options) is not RequestHandler.options
    )


def is_navigation(request: HTTPServerRequest) -> bool:
    """Tell whether a person's browser asks for a page to show."""
    accepted = request.headers.get("Accept", "").lower()
    return request.method in ("GET", "HEAD") and "text/html" in accepted


def _login_url(handler: RequestHandler) -> str | None:
    if type(handler).get_login_url is RequestHandler.get_login_url:
        return handler.settings.get("login_url")  # Tornado's raises where there is none
    return handler.get_login_url()


def _leads_back(url: str, request: HTTPServerRequest) -> bool:
    """Tell whether the login page at *url* is the page that was asked for.

    Behind a proxy, the host may have another name here; then the client was sent before.
    """
    try:
        login = urlsplit(urljoin(request.full_url(), url))
    except ValueError:  # the client's Host is no host
        return False
    if login.path != request.path:
        return False
    return login.netloc == request.host or request.query.startswith("next=")


def _with_next(url: str, request: HTTPServerRequest) -> str:
    """Return *url* with the page to come back to, as Tornado's `authenticated` does."""
    uri = str(request.uri)
    if "?" in url or not uri.startswith("/"):
        return url
    if uri[1:2] in ("/", "\\"):  # browsers take what follows for the name of another site
        uri = f"/%2F{uri[2:]}"
    elsewhere = urlsplit(url)
    if elsewhere.scheme or elsewhere.netloc:
        uri = f"{request.protocol}://{request.host}{uri}"
    # Tornado reads a request's line as Latin-1.
    return _with_query(url, urlencode({"next": uri}, encoding="latin-1"))


def _with_query(url: str, query: str) -> str:
    before, hash, fragment = url.partition("#")
    return f"{before}{'&' if '?' in before else '?'}{query}{hash}{fragment}"
