"""What is wrong with Tornado's settings beside the routes is told when the application is built."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from app.current_user import knows_its_user
from app.path_notation import literal
from app.routing import Endpoint
from app.sessions.errors import ConfigurationError
from app.sessions.manager import SessionManager

log = logging.getLogger(__name__)


def check_settings(endpoints: Iterable[Endpoint], settings: Mapping[str, Any]) -> None:
    """Refuse a login page that lets nobody in, and a route that static files hide.

    Raises `ConfigurationError`.
    """
    _check_login_url(endpoints, settings.get("login_url"))
    _check_static_files(endpoints, settings)


def check_xsrf_cookie(managers: Iterable[SessionManager], settings: Mapping[str, Any]) -> None:
    """Refuse a session cookie that Tornado's XSRF cookie replaces. Raises `ConfigurationError`."""
    name = settings.get("xsrf_cookie_name", "_xsrf")
    if any(manager.cookie.name == name for manager in managers):
        raise ConfigurationError(
            f"cookie {name!r}: Tornado's XSRF cookie has that name; write another, Cookie(name=...)"
        )


def static_prefix(settings: Mapping[str, Any]) -> str | None:
    """Return below which path Tornado serves the files of its setting `static_path`."""
    return settings.get("static_url_prefix", "/static/") if settings.get("static_path") else None


def _check_login_url(endpoints: Iterable[Endpoint], url: object) -> None:
    guarded = [e for e in endpoints if e.policy.authenticated]
    if url is None or url == "":  # there is none
        return
    path = _path_here(url, relative=not guarded)
    if not guarded or path is None:
        return
    for endpoint in endpoints:
        if endpoint.template.arguments(literal(path)) is None:
            continue
        policy = endpoint.policy
        is_closed = policy.authenticated and not knows_its_user(endpoint.route.handler)
        if is_closed or policy.fresh is not None:
            and_not_fresh = "" if policy.fresh is None else ", fresh=False"
            raise ConfigurationError(
                f"group {policy.group}: the setting login_url leads to {endpoint.path}, "
                "which takes signed-in users only, so that nobody could sign in; put its route "
                f"into a group with authenticated=False{and_not_fresh}"
            )
        return


def _path_here(url: object, *, relative: bool) -> str | None:
    """Return the path of *url*, or `None` for another site's. Refuse what leads nowhere for sure.

    A *relative* one leads from each page to another.
    """
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        parts = None
    if parts is not None and parts.netloc:
        return None
    if parts is not None and (parts.path.startswith("/") or relative):
        return parts.path
    raise ConfigurationError(
        f"the setting login_url is {url!r:.60}; write a path that begins with /, or a whole URL"
    )


def _check_static_files(endpoints: Iterable[Endpoint], settings: Mapping[str, Any]) -> None:
    prefix = static_prefix(settings)
    if prefix is None:
        return
    for endpoint in endpoints:
        shape = endpoint.template.shape
        if shape.startswith(prefix) or shape in ("/favicon.ico", "/robots.txt"):
            raise ConfigurationError(
                f"group {endpoint.policy.group}: {endpoint.path} is never reached: with the "
                "setting static_path, Tornado serves files there; write another path, or a "
                "route to StaticFileHandler in the setting's place"
            )


def tell_of_static_files(root_is_guarded: bool, settings: Mapping[str, Any]) -> None:
    """Tell in the log that static files are for everybody, where all else is not."""
    prefix = static_prefix(settings)
    if root_is_guarded and prefix is not None:
        log.info(
            "the files of the setting static_path are public at %s, for no group holds them; "
            "a route to StaticFileHandler takes signed-in users only",
            prefix,
        )
