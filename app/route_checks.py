"""What is wrong with a route, alone or beside the others, is told when the application is built."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping

from tornado.web import RequestHandler

from app.current_user import asynchronous, knows_its_user
from app.mixin import SessionMixin
from app.path_notation import literal
from app.routing import Endpoint
from app.session_use import missing_session
from app.sessions.cookie import Cookie
from app.sessions.errors import ConfigurationError
from app.sessions.manager import SessionManager

MIXINS_PREFIX = "_session_"
"""What the names begin with that `SessionMixin` keeps for itself, and the guard, too."""

MIXINS_NAMES = {"session", "session_policy"}
"""Further names that `SessionMixin` keeps for itself."""


def check_handler(endpoint: Endpoint) -> None:
    """Refuse a handler that could not serve its route. Raises `ConfigurationError`."""
    route = endpoint.route
    handler, group = route.handler, endpoint.policy.group
    if not isinstance(route.kwargs, Mapping):
        raise ConfigurationError(
            f"group {group}: route {route.path!r} has {route.kwargs!r:.60} for its kwargs; "
            "they are a dict, or left out"
        )
    if not isinstance(route.name, str | None):
        raise ConfigurationError(
            f"group {group}: route {route.path!r} has {route.name!r:.60} for its name; "
            "it is a str, or left out"
        )
    if not (isinstance(handler, type) and issubclass(handler, RequestHandler)):
        raise ConfigurationError(
            f"group {group}: route {endpoint.route.path!r} has {handler!r} for a handler; "
            "it takes a subclass of tornado.web.RequestHandler"
        )
    if issubclass(handler, SessionMixin):
        _check_mixin(handler, group)
    elif endpoint.policy.manager is not None:
        method = missing_session(handler)
        if method is not None:
            raise ConfigurationError(
                f"group {group}: {method} uses self.session, which only SessionMixin gives; "
                f"write class {handler.__name__}(SessionMixin, RequestHandler)"
            )
    policy = endpoint.policy
    if policy.fresh is not None and policy.manager is None:
        raise ConfigurationError(
            f"group {group}: fresh={policy.fresh}, but sessions are off, and only a session knows "
            "when its user proved who he is; set sessions=True, or fresh=False"
        )
    if policy.authenticated and policy.manager is None and not knows_its_user(handler):
        raise ConfigurationError(
            f"group {group}: authenticated=True, but sessions are off and {handler.__name__} has "
            "no get_current_user() of its own, so that nobody could come in; set sessions=True, "
            "or authenticated=False"
        )
    if policy.authenticated or issubclass(handler, SessionMixin):
        _check_names(handler, group)
        _check_user_is_known_at_once(handler, group)
    _check_signatures(endpoint)


def _check_mixin(handler: type[SessionMixin], group: str) -> None:
    bases = handler.__mro__
    torn = [base for base in bases if issubclass(base, SessionMixin) and _is_torn(base)]
    if torn:
        wrong = torn[-1]  # the others have it from that one
        others = [base.__name__ for base in wrong.__bases__ if base is not SessionMixin]
        raise ConfigurationError(
            f"group {group}: {handler.__name__} has SessionMixin behind RequestHandler; "
            f"write class {wrong.__name__}({', '.join(['SessionMixin', *others])})"
        )
    check = handler.session_check
    is_number = isinstance(check, int | float) and not math.isnan(check)
    if not (is_number or isinstance(check, property)):
        raise ConfigurationError(
            f"group {group}: {handler.__name__}.session_check is {check!r}; "
            "it is a number of seconds"
        )


def _check_names(handler: type[RequestHandler], group: str) -> None:
    """Refuse what a name would hide that the mixin, or the guard, keeps on the handler."""
    has_mixin = issubclass(handler, SessionMixin)
    keeper = "SessionMixin" if has_mixin else "authenticated=True"
    # A class behind the mixin, too: there the mixin's own would take its place.
    for base in handler.__mro__:
        if base in SessionMixin.__mro__:
            continue
        for name in vars(base):
            if not name.startswith(MIXINS_PREFIX) and not (has_mixin and name in MIXINS_NAMES):
                continue
            of = "" if base is handler else f", a base of {handler.__name__},"
            raise ConfigurationError(
                f"group {group}: {base.__name__}{of} defines {name}, but {keeper} keeps "
                f"{_and_names_like(name)} for itself; rename it"
            )


def _and_names_like(name: str) -> str:
    if name in MIXINS_NAMES:
        return "that name"
    return f"the names that begin with {MIXINS_PREFIX}"


def _check_user_is_known_at_once(handler: type[RequestHandler], group: str) -> None:
    method = asynchronous(handler)
    if method is not None:
        raise ConfigurationError(
            f"group {group}: {handler.__name__} takes its user from the coroutine {method}, which "
            "Tornado does not await, so that everybody would be a user; make it a plain method"
        )


def _is_torn(handler: type[SessionMixin]) -> bool:
    """Tell whether some of the mixin is behind RequestHandler, as after a base that is a handler.

    A part of it alone may be.
    """
    order = handler.__mro__
    before = order[: order.index(RequestHandler)] if RequestHandler in order else order
    return not {*SessionMixin.__mro__} - {object} <= {*before}


def _check_signatures(endpoint: Endpoint) -> None:
    """Refuse what Tornado would answer with a dropped connection, or a 500 at each request."""
    handler, route = endpoint.route.handler, endpoint.route
    calls = [("initialize", dict(route.kwargs))]
    calls += [(m.lower(), dict.fromkeys(endpoint.template.parameters)) for m in endpoint.methods]
    for method, arguments in calls:
        try:
            signature = inspect.signature(getattr(handler, method))
            signature.bind(None, **arguments)
        except TypeError as error:
            raise ConfigurationError(
                f"group {endpoint.policy.group}: {endpoint.path} does not fit "
                f"{handler.__name__}.{method}(): {error}"
            ) from None


def check_paths(endpoints: Iterable[Endpoint]) -> None:
    """Refuse a route that is never reached. Raises `ConfigurationError`."""
    shapes: set[str] = set()
    with_parameters: list[Endpoint] = []  # a path without them hides no other
    for endpoint in endpoints:
        template = endpoint.template
        if template.shape in shapes:
            raise _mistake(endpoint, "is declared twice")
        for earlier in with_parameters:
            if earlier.template.covers(template):
                raise _mistake(
                    endpoint,
                    f"is never reached: {earlier.path} comes first; "
                    f"write {endpoint.path} before it",
                )
        shapes.add(template.shape)
        if template.parameters:
            with_parameters.append(endpoint)


def check_names(endpoints: Iterable[Endpoint]) -> None:
    """Refuse a name that two routes have. Raises `ConfigurationError`."""
    seen: dict[str, Endpoint] = {}
    for endpoint in endpoints:
        name = endpoint.route.name
        if name is None:
            continue
        if name in seen:
            raise _mistake(endpoint, f"the name {name!r} is already used by {seen[name].path}")
        seen[name] = endpoint


def _mistake(endpoint: Endpoint, problem: str) -> ConfigurationError:
    return ConfigurationError(f"group {endpoint.policy.group}: {endpoint.path} {problem}")


def check_cookies(endpoints: Iterable[Endpoint]) -> None:
    """Refuse cookies that a browser would not send, or would send together with another manager's.

    Raises `ConfigurationError`.
    """
    groups: dict[SessionManager, str] = {}
    for endpoint in endpoints:
        manager, group = endpoint.policy.manager, endpoint.policy.decided_by
        if manager is None:
            continue
        cookie = manager.cookie
        path = _left_without(endpoint, cookie)
        if path is not None:
            raise ConfigurationError(
                f"group {group}: browsers do not send the cookie {cookie.name!r} with path "
                f"{cookie.path!r} to {path}; write Cookie(path={_fixed_part(group)!r})"
            )
        if manager in groups:
            continue
        for other, its_group in groups.items():
            if _sent_together(cookie, other.cookie):
                raise ConfigurationError(
                    f"group {group}: browsers would send its cookie {cookie.name!r} with path "
                    f"{cookie.path!r} together with that of group {its_group} with path "
                    f"{other.cookie.path!r}; give one of them another name"
                )
        groups[manager] = group


def _left_without(endpoint: Endpoint, cookie: Cookie) -> str | None:
    """Return a path that browsers do not send *cookie* to although it wants a session."""
    group = literal(endpoint.policy.decided_by)
    if cookie.path == f"{group}/":
        return group
    shape = endpoint.template.shape
    wants_session = (
        issubclass(endpoint.route.handler, SessionMixin) or endpoint.policy.authenticated
    )
    return endpoint.path if wants_session and not _path_match(shape, cookie.path) else None


def _sent_together(one: Cookie, other: Cookie) -> bool:
    """Tell whether some request would carry both, as a browser cannot say which is whose."""
    return (
        one.name == other.name
        and (_path_match(one.path, other.path) or _path_match(other.path, one.path))
        and (_domain_match(one.domain, other.domain) or _domain_match(other.domain, one.domain))
    )


def _path_match(path: str, cookie_path: str) -> bool:
    """RFC 6265bis, section 5.1.4."""
    below = cookie_path if cookie_path.endswith("/") else f"{cookie_path}/"
    return path == cookie_path or path.startswith(below)


def _domain_match(domain: str | None, cookie_domain: str | None) -> bool:
    """RFC 6265bis, section 5.1.3. Without one, it is any host that the application runs on."""
    if domain is None or cookie_domain is None:
        return True
    domain, cookie_domain = domain.lower().lstrip("."), cookie_domain.lower().lstrip(".")
    return f".{domain}".endswith(f".{cookie_domain}")


def _fixed_part(group: str) -> str:
    """Return the part of a group's path that is the same for all requests."""
    before, parameter, _ = group.partition("<")
    return (before.rpartition("/")[0] or "/") if parameter else literal(group)
