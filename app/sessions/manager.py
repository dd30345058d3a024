"""From a cookie to a session, and from a session's changes to the store and a cookie.

The one place that knows both of tokens and of records: life-times, rotation, cookie policy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from hmac import compare_digest

from app.sessions import token, values
from app.sessions.cookie import Cookie
from app.sessions.errors import (
    ConfigurationError,
    SessionConflict,
    SessionReadOnly,
    SessionTooLarge,
    SessionUnavailable,
)
from app.sessions.gateway import Gateway
from app.sessions.recognition import CURRENT, REPLACED, UNKNOWN, Standing, choose, recognise
from app.sessions.rotation import rotate, take_back, undone
from app.sessions.session import OPEN, READ_ONLY, SUPERSEDED, Session
from app.sessions.sweeper import Sweeper
from stores.contract import JSON, Create, Delete, Outcome, Record, Store, Update


class SessionManager:
    """Sessions in *store*, kept by a client in *cookie*.

    A session ends *idle_timeout* after the last request that presented it (to a tenth: the store is
    told at most once in a tenth of that time) and *lifetime* after it began, whichever is first.
    It holds at most *max_bytes*, measured as JSON in UTF-8. *clock* returns Unix time in seconds.
    Raises `ConfigurationError`.
    """

    def __init__(
        self,
        store: Store,
        *,
        cookie: Cookie | None = None,
        idle_timeout: timedelta = timedelta(days=1),
        lifetime: timedelta = timedelta(days=14),
        max_bytes: int = 64 * 1024,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not isinstance(store, Store):
            raise ConfigurationError(
                f"SessionManager takes a store, not {type(store).__name__}: "
                "MemoryStore(), or open_store(url)"
            )
        for name, period in (("idle_timeout", idle_timeout), ("lifetime", lifetime)):
            if not isinstance(period, timedelta) or period <= timedelta(0):
                raise ConfigurationError(f"{name} must be a timedelta above zero, not {period!r}")
        if max_bytes < 2:
            raise ConfigurationError(f"max_bytes is {max_bytes}: an empty session takes 2")
        self.store = store
        self.cookie = cookie or Cookie()
        self.idle_timeout = idle_timeout
        self.lifetime = lifetime
        self.max_bytes = max_bytes
        self.clock = clock
        self._idle = idle_timeout.total_seconds()
        self._lifetime = lifetime.total_seconds()
        self._gateway = Gateway(store, opened=lambda: self._sweeper.start())
        self._sweeper = Sweeper(self._gateway, clock)
        self._background: set[asyncio.Task[None]] = set()

    # Its own life. The first session opens the store; a service does so beforehand.

    async def open(self) -> None:
        """Open the store. Raises `SessionUnavailable`; trying again later is fine."""
        await self._gateway.open()

    async def close(self) -> None:
        """Close the store and end what runs in the background."""
        self._sweeper.stop()
        for task in self._background:
            task.cancel()
        await self._gateway.close()

    async def ping(self) -> None:
        """Return when the store answers; raise `SessionUnavailable` when it does not."""
        await self._gateway.ping()

    # A request's two moments

    async def load(
        self, header: str | None, *, over_tls: bool = False, read_only: bool = False
    ) -> Session:
        """Return the session that a `Cookie` header presents; a new, empty one if it presents none.

        Raises `SessionUnavailable`. The store is asked only for what has the form of a token.
        """
        now = self.clock()
        stage = READ_ONLY if read_only else OPEN
        presented, tokens = (False, []) if header is None else self.cookie.find(header)
        if not tokens:
            return Session(self, None, stage, now, False, presented, over_tls)
        if len(tokens) == 1:
            id, secret = token.decode(tokens[0])
            record = await self._gateway.load(id)
            if record is not None and self._lives(record, now):
                standing = recognise(record, secret, now)
            else:
                standing = UNKNOWN
        else:
            record, standing = await self._find(tokens, now)
        if standing is not CURRENT:
            record = None
            if standing is REPLACED and not read_only:
                stage = SUPERSEDED
        touch_due = record is not None and self._extension(record, now) is not None
        return Session(self, record, stage, now, touch_due, presented, over_tls)

    async def commit(self, session: Session) -> None:
        """Have the store acknowledge the session's changes; put what the client needs to be told
        into `session._set_cookie`.

        Raises `SessionTooLarge`, `SessionConflict`, `SessionUnavailable`, and `TypeError` or
        `ValueError` for a nested value that cannot be kept. Nothing is written then.
        """
        while session._saving is not False:  # by another task of the same request
            if session._saving is True:
                session._saving = asyncio.get_running_loop().create_future()
            await session._saving
        session._saving = True
        try:
            changed, removed = session._delta()
            if session._stage is READ_ONLY:
                if changed or removed:
                    raise SessionReadOnly(
                        "a list or dict of the session was changed in a group with read_only=True"
                    )
            elif session._gone or session._stage is SUPERSEDED:
                session._begin(None)
            elif session.live:
                await self._update(session, changed, removed)
            else:
                await self._replace(session, changed)
        finally:
            waiting, session._saving = session._saving, False
            if isinstance(waiting, asyncio.Future):
                waiting.set_result(None)

    async def refresh(self, session: Session) -> bool:
        """Go on from what the store has; return whether there is anything under this token.

        Raises `SessionUnavailable`.
        """
        record = await self._read_again(session)
        if record is not None:
            session._begin(record)
        return record is not None

    async def still_lives(self, session: Session) -> bool:
        """Return whether the session's token opens its record, leaving its changes as they are.

        Raises `SessionUnavailable`.
        """
        return await self._read_again(session) is not None

    async def _read_again(self, session: Session) -> Record | None:
        saved = session._saved
        if saved is None or session._destroyed:
            return None
        record = await self._gateway.load(saved.id)
        if (
            record is None
            or not self._lives(record, self.clock())
            # Its token was replaced: who holds this connection may not be who has signed in.
            or not compare_digest(record.secret_hash, saved.secret_hash)
        ):
            self._drop(session)
            return None
        return record

    # Reading

    async def _find(self, tokens: list[str], now: float) -> tuple[Record | None, Standing]:
        """Return the living record that several tokens lead to, from one store call."""
        ids, secrets = zip(*map(token.decode, tokens), strict=True)
        found = zip(secrets, await self._gateway.load_each(ids), strict=True)
        return choose([(s, r) for s, r in found if r is not None and self._lives(r, now)], now)

    def _lives(self, record: Record, now: float) -> bool:
        return now < record.expires and now < record.created + self._lifetime

    # Writing

    async def _update(self, session: Session, changed: dict[str, JSON], removed: list[str]) -> None:
        saved = session._saved
        assert saved is not None
        expires = self._extension(saved, session._presented_at)
        rotation, secret = None, b""
        if session._rotating:
            rotation, secret = rotate(saved, session._user, session.persistent, self.clock())
        elif not changed and not removed and expires is None:
            return
        update = Update(saved.id, changed, removed, expires, rotation)
        record = update.applied_to(saved)
        if changed:
            self._check_size(record)
        try:
            outcome = await self._gateway.write(update)
        except SessionUnavailable:
            if rotation is not None:
                self._run(take_back(self._gateway, undone(saved, update, rotation, self.clock())))
            raise
        if outcome is Outcome.CONFLICT:
            raise SessionConflict("the session's token was replaced meanwhile; send it again")
        if outcome is Outcome.MISSING:
            self._drop(session)
            return
        if rotation is not None:
            self._tell(session, record, secret, rotation.rotated)
        session._acknowledge(record, rotated=rotation is not None, destroyed=0)

    async def _replace(self, session: Session, changed: dict[str, JSON]) -> None:
        """Begin a new record if there is something to keep, then end the one that was destroyed.

        In that order, so that a failure leaves the client where it was.
        """
        destroyed = session._destroyed
        ending = session._saved if destroyed else None
        record, begun = None, None
        if changed or session._user is not None:
            begun = await self._create(session, changed)
        if ending is not None:
            await self._gateway.write(Delete(ending.id))
        if begun is not None:
            record, secret = begun
            self._tell(session, record, secret, record.created)
        elif destroyed and (session._cookie_presented or session._set_cookie is not None):
            session._set_cookie = self.cookie.render_removal(over_tls=session._over_tls)
        session._acknowledge(record, rotated=True, destroyed=destroyed)

    async def _create(self, session: Session, data: dict[str, JSON]) -> tuple[Record, bytes]:
        """Have the store keep a new record; return it and its secret."""
        now = self.clock()
        secret = token.new_secret()
        record = Record(
            id=token.new_id(),
            secret_hash=token.hash_secret(secret),
            created=now,
            expires=now + min(self._idle, self._lifetime),
            data=data,
            user=session._user,
            persistent=session.persistent,
        )
        self._check_size(record)
        if await self._gateway.write(Create(record)) is not Outcome.DONE:
            # 128 random bits: it is the generator or the store that is broken.
            raise SessionUnavailable(f"store {self.store.name}: has a new session's id already")
        return record, secret

    def _check_size(self, record: Record) -> None:
        if values.surely_fits(record.data, self.max_bytes):
            return
        size = len(values.encode(record.data).encode())
        if size > self.max_bytes:
            raise SessionTooLarge(size, self.max_bytes)

    def _extension(self, record: Record, presented_at: float) -> float | None:
        """Return until when the record is to live, or `None` while a touch is not due."""
        expires = presented_at + self._idle
        end = record.created + self._lifetime
        if expires > end:
            expires = end
        return expires if expires - record.expires >= self._idle / 10 else None

    def _tell(self, session: Session, record: Record, secret: bytes, now: float) -> None:
        """Prepare the cookie; its age is what is left of the life-time, so a touch needs none."""
        left = record.created + self._lifetime - now
        session._set_cookie = self.cookie.render(
            token.encode(record.id, secret),
            max_age=max(int(left), 0) if record.persistent else None,
            over_tls=session._over_tls,
        )

    def _drop(self, session: Session) -> None:
        """Let a session that was destroyed meanwhile stay so: no record, no cookie."""
        session._begin(None)
        session._gone = True
        session._set_cookie = None

    # In the background

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
