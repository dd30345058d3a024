"""From the tree of routes to its endpoints. Whatever could not work is refused here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from app.paths import PathTemplate
from app.policy import SessionPolicy
from app.route_checks import check_cookies, check_handler, check_names, check_paths
from app.routing import Endpoint, Group, Route
from app.sessions.errors import ConfigurationError
from app.sessions.manager import SessionManager

OFF = SessionPolicy(None, read_only=False, authenticated=False, group="/", decided_by="")
"""What the root of the tree inherits."""


def compile_routes(root: Group, sessions: SessionManager | None) -> tuple[Endpoint, ...]:
    """Return the routes below *root*, in order; *sessions* is the application's manager.

    Raises `ConfigurationError`, naming the group, for whatever could not work.
    """
    endpoints = tuple(_walk(root, "/", "/", OFF, sessions))
    check_paths(endpoints)
    check_names(endpoints)
    check_cookies(endpoints)
    return endpoints


def compile_default(
    root: Group, sessions: SessionManager | None, settings: Mapping[str, Any]
) -> Endpoint | None:
    """Return what answers a path of no route, under the flags of *root*.

    `None` if the settings name no `default_handler_class`. Raises `ConfigurationError`.
    """
    handler = settings.get("default_handler_class")
    if not handler:
        return None
    policy = _policy(root, _join("/", "/", root.prefix), OFF, sessions)
    try:
        route = Route("", handler, kwargs=settings.get("default_handler_args") or {})
        return _endpoint(route, "/", "/", policy)
    except ConfigurationError as error:
        raise ConfigurationError(f"default_handler_class: {error}") from None


def _walk(
    group: Group, above: str, prefix: str, inherited: SessionPolicy, sessions: SessionManager | None
) -> Iterator[Endpoint]:
    """Yield the endpoints of *group*; *above* is the path of the group above, *prefix* its own."""
    if not isinstance(group, Group):
        raise ConfigurationError(f"group {above}: {group!r} is neither a Route nor a Group")
    path = _join(above, prefix, group.prefix)
    policy = _policy(group, path, inherited, sessions)
    for child in group.children:
        if isinstance(child, Route):
            yield _endpoint(child, path, group.prefix, policy)
        else:
            yield from _walk(child, path, group.prefix, policy, sessions)


def _join(above: str, prefix: str, path: str) -> str:
    """Return *path* below *above*, a group whose prefix as written is *prefix*."""
    if not isinstance(path, str):
        raise ConfigurationError(f"group {above}: {path!r} is not a path")
    relative = path.lstrip("/")
    if relative != path:
        for repeated in (above.strip("/"), prefix.strip("/")):
            if repeated and f"{relative}/".startswith(f"{repeated}/"):
                raise ConfigurationError(
                    f"group {above}: {path!r} begins with the path of its group, and paths are "
                    f"relative to that; write {relative[len(repeated) + 1 :]!r} for "
                    f"{_below(above, relative[len(repeated) :])}, or {relative!r} for "
                    f"{_below(above, relative)}"
                )
    return _below(above, path)


def _below(above: str, path: str) -> str:
    return f"{above.rstrip('/')}/{path.lstrip('/')}" if path.strip("/") else above


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
        if flag and name == "read_only" and manager is None:
            raise ConfigurationError(
                f"group {path}: {name}=True, but sessions are off; set sessions=True on it"
            )
    fresh = _fresh(group, path, inherited)
    authenticated = group.authenticated
    if authenticated is None:
        authenticated = inherited.authenticated or fresh is not None
    # Flags go on through a group without sessions, to one below that turns them on again.
    return SessionPolicy(
        manager=manager,
        read_only=inherited.read_only if group.read_only is None else group.read_only,
        authenticated=authenticated,
        group=path,
        decided_by=decided_by,
        fresh=fresh,
    )


def _fresh(group: Group, path: str, inherited: SessionPolicy) -> timedelta | None:
    fresh = group.fresh
    if fresh is None:
        fresh = inherited.fresh or False
    elif not (fresh is False or (isinstance(fresh, timedelta) and fresh > timedelta(0))):
        raise ConfigurationError(
            f"group {path}: fresh is {fresh!r}; it is a timedelta above zero, False or None"
        )
    if fresh is False:
        return None
    if group.authenticated is False:
        raise ConfigurationError(
            f"group {path}: authenticated=False, but fresh={fresh} takes signed-in users only; "
            "set fresh=False, too, or leave authenticated out"
        )
    return fresh


def _endpoint(route: Route, group: str, prefix: str, policy: SessionPolicy) -> Endpoint:
    path = _join(group, prefix, route.path)
    try:
        template = PathTemplate(path)
    except ConfigurationError as error:
        raise ConfigurationError(f"group {group}: {error}") from None
    endpoint = Endpoint(route, template, policy)
    check_handler(endpoint)
    return endpoint
