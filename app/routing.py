"""The tree of routes: what a user declares, and its compilation to Tornado's rules."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tornado.routing import Rule
from tornado.web import RequestHandler

from app.binding import bind
from app.mixin import SessionMixin
from app.paths import PathTemplate
from app.policy import SessionPolicy
from app.sessions.errors import ConfigurationError
from app.sessions.manager import SessionManager


@dataclass(frozen=True)
class Route:
    """A path, relative to its group, and its handler.

    `<name>` matches one segment, `<int:id>` and `<uuid:id>` convert, `<path:rest>` takes the
    rest; each reaches the handler's method as a keyword argument. *name* is for `reverse_url`,
    *kwargs* go to the handler's `initialize`.
    """

    path: str
    handler: type[RequestHandler]
    name: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)


class Group:
    """Routes and groups under a common prefix.

    Each flag is inherited from the group above unless given: *sessions* `True` (the application's
    manager), `False`, or a `SessionManager` of its own; *read_only* loads sessions and writes
    none; *authenticated* answers 401 unless the client has a live session.
    """

    def __init__(
        self,
        prefix: str,
        *children: Route | Group,
        sessions: bool | SessionManager | None = None,
        read_only: bool | None = None,
        authenticated: bool | None = None,
    ) -> None:
        self.prefix = prefix
        self.children = children
        self.sessions = sessions
        self.read_only = read_only
        self.authenticated = authenticated


@dataclass(frozen=True)
class Endpoint:
    """One route of the tree with everything that it inherits."""

    route: Route
    template: PathTemplate
    policy: SessionPolicy

    @property
    def path(self) -> str:
        return self.template.template

    @property
    def methods(self) -> list[str]:
        """The methods that the handler implements."""
        handler = self.route.handler
        return [
            method
            for method in handler.SUPPORTED_METHODS
            if getattr(handler, method.lower(), None)
            is not getattr(RequestHandler, method.lower(), None)
        ]

    def rule(self) -> Rule:
        """Return Tornado's rule for this route."""
        target = bind(self.route.handler, self.policy, self.template.converters)
        return Rule(self.template, target, dict(self.route.kwargs), self.route.name)


def compile_routes(root: Group, sessions: SessionManager | None) -> list[Endpoint]:
    """Return the routes below *root*, in order; *sessions* is the application's manager.

    Raises `ConfigurationError`, naming the group, for whatever could not work.
    """
    off = SessionPolicy(None, read_only=False, authenticated=False, group="/", decided_by="")
    endpoints = list(_walk(root, "/", off, sessions))
    _check_paths(endpoints)
    _check_names(endpoints)
    _check_cookies(endpoints)
    return endpoints


def fixed_paths(endpoints: list[Endpoint], rules: list[Rule]) -> dict[str, Rule]:
    """Return the rules of paths without parameters, unless a rule before takes the same path."""
    fixed: dict[str, Rule] = {}
    before: list[PathTemplate] = []
    for endpoint, rule in zip(endpoints, rules, strict=True):
        path = endpoint.template.fixed
        if path is None:
            before.append(endpoint.template)
        elif all(template.arguments(path) is None for template in before):
            fixed[path] = rule
    return fixed


def _walk(
    group: Group, above: str, inherited: SessionPolicy, sessions: SessionManager | None
) -> Iterator[Endpoint]:
    if not isinstance(group, Group):
        raise ConfigurationError(f"group {above}: {group!r} is neither a Route nor a Group")
    path = _join(above, group.prefix)
    policy = _policy(group, path, inherited, sessions)
    for child in group.children:
        if isinstance(child, Route):
            yield _endpoint(child, path, policy)
        else:
            yield from _walk(child, path, policy, sessions)


