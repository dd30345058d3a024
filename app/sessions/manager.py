"""From a cookie to a session, and from a session's changes to the store and a cookie.

The one place that knows both of tokens and of records: recognition, rotation, cookie policy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from hmac import compare_digest

from app.sessions import token, values
from app.sessions.cookie import Cookie
from app.sessions.cookie_warnings import CookieWarnings
from app.sessions.errors import (
    ConfigurationError,
    SessionConflict,
    SessionTooLarge,
    SessionUnavailable,
)
from app.sessions.gateway import Gateway
from app.sessions.pending import Pending, Presented, Saved
from app.sessions.recognition import (
    CURRENT,
    GRACE,
    REPLACED,
    UNKNOWN,
    Standing,
    choose,
    recognise,
)
from app.sessions.rotation import Undoer, rotate
from app.sessions.session import Session
from app.sessions.stage import Stage
from app.sessions.timeouts import Timeouts
from stores.contract import Create, Delete, Outcome, Record, Store, Update

MAX_ROTATIONS = 5
"""Tries at replacing a token that other requests replace at the same time."""


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
        if max_bytes < 2:
            raise ConfigurationError(f"max_bytes is {max_bytes}: an empty session takes 2")
        self.store = store
        self.cookie = cookie or Cookie()
        self.idle_timeout = idle_timeout
        self.lifetime = lifetime
        self.max_bytes = max_bytes
        self.clock = clock
        self.end_listeners: set[Callable[[bytes, bytes], None]] = set()
        """Called with a record's id and the hash of the secret that still opens it, or b"", when a
        session ends or gets a new token."""
        self._timeouts = Timeouts(idle_timeout, lifetime)
        # Above max_bytes, which each request checks in its own copy, so that the store's measure
        # may differ; requests at the same time must not pile up more.
        self._limit = 2 * max_bytes
        self._gateway = Gateway(store, clock)
        self._undoer = Undoer(self._gateway, clock)
        self._warnings = CookieWarnings(self.cookie)

    # Its own life. The first session opens the store; a service does so beforehand.

    async def open(self) -> None:
        """Open the store. Raises `SessionUnavailable`; trying again later is fine."""
        await self._gateway.open()

    async def close(self) -> None:
        """Close the store and end what runs in the background."""
        self._undoer.stop()
        await self._gateway.close()

    async def ping(self) -> None:
        """Return when the store answers; raise `SessionUnavailable` when it does not."""
        await self._gateway.ping()

    @property
    def unsettled(self) -> int:
        """Token rotations without an answer that are being undone; `close` gives them up."""
        return len(self._undoer)

    # A request's two moments

    async def load(
        self,
        header: str | None,
        *,
        over_tls: bool = False,
        read_only: bool = False,
        withheld: bool = False,
    ) -> Session:
        """Return the session that a `Cookie` header presents; a new, empty one if it presents none.

        *withheld* says that a browser keeps the session's cookie back from this request. Raises
        `SessionUnavailable`. The store is asked only for what has the form of a token.
        """
        now = self.clock()
        stage = Stage.READ_ONLY if read_only else Stage.OPEN
        has_cookie, tokens = (False, []) if header is None else self.cookie.find(header)
        if not tokens:
            has_cookie = has_cookie and not withheld  # a removal would hit the one kept back
            return Session(self, None, Presented(now, has_cookie, over_tls, withheld), stage)
        began = time.monotonic()
        several: tuple[Record, ...] = ()
        if len(tokens) == 1:
            id, secret = token.decode(tokens[0])
            record, standing = await self._gateway.load(id), UNKNOWN
            if record is not None and self._timeouts.is_alive(record, now):
                standing = recognise(record, token.hash_secret(self.cookie.name, secret), now)
        else:
            record, standing, several = await self._choose(tokens, now)
        waited = time.monotonic() - began
        if standing is CURRENT and record is not None:
            presented = Presented(now, has_cookie, over_tls, False, waited)
            touch_due = self._timeouts.extension(record, now) is not None
            return Session(self, record, presented, stage, touch_due)
        replaced = record if standing is REPLACED else None
        if replaced is not None and not read_only:
            stage = Stage.REPLACED
        has_cookie = has_cookie and not withheld
        presented = Presented(now, has_cookie, over_tls, withheld, waited, several, replaced)
        return Session(self, None, presented, stage)

    async def save(self, pending: Pending) -> Saved:
        """Have the store acknowledge what a session has pending.

        Raises `SessionTooLarge`, `SessionConflict`, `SessionUnavailable`; nothing is written then.
        """
        saved, presented = pending.record, pending.presented
        if saved is None or pending.ended:
            return await self._replace(pending)
        expires = self._timeouts.extension(saved, pending.extend_from)
        if not (pending.changed or pending.removed or pending.rotate or expires is not None):
            return Saved(saved)
        waited = pending.waited
        if pending.confirm or self.clock() - presented.at > GRACE:
            # The token may have been replaced meanwhile: who planted it must not write any more.
            waited = 0.0
            current = await self.reload(saved)
            if current is None:
                return Saved(None, gone=True)
        if pending.rotate:
            return await self._rotate(pending, saved, expires, waited)
        seen = None if expires is None else pending.extend_from
        update = Update(
            saved.id, pending.changed, pending.removed, expires, None, seen, self._limit
        )
        record = update.applied_to(saved)
        if pending.changed:
            self._check_size(record)
        outcome = await self._gateway.write(update, waited)
        if outcome is Outcome.MISSING:
            self._tell_end(saved.id)
            return Saved(None, gone=True)
        if outcome is Outcome.TOO_LARGE:
            raise SessionTooLarge(None, self.max_bytes, values.largest(pending.changed))
        return Saved(record)

    async def reload(self, record: Record) -> Record | None:
        """Return *record* as the store has it now; `None` if it is dead or has another token.

        Raises `SessionUnavailable`.
        """
        found = await self._gateway.load(record.id)
        if found is None or not self._timeouts.is_alive(found, self.clock()):
            self._tell_end(record.id)
            return None
        # Where its token was replaced, who holds this connection may not be who has signed in.
        if not compare_digest(found.secret_hash, record.secret_hash):
            self._tell_end(record.id, found.secret_hash)
            return None
        return found

    async def ended(self, records: Sequence[Record]) -> list[Record]:
        """Return those of *records* that are dead or have another token by now.

        Raises `SessionUnavailable`.
        """
        now = self.clock()
        found = await self._gateway.load_each([record.id for record in records])
        return [
            record
            for record, now_there in zip(records, found, strict=True)
            if now_there is None
            or not self._timeouts.is_alive(now_there, now)
            or not compare_digest(now_there.secret_hash, record.secret_hash)
        ]

    # Reading

    async def _choose(
        self, tokens: list[str], now: float
    ) -> tuple[Record | None, Standing, tuple[Record, ...]]:
        """Return what several tokens lead to: a record, what its token is, all that are open."""
        ids, secrets = zip(*map(token.decode, tokens), strict=True)
        hashes = [token.hash_secret(self.cookie.name, secret) for secret in secrets]
        found = zip(hashes, await self._gateway.load_each(ids), strict=True)
        record, standing, several = choose(
            [(h, r) for h, r in found if r is not None and self._timeouts.is_alive(r, now)], now
        )
        if several:
            self._warnings.several(several, now)
        return record, standing, several

    # Writing

    async def _rotate(
        self, pending: Pending, saved: Record, expires: float | None, waited: float
    ) -> Saved:
        """Replace the token, with what else changed, of the record as the store has it by now."""
        await self._undoer.settle(saved.id)
        seen = None if expires is None else pending.extend_from
        for _ in range(MAX_ROTATIONS):
            rotation, secret = rotate(
                saved, self.cookie.name, pending.user, pending.persistent, self.clock()
            )
            update = Update(
                saved.id, pending.changed, pending.removed, expires, rotation, seen, self._limit
            )
            record = update.applied_to(saved)
            if pending.changed:
                self._check_size(record)
            try:
                outcome = await self._gateway.write(update, waited)
            except (SessionUnavailable, asyncio.CancelledError):
                self._undoer.undo(saved, update, rotation)
                raise
            if outcome is Outcome.DONE:
                self._tell_end(saved.id, rotation.secret_hash)
                cookie = self._make_cookie(pending, record, secret, rotation.rotated)
                return Saved(record, cookie)
            if outcome is Outcome.TOO_LARGE:
                raise SessionTooLarge(None, self.max_bytes, values.largest(pending.changed))
            found = await self._gateway.load(saved.id)
            if found is None or not self._timeouts.is_alive(found, self.clock()):
                self._tell_end(saved.id)
                return Saved(None, gone=True)
            if not compare_digest(found.secret_hash, saved.secret_hash):
                if not pending.signs_in:
                    raise SessionConflict("the session's token was replaced meanwhile")
                if found.user != pending.user:
                    return await self._replace(pending._replace(record=None))
            saved = found  # the same user signed in at the same time, or a rotation was undone
        raise SessionConflict("the session's token is being replaced by other requests")

    async def _replace(self, pending: Pending) -> Saved:
        """Begin a new record if there is something to keep, then end those that it replaces.

        In that order, so that a failure leaves the client where it was.
        """
        presented, waited = pending.presented, pending.waited
        begins = pending.user is not None or bool(pending.changed)
        if begins and pending.user is None and presented.withheld:
            # The browser has a session, for all that is known, and its cookie would be replaced.
            self._warnings.withheld(presented.at)
            if not pending.ended:
                return Saved(None, gone=True)
            begins = False
        ending = list(presented.several) if pending.ended or pending.signs_in else []
        if pending.ended and pending.record is not None:
            ending.append(pending.record)
        stale: list[Record] = []
        if ending and (pending.confirm or self.clock() - presented.at > GRACE):
            waited = 0.0
            stale = await self.ended(ending)
        record, cookie = None, None
        if begins:
            record, secret = await self._create(pending, waited)
            cookie = self._make_cookie(pending, record, secret, record.created)
        elif pending.ended and pending.cookie_to_remove and not stale:
            cookie = self.cookie.render_removal(over_tls=presented.over_tls)
        ending = [former for former in ending if former not in stale]
        if len(ending) == 1:
            await self._end(ending[0], waited)
        elif ending:
            await asyncio.gather(*(self._end(former, waited) for former in ending))
        return Saved(record, cookie)

    async def _end(self, record: Record, waited: float) -> None:
        await self._gateway.write(Delete(record.id), waited)
        self._tell_end(record.id)

    async def _create(self, pending: Pending, waited: float) -> tuple[Record, bytes]:
        """Have the store keep a new record; return it and its secret."""
        now = self.clock()
        secret = token.new_secret()
        record = Record(
            id=token.new_id(),
            secret_hash=token.hash_secret(self.cookie.name, secret),
            created=now,
            expires=self._timeouts.expiry(now),
            data=pending.changed,
            user=pending.user,
            persistent=pending.persistent,
            seen=now,
        )
        self._check_size(record)
        if await self._gateway.write(Create(record), waited) is not Outcome.DONE:
            # 128 random bits: it is the generator or the store that is broken.
            raise SessionUnavailable(f"store {self.store.name}: has a new session's id already")
        return record, secret

    def _check_size(self, record: Record) -> None:
        if values.surely_fits(record.data, self.max_bytes):
            return
        size = len(values.encode(record.data).encode())
        if size > self.max_bytes:
            raise SessionTooLarge(size, self.max_bytes, values.largest(record.data))

    def _make_cookie(self, pending: Pending, record: Record, secret: bytes, now: float) -> str:
        """Return the new token's cookie, which lasts as long as the session can be extended."""
        return self.cookie.render(
            token.encode(record.id, secret),
            max_age=self._timeouts.left(record, now) if record.persistent else None,
            over_tls=pending.presented.over_tls,
        )

    def _tell_end(self, id: bytes, secret_hash: bytes = b"") -> None:
        """Tell who listens that only the secret of *secret_hash* opens record *id* now."""
        for listener in self.end_listeners:
            listener(id, secret_hash)
