"""A user whose sessions several processes change, in one order of their store calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app import Session, SessionManager
from app.sessions import token
from stores import Store
from stores.contract import Create, Record
from tests.helpers.cookies import header_of
from tests.helpers.devices import listed, new_user, record_id, user_of
from tests.helpers.orders import Order
from tests.helpers.records import load_records
from tests.helpers.stores_for_tests import SpyStore


class Ticking:
    """A clock that goes on by a millisecond whenever it is looked at."""

    def __init__(self, start: float) -> None:
        self.now = start

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class World:
    """A user, and processes that do something to his sessions, in one order of their calls."""

    def __init__(self, order: Order, clock: Callable[[], float], **options: Any) -> None:
        self.order, self.options = order, {**options, "clock": clock}
        self.user = new_user()
        self.plain = self._manager(order.store)
        self._views: list[SpyStore] = []
        self._known: list[bytes] = []

    def _manager(self, store: Store) -> SessionManager:
        return SessionManager(store, **self.options)

    def process(self) -> SessionManager:
        """Return a manager whose store calls go when it is their turn."""
        view = self.order.view()
        assert isinstance(view, SpyStore)
        self._views.append(view)
        return self._manager(view)

    async def begin(self, user: str | None = None) -> tuple[str, Session]:
        """Return the cookie of a session that is there before, and the session."""
        session = await self.plain.load(None)
        session["cart"] = 1
        if user is not None:
            session.sign_in(user)
        cookie = await session.commit()
        assert cookie is not None
        self._known.append(record_id(session))
        return cookie, session

    async def sign_in(self, cookie: str | None = None) -> str | None:
        """Sign in, under *cookie* if there is one; return the new one."""
        session = await self.process().load(None if cookie is None else header_of(cookie))
        session.sign_in(self.user)
        return await session.commit()

    async def everywhere(self, keep: Session | None = None) -> int:
        return await self.process().sign_out_everywhere(self.user, keep)

    async def live(self) -> dict[bytes, Record]:
        """Return the records of the user's sessions; each must be listed."""
        created = [
            item.id
            for view in self._views
            for kind, items in view.calls
            for item in items
            if kind == "write" and isinstance(item, Create)
        ]
        found = await load_records(self.order.store, [*created, *self._known])
        live = {id: record for id, record in found.items() if record.user == self.user}
        keys = await listed(self.order.store, self.user)
        unlisted = [id for id in live if token.public_id(id) not in keys]
        assert not unlisted, "a session lives that is not listed"
        return live

    async def opens(self, cookie: Any) -> bool:
        return isinstance(cookie, str) and await user_of(self.plain, cookie) == self.user