def _policy(
    group: Group, path: str, inherited: SessionPolicy, sessions: SessionManager | None
) -> SessionPolicy:
    manager, decided_by = inherited.manager, inherited.decided_by
    if group.sessions is not None:
        decided_by = path
        if isinstance(group.sessions, SessionManager):
            manager = group.sessions
        elif group.sessions is False:
            manager = None
        elif group.sessions is not True:
            raise ConfigurationError(
                f"group {path}: sessions is {group.sessions!r}; "
                "it is True, False, None or a SessionManager"
            )
        elif not isinstance(sessions, SessionManager):
            raise ConfigurationError(
                f"group {path}: sessions=True, but the Config has no manager "
                f"(its sessions is {sessions!r:.60}); "
                "give it sessions=SessionManager(store)"
            )
        else:
            manager = sessions
    for name in ("read_only", "authenticated"):
        flag = getattr(group, name)
        if flag not in (None, True, False):
            raise ConfigurationError(f"group {path}: {name} is {flag!r}; it is True, False or None")
        if flag and manager is None:
            raise ConfigurationError(
                f"group {path}: {name}=True, but sessions are off; set sessions=True on it"
            )
    # Flags go on through a group without sessions, to one below that turns them on again.
    return SessionPolicy(
        manager=manager,
        read_only=inherited.read_only if group.read_only is None else group.read_only,
        authenticated=inherited.authenticated
        if group.authenticated is None
        else group.authenticated,
        group=path,
        decided_by=decided_by,
    )


def _endpoint(route: Route, group: str, policy: SessionPolicy) -> Endpoint:
    handler = route.handler
    if not (isinstance(handler, type) and issubclass(handler, RequestHandler)):
        raise ConfigurationError(
            f"group {group}: route {route.path!r} has {handler!r} for a handler; "
            "it takes a subclass of tornado.web.RequestHandler"
        )
    bases = handler.__mro__
    if SessionMixin in bases and bases.index(SessionMixin) > bases.index(RequestHandler):
        raise ConfigurationError(
            f"group {group}: {handler.__name__} has SessionMixin behind RequestHandler; "
            f"write class {handler.__name__}(SessionMixin, RequestHandler)"
        )
    try:
        template = PathTemplate(_join(group, route.path))
    except ConfigurationError as error:
        raise ConfigurationError(f"group {group}: {error}") from None
    endpoint = Endpoint(route, template, policy)
    _check_signatures(endpoint)
    return endpoint


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


def _check_paths(endpoints: list[Endpoint]) -> None:
    seen: list[Endpoint] = []
    for endpoint in endpoints:
        for earlier in seen:
            if earlier.template.shape == endpoint.template.shape:
                problem = "is there twice"
            elif earlier.template.covers(endpoint.template):
                problem = f"is never reached: {earlier.path} comes first; put it behind"
            else:
                continue
            raise ConfigurationError(f"group {endpoint.policy.group}: {endpoint.path} {problem}")
        seen.append(endpoint)


def _check_names(endpoints: list[Endpoint]) -> None:
    seen: dict[str, Endpoint] = {}
    for endpoint in endpoints:
        name = endpoint.route.name
        if name is None:
            continue
        if name in seen:
            raise ConfigurationError(
                f"group {endpoint.policy.group}: {endpoint.path} has the name {name!r}, "
                f"as {seen[name].path} has"
            )
        seen[name] = endpoint


def _check_cookies(endpoints: list[Endpoint]) -> None:
    seen: dict[tuple[str, str], tuple[SessionManager, str]] = {}
    for endpoint in endpoints:
        manager = endpoint.policy.manager
        if manager is None:
            continue
        cookie = manager.cookie
        mine = (manager, endpoint.policy.decided_by)
        first, group = seen.setdefault((cookie.name, cookie.path), mine)
        if first is not manager:
            raise ConfigurationError(
                f"group {endpoint.policy.decided_by}: its SessionManager has the cookie "
                f"{cookie.name!r} with path {cookie.path!r}, as that of group {group} has; "
                "give one of them another name"
            )


def _join(above: str, path: str) -> str:
    return f"{above.rstrip('/')}/{path.lstrip('/')}" if path.strip("/") else above
