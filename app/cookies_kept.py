"""The cookies of the application's sessions, which no handler sets beside the sessions."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, cast

from tornado.escape import native_str
from tornado.web import RequestHandler

from app.sessions.manager import SessionManager

log = logging.getLogger(__name__)


class CookiesKept(RequestHandler):
    """What stands right before `RequestHandler` in the class of a route with sessions."""

    def set_cookie(self, name: str, value: str | bytes, *args: Any, **kwargs: Any) -> None:
        """Set a cookie, but not the session's, which only the session itself sends."""
        name = native_str(name)
        given = {key.lower(): option for key, option in kwargs.items()}  # Tornado takes any case
        domain = given.get("domain", args[0] if args else None)
        path = given.get("path", args[2] if len(args) > 2 else "/")
        at = self.request.path
        # Of all managers: `session_of` may come later.
        managers: Iterable[SessionManager] = cast(Any, self.application).managers
        if any(m.cookie.is_same(name, domain, path, at) for m in managers):
            log.warning(
                "%s: set_cookie(), clear_cookie() and clear_all_cookies() leave the session's "
                "cookie %s alone; use session.destroy() or session.regenerate()",
                at,
                name,
            )
            return
        super().set_cookie(name, value, *args, **kwargs)
