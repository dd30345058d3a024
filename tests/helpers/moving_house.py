"""Sessions that move from one store to another while two processes serve and a copier copies."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from app import SessionManager, SessionUnavailable
from app.operating.copying import Copier, Tally
from app.sessions import token, user_record
from stores import MovingStore, Store
from stores.contract import Create, Record
from tests.helpers.opened import while_open

PER_USER = 20
"""Sessions of a user at the beginning."""

WORKERS = 6
"""Steps at a time, each of another session."""

NUMBER = int(os.environ.get("MOVING_SESSIONS", "2000"))
"""How many sessions there are at the beginning."""

STEP = max(80, min(500, NUMBER // 80))
"""Records of a copier's step: few, so that much happens between two."""


@dataclass
class Known:
    """What clients know of one session."""

    id: bytes
    user: str | None
    tokens: list[str]
    """The last one opens it."""
    data: dict[str, Any] = field(default_factory=dict)
    """What was acknowledged."""
    is_busy: bool = False
    ended: bool = False
    unsure: bool = False
    """Whether an answer was 503, so that nobody knows what was saved."""

    @property
    def cookie(self) -> str:
        return f"session={self.tokens[-1]}"


class MovingHouse:
    """*make_new* and *make_old* make the stores anew, as each process has them."""

    def __init__(
        self, make_new: Callable[[], Store], make_old: Callable[[], Store], number: int, seed: int
    ) -> None:
        self._make_new, self._make_old = make_new, make_old
        self.random = random.Random(seed)
        self.known: list[Known] = []
        self.number = number
        self.done: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}
        self.pause = min(10.0, number / 4000)
        """Seconds between two steps of the deployment."""

    def new_manager(self) -> SessionManager:
        return SessionManager(self._make_new())

    def moving_manager(self, *, moves: bool = True) -> SessionManager:
        return SessionManager(MovingStore(self._make_new(), self._make_old(), moves=moves))

    # Before

    async def move_in(self) -> None:
        """Fill the old store: sessions of users, each in his list, and of nobody."""
        async with while_open(self._make_old()) as store:
            for start in range(0, self.number, 500):
                numbers = range(start, min(start + 500, self.number))
                await store.write([Create(record) for record in self._records(numbers)])

    def _records(self, numbers: range) -> list[Record]:
        now = time.time()
        records, lists = [], dict[str, Record]()
        for n in numbers:
            id, secret = token.new_id(), token.new_secret()
            user = None if n % 4 == 0 else f"user {n // PER_USER}"
            known = Known(id, user, [token.encode(id, secret)], {"n": n, "text": "x" * 200})
            self.known.append(known)
            hash = token.hash_secret("session", secret)
            records.append(
                Record(
                    *(id, hash, now, now + 86400, dict(known.data), user),
                    authenticated=None if user is None else now,
                    seen=now,
                )
            )
            if user is not None:
                join = user_record.join(user, id, "session", now, now + 86400, {})
                assert join.or_create is not None
                lists[user] = join.applied_to(lists.get(user, join.or_create))
        return [*records, *lists.values()]

    # Meanwhile

    async def serve(self, managers: list[SessionManager], until: asyncio.Future[Any]) -> None:
        """Do this and that with the sessions, until the copier is done and for a while longer."""
        await asyncio.gather(*(self._work(managers, until) for _ in range(WORKERS)))

    async def _work(self, managers: list[SessionManager], until: asyncio.Future[Any]) -> None:
        steps: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
            "write": self._write,
            "read": self._read,
            "rotate": self._rotate,
            "sign in": self._sign_in,
            "end": self._end,
        }
        left = 5
        while left:
            left -= until.done()
            known = self.random.choice(self.known)
            if known.is_busy or known.ended:
                await asyncio.sleep(0)
                continue
            known.is_busy = True
            what = self.random.choices([*steps], [40, 30, 10, 5, 15])[0]
            try:
                await steps[what](known, *self.random.sample(managers, 2))
                self.done[what] += 1
            except SessionUnavailable:
                known.unsure = True
                self.done["503"] += 1
            finally:
                known.is_busy = False

    async def _read(self, known: Known, manager: SessionManager, _: SessionManager) -> None:
        session = await manager.load(known.cookie)
        assert session.live or known.unsure, "a session was lost"
        if not known.unsure:
            assert dict(session) == known.data
            assert session.user == known.user

    async def _write(self, known: Known, *managers: SessionManager) -> None:
        """Change different keys in both processes at once."""
        value = self.random.random()
        sessions = [await manager.load(known.cookie) for manager in managers]
        for key, session in zip("ab", sessions, strict=True):
            assert session.live or known.unsure, "a session was lost"
            if session.live:
                session[key] = value
        await asyncio.gather(*(session.commit() for session in sessions))
        known.data |= {"a": value, "b": value}

    async def _rotate(self, known: Known, manager: SessionManager, _: SessionManager) -> None:
        session = await manager.load(known.cookie)
        if session.live:
            session.regenerate()
            self._keep(known, await session.commit())

    async def _sign_in(self, known: Known, manager: SessionManager, _: SessionManager) -> None:
        session = await manager.load(known.cookie)
        if not session.live:
            return
        user = known.user or f"user {self.random.randrange(self.number // PER_USER + 1)}"
        session.sign_in(user)
        cookie = await session.commit()
        if session.live:
            known.user = user
            self._keep(known, cookie)

    async def _end(self, known: Known, manager: SessionManager, other: SessionManager) -> None:
        """Sign out, while another request of the session is in flight."""
        session, late = await manager.load(known.cookie), await other.load(known.cookie)
        if not session.live or not late.live:
            assert known.unsure, "a session was lost"
            return
        late["late"] = 1
        session.destroy()
        await asyncio.gather(session.commit(), late.commit())
        known.ended = True
        for each in (manager, other):
            assert not (await each.load(known.cookie)).live, "a session that ended opens"

    def _keep(self, known: Known, cookie: str | None) -> None:
        assert cookie is not None
        known.tokens.append(cookie.partition(";")[0].partition("=")[2])

    async def copy(self) -> Tally:
        """Copy what the old store has; return what became of it."""
        source, target = SessionManager(self._make_old()), self.new_manager()
        copier = Copier(source, target, source.timeouts.is_alive)
        try:
            await source.open()
            await target.open()
            after, is_first = None, True
            while is_first or after is not None:
                page = await source.records.scan(after, STEP)
                await copier.copy(page.found)
                after, is_first = page.after, False
        finally:
            await source.close()
            await target.close()
        return copier.tally

    async def move(self) -> Tally:
        """Deploy process by process, copy under load; return what became of it in a second run."""
        async with AsyncExitStack() as stack:
            managers = [
                SessionManager(self._make_old()),
                self.moving_manager(moves=False),
                *(self.moving_manager() for _ in range(3)),
            ]
            for manager in managers:
                stack.push_async_callback(manager.close)
                await manager.open()
            for step in (managers[:2], managers[1:3]):
                await self.serve(step, asyncio.ensure_future(asyncio.sleep(self.pause)))
            began = time.monotonic()
            copying = asyncio.ensure_future(self.copy())
            await self.serve(managers[2:], copying)
            await copying
            self.seconds["under load"] = time.monotonic() - began
        began = time.monotonic()
        again = await self.copy()
        self.seconds["again"] = time.monotonic() - began
        return again

    # Afterwards

    async def check(self) -> None:
        """Look at every session in the new store alone."""
        manager = self.new_manager()
        await manager.open()
        try:
            for start in range(0, len(self.known), 200):
                await asyncio.gather(
                    *(self._check(manager, known) for known in self.known[start : start + 200])
                )
            by_user: dict[str, list[Known]] = {}
            for known in self.known:
                if known.user is not None:
                    by_user.setdefault(known.user, []).append(known)
            for user, theirs in by_user.items():
                await self._check_user(manager, user, theirs)
        finally:
            await manager.close()

    async def _check(self, manager: SessionManager, known: Known) -> None:
        for former in known.tokens if known.ended else known.tokens[:-1]:
            session = await manager.load(f"session={former}")
            assert known.unsure or not session.live, "what ended was revived"
        if not known.ended:
            await self._read(known, manager, manager)

    async def _check_user(
        self, manager: SessionManager, user: str, theirs: Sequence[Known]
    ) -> None:
        if any(known.unsure for known in theirs):
            return
        listed = {device.id for device in await manager.devices(user)}
        assert listed == {token.public_id(known.id) for known in theirs if not known.ended}
