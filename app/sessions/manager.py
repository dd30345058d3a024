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
    SessionTooLarge,
    SessionUnavailable,
)
from app.sessions.gateway import Gateway
from app.sessions.pending import Pending, Presented, Saved
from app.sessions.recognition import CURRENT, REPLACED, UNKNOWN, Standing, choose, recognise
from app.sessions.rotation import inverse_of, rotate, undo_rotation
from app.sessions.session import Session
from app.sessions.stage import Stage
from stores.contract import Create, Delete, Outcome, Record, Store, Update


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
        self._gateway = Gateway(store, clock)
        self._background: set[asyncio.Task[None]] = set()

    # Its own life. The first session opens the store; a service does so beforehand.

    async def open(self) -> None:
        """Open the store. Raises `SessionUnavailable`; trying again later is fine."""
        await self._gateway.open()

    async def close(self) -> None:
        """Close the store and end what runs in the background."""
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
        stage = Stage.READ_ONLY if read_only else Stage.OPEN
        has_cookie, tokens = (False, []) if header is None else self.cookie.find(header)
        presented = Presented(now, has_cookie, over_tls)
        if not tokens:
            return Session(self, None, presented, stage)
        if len(tokens) == 1:
            id, secret = token.decode(tokens[0])
            record = await self._gateway.load(id)
            if record is not None and self._is_alive(record, now):
                standing = recognise(record, secret, now)
            else:
                standing = UNKNOWN
        else:
            record, standing = await self._find(tokens, now)
        if standing is not CURRENT:
            record = None
            if standing is REPLACED and not read_only:
                stage = Stage.REPLACED
        touch_due = record is not None and self._extension(record, now) is not None
        return Session(self, record, presented, stage, touch_due)

    async def save(self, pending: Pending) -> Saved:
        """Have the store acknowledge what a session has pending.

        Raises `SessionTooLarge`, `SessionConflict`, `SessionUnavailable`; nothing is written then.
        """
        saved = pending.record
        if saved is None or pending.ended:
            return await self._replace(pending)
        expires = self._extension(saved, pending.presented.at)
        rotation, secret = None, b""
        if pending.rotate:
            rotation, secret = rotate(saved, pending.user, pending.persistent, self.clock())
        elif not pending.changed and not pending.removed and expires is None:
            return Saved(saved)
        update = Update(saved.id, pending.changed, pending.removed, expires, rotation)
        record = update.applied_to(saved)
        if pending.changed:
            self._check_size(record)
        try:
            outcome = await self._gateway.write(update)
        except SessionUnavailable:
            if rotation is not None:
                inverse = inverse_of(saved, update, rotation, self.clock())
                self._run(undo_rotation(self._gateway, inverse))
            raise
        if outcome is Outcome.CONFLICT:
            raise SessionConflict("the session's token was replaced meanwhile; send it again")
        if outcome is Outcome.MISSING:
            return Saved(None, gone=True)
        if rotation is None:
            return Saved(record)
        return Saved(record, self._make_cookie(pending, record, secret, rotation.rotated))

    async def reload(self, record: Record) -> Record | None:
        """Return *record* as the store has it now; `None` if it is dead or has another token.

        Raises `SessionUnavailable`.
        """
        found = await self._gateway.load(record.id)
        if (
            found is None
            or not self._is_alive(found, self.clock())
            # Its token was replaced: who holds this connection may not be who has signed in.
            or not compare_digest(found.secret_hash, record.secret_hash)
        ):
            return None
        return found

    # Reading

    async def _find(self, tokens: list[str], now: float) -> tuple[Record | None, Standing]:
        """Return the living record that several tokens lead to, from one store call."""
        ids, secrets = zip(*map(token.decode, tokens), strict=True)
        found = zip(secrets, await self._gateway.load_each(ids), strict=True)
        return choose([(s, r) for s, r in found if r is not None and self._is_alive(r, now)], now)

    def _is_alive(self, record: Record, now: float) -> bool:
        return now < record.expires and now < record.created + self._lifetime

    # Writing

    async def _replace(self, pending: Pending) -> Saved:
        """Begin a new record if there is something to keep, then end the former one.

        In that order, so that a failure leaves the client where it was.
        """
        record, cookie = None, None
        if pending.changed or pending.user is not None:
            record, secret = await self._create(pending)
            cookie = self._make_cookie(pending, record, secret, record.created)
        elif pending.ended and pending.cookie_to_remove:
            cookie = self.cookie.render_removal(over_tls=pending.presented.over_tls)
        if pending.record is not None:
            await self._gateway.write(Delete(pending.record.id))
        return Saved(record, cookie)

    async def _create(self, pending: Pending) -> tuple[Record, bytes]:
        """Have the store keep a new record; return it and its secret."""
        now = self.clock()
        secret = token.new_secret()
        record = Record(
            id=token.new_id(),
            secret_hash=token.hash_secret(secret),
            created=now,
            expires=now + min(self._idle, self._lifetime),
            data=pending.changed,
            user=pending.user,
            persistent=pending.persistent,
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

    def _make_cookie(self, pending: Pending, record: Record, secret: bytes, now: float) -> str:
        """Return the new token's cookie, which lasts as long as the session can be extended."""
        left = record.created + self._lifetime - now
        return self.cookie.render(
            token.encode(record.id, secret),
            max_age=max(int(left), 0) if record.persistent else None,
            over_tls=pending.presented.over_tls,
        )

    # In the background

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
