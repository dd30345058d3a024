"""The page itself: what the session is, whose it is, where else he is signed in, the routes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from app import Application, SessionManager
from app.route_table import flags
from handlers.page import words
from handlers.page.account import opens_other_pages
from handlers.page.base import PageHandler
from handlers.page.devices import FRESH


class Ends(NamedTuple):
    """When a session ends."""

    idle: datetime
    """If it is not used again."""
    latest: datetime
    """However much it is used."""


class Overview(PageHandler):
    """Shows all of it; looking changes nothing."""

    async def get(self) -> None:
        session, manager = self.session, self._manager
        now = datetime.fromtimestamp(manager.clock(), UTC)
        devices = await session.devices()
        self.render(
            "overview.html",
            session=session,
            manager=manager,
            flashes=session.flashes(),
            ended=self.request.query == "ended",
            now=now,
            ends=self._ends(now),
            cookie=self._cookie(),
            devices=sorted(devices, key=lambda device: not device.current),
            fresh=session.authenticated is not None and now - session.authenticated < FRESH,
            signs_in=not opens_other_pages(self),
            routes=self._routes(),
            words=words,
        )

    head = get

    @property
    def _manager(self) -> SessionManager:
        assert self.session_policy is not None
        assert self.session_policy.manager is not None
        return self.session_policy.manager

    def _ends(self, now: datetime) -> Ends | None:
        created = self.session.created
        if created is None:
            return None
        latest = created + self._manager.lifetime
        return Ends(min(now + self._manager.idle_timeout, latest), latest)

    def _cookie(self) -> list[tuple[str, str]]:
        """Return the attributes of the session's cookie, each with what it does."""
        cookie = self._manager.cookie
        rendered = cookie.render("", max_age=None, over_tls=self.request.protocol == "https")
        attributes = rendered.split("; ")[1:]
        found = [(a, _MEANINGS.get(a) or _MEANINGS[a.partition("=")[0]]) for a in attributes]
        if self.session.persistent:
            return [*found, ("Max-Age", "stays when the browser is closed")]
        return [*found, ("no Max-Age", "goes when the browser is closed")]

    def _routes(self) -> list[dict[str, Any]]:
        application = cast(Application, self.application)
        return [
            {
                "path": endpoint.path,
                "methods": ", ".join(endpoint.methods),
                "flags": flags(endpoint.policy),
            }
            for endpoint in application.endpoints
        ]


_MEANINGS = {
    "Path": "sent to these paths",
    "Domain": "sent to this domain and those below it",
    "SameSite=Lax": "forms on other sites are sent without it",
    "SameSite=Strict": "forms and links on other sites are sent without it",
    "SameSite=None": "sent with the requests of other sites, too",
    "HttpOnly": "no script can read it",
    "Partitioned": "another one on each site that embeds this one",
    "Secure": "sent over TLS only",
}
