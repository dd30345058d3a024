"""Ways to a process: by its manager, as a handler's request has it, or over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from tornado.web import HTTPError

from app import Group, Route, Session, SessionManager
from app.sessions.working_copy import take_cookie
from tests.helpers.deeds import GONE, Deed
from tests.helpers.pages import Page
from tests.helpers.site import Site
from tests.helpers.steps import cookies_set

Act = Callable[[Session], Awaitable[None]]


class Door(Protocol):
    """A way to one process."""

    manager: SessionManager

    async def send(self, deed: Deed, act: Act) -> Session | None:
        """Let a request with the deed's token do *act*; note the answer; return its session."""


class Direct:
    """Calls the manager as a handler's request would."""

    def __init__(self, manager: SessionManager) -> None:
        self.manager = manager

    async def send(self, deed: Deed, act: Act) -> Session | None:
        name, session = self.manager.cookie.name, None
        try:
            session = await self.manager.load(deed.token and f"{name}={deed.token}")
            await act(session)
            await session.commit()
            deed.status = 200
        except HTTPError as error:
            deed.status = error.status_code
        except asyncio.CancelledError:
            deed.status = GONE
        if session is not None:
            note_cookie(deed, take_cookie(session))
        return session


def note_cookie(deed: Deed, cookie: str | None) -> None:
    """Note what a `Set-Cookie` header says."""
    if cookie is not None:
        deed.token_set = cookie.partition(";")[0].partition("=")[2] or None
        deed.removed = deed.token_set is None


class Acting(Page):
    """Does what the setting "acts" has under the number."""

    async def get(self, number: int) -> None:
        await self.settings["acts"][number](self.session)


class Served:
    """Sends requests to an application of its own."""

    ROUTES = Group("/", Route("act/<int:number>", Acting), sessions=True)

    def __init__(self, serve: Callable[..., Site], manager: SessionManager) -> None:
        self.manager = manager
        self._acts: dict[int, Act] = {}
        self._site = serve(self.ROUTES, manager, acts=self._acts)

    async def send(self, deed: Deed, act: Act) -> Session | None:
        sessions: list[Session] = []

        async def noted(session: Session) -> None:
            sessions.append(session)
            await act(session)

        self._acts[deed.number] = noted
        name = self.manager.cookie.name
        headers = {"Cookie": f"{name}={deed.token}"} if deed.token else {}
        response = await self._site.fetch(
            f"/act/{deed.number}", headers=headers, request_timeout=60
        )
        deed.status = response.code
        for cookie in cookies_set(response):
            note_cookie(deed, cookie)
        return sessions[0] if sessions else None
