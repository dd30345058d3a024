"""From a cookie to a session, and from a session's changes to the store and a cookie.

The one place that knows both of tokens and of records: recognition, rotation, cookie policy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from hmac import compare_digest

from app.sessions import token
from app.sessions.admission import Admissions
from app.sessions.closing import Closer
from app.sessions.commits import Commits
from app.sessions.cookie import Cookie
from app.sessions.cookie_warnings import CookieWarnings
from app.sessions.counters import Counters
from app.sessions.deeds import begin_deeds
from app.sessions.endings import Endings
from app.sessions.errors import ConfigurationError
from app.sessions.events import EventKind, Events, Listener
from app.sessions.gateway import Gateway
from app.sessions.pending import Client, Presented
from app.sessions.recognition import (
    CURRENT,
    REPLACED,
    UNKNOWN,
    Standing,
    choose,
    recognise,
    why_none,
)
from app.sessions.records import Records
from app.sessions.rotation import Undoer
from app.sessions.session import Session, kept_id
from app.sessions.stage import Stage
from app.sessions.timeouts import Timeouts
from app.sessions.users import Device, Users
from app.sessions.writer import Writer
from stores.contract import MAX_DATA, Record, Store, check_bound

RecordKey = tuple[bytes, bytes]
"""A record's id and the hash of the secret that opens it."""


class SessionManager:
    """Sessions in *store*, kept by a client in *cookie*.

    A session ends *idle_timeout* after the last request that presented it (to a tenth: the store is
    told at most once in a tenth of that time) and *lifetime* after it began, whichever is first.
    It holds at most *max_bytes*, measured as JSON in UTF-8.

    A user has at most *max_per_user* sessions: a further sign-in ends the oldest. Of each sign-in
    the browser's `User-Agent` is kept unless *keep_agent* is false, and its address if
    *keep_address* is true, for the user's list of devices.

    *on_event* is called with each
    `SessionEvent`, after the store's acknowledgement; what it returns may be awaitable, and nobody
    waits for that. *clock* returns Unix time in seconds. Raises `ConfigurationError`.
    """

    def __init__(
        self,
        store: Store,
        *,
        cookie: Cookie | None = None,
        idle_timeout: timedelta = timedelta(days=1),
        lifetime: timedelta = timedelta(days=14),
        max_bytes: int = 64 * 1024,
        max_per_user: int = 100,
        keep_agent: bool = True,
        keep_address: bool = False,
        on_event: Listener | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not isinstance(store, Store):
            raise ConfigurationError(
                f"SessionManager takes a store, not {type(store).__name__}: "
                "MemoryStore(), or open_store(url)"
            )
        if not isinstance(cookie, Cookie | None):
            raise ConfigurationError(f"cookie is {cookie!r:.60}; write cookie=Cookie(name='...')")
        if not (on_event is None or callable(on_event)):
            raise ConfigurationError(
                f"on_event is {on_event!r:.60}: give a function that takes a SessionEvent"
            )
        check_bound("max_bytes", max_bytes, 2)  # an empty session takes them
        check_bound("max_per_user", max_per_user, 1)
        for name, value in (("keep_agent", keep_agent), ("keep_address", keep_address)):
            if type(value) is not bool:
                raise ConfigurationError(f"{name} is {value!r:.60}: give True or False")
        if max_bytes > MAX_DATA // 2:  # concurrent requests may write twice as much
            raise ConfigurationError(
                f"max_bytes is {max_bytes}: give at most {MAX_DATA // 2}, "
                "so that each store can read what it wrote"
            )
        self.store = store
        self.cookie = cookie or Cookie()
        self.idle_timeout = idle_timeout
        self.lifetime = lifetime
        self.max_bytes = max_bytes
        self.clock = clock
        self.endings = Endings()
        self.events = Events(self.cookie.name, clock, on_event)
        self.counters = Counters()
        self.commits = Commits(self.counters)
        self._loads = self.counters.loads
        self.timeouts = Timeouts(idle_timeout, lifetime)
        self._gateway = Gateway(store, clock, self.events, self.counters)
        self.records = Records(self._gateway, clock)
        self._undoer = Undoer(self._gateway, clock)
        self._warnings = CookieWarnings(self.cookie)
        self.users = Users(
            *(self._gateway, self.cookie.name, self.timeouts),
            *(self.endings, clock, self.events.tell),
        )
        admissions = Admissions(
            *(self._gateway, self.users, self.cookie.name, self.timeouts),
            *(max_per_user, keep_agent, keep_address),
        )
        closer = Closer(
            *(self._gateway, self._undoer, self.timeouts),
            *(self.endings, self.events, clock),
        )
        writer = Writer(
            *(self._gateway, self._undoer, admissions, closer),
            *(self.cookie, self._warnings, self.timeouts, self.endings),
            *(self.events, clock),
            max_bytes,
        )
        self.save = writer.save
        self.reload = writer.reload

    # Its own life. The first session opens the store; a service does so beforehand.

    async def open(self) -> None:
        """Open the store. Raises `SessionUnavailable`; trying again later is fine."""
        await self._gateway.open()

    async def close(self) -> None:
        """Close the store and end what runs in the background; `on_event` has a moment before."""
        self._undoer.stop()
        await self.events.settle()
        await self._gateway.close()

    async def ping(self) -> None:
        """Return when the store answers; raise `SessionUnavailable` when it does not."""
        await self._gateway.ping()

    async def estimate(self) -> int | None:
        """Return about how many records the store has, where it can tell that cheaply.

        Raises `SessionUnavailable`.
        """
        return await self._gateway.count()

    @property
    def unsettled(self) -> int:
        """Token rotations without an answer that are being undone; `close` gives them up."""
        return sum(map(len, self._undoer.pending.values()))

    # A request's two moments

    async def load(
        self,
        header: str | None,
        *,
        over_tls: bool = False,
        read_only: bool = False,
        withheld: bool = False,
        waited: float = 0.0,
        client: Client | None = None,
    ) -> Session:
        """Return the session that a `Cookie` header presents; a new, empty one if it presents none.

        *withheld* says that a browser keeps the session's cookie back from this request, *waited*
        how many seconds it has waited for other stores, *client* who sent it. Raises
        `SessionUnavailable`. The store is asked only for what has the form of a token.
        """
        self._gateway.closed = False  # for whoever begins now, it is opened again
        now, began, deeds = self.clock(), time.monotonic(), begin_deeds()
        stage = Stage.READ_ONLY if read_only else Stage.OPEN
        has_cookie, tokens = (False, []) if header is None else self.cookie.find(header)
        if not tokens:
            outcome = "malformed" if has_cookie else "none"
            if has_cookie and header is not None and self.cookie.has_too_many(header):
                self._warnings.too_many(now)
                outcome = "several"
            self._loads[outcome] += 1
            has_cookie = has_cookie and not withheld  # a removal would hit the one kept back
            presented = Presented(
                now, has_cookie, over_tls, withheld, 0.0, (), None, began, client, deeds
            )
            return Session(self, None, presented, stage)
        since = began - waited
        several: tuple[Record, ...] = ()
        if len(tokens) == 1:
            id, secret = token.decode(tokens[0])
            hash = token.hash_secret(self.cookie.name, secret)
            if self._undoer.pending:
                record = await self._undoer.load(id, hash, since)
            else:
                record = await self._gateway.load(id, since)
            standing = UNKNOWN
            if record is not None and self.timeouts.is_alive(record, now):
                standing = recognise(record, hash, now)
            elif self.endings.listeners:
                self.endings.tell(id)
        else:
            id = b""
            record, standing, several = await self._choose(tokens, now, since)
        waited = time.monotonic() - began
        if standing is CURRENT and record is not None:
            self._loads["hit"] += 1
            presented = Presented(
                now, has_cookie, over_tls, False, waited, (), None, began, client, deeds
            )
            touch_due = self.timeouts.extension(record, now) is not None
            return Session(self, record, presented, stage, touch_due)
        expired = record is not None and not self.timeouts.is_alive(record, now)
        unreadable = record is None and id in self._gateway.unreadable
        self._loads[why_none(standing, several, expired, unreadable)] += 1
        replaced = record if standing is REPLACED else None
        if replaced is not None:
            self.events.tell_seldom(EventKind.REPLACED_TOKEN_USED, replaced)
            if not read_only:
                stage = Stage.REPLACED
        has_cookie = has_cookie and not withheld
        presented = Presented(
            now, has_cookie, over_tls, withheld, waited, several, replaced, began, client, deeds
        )
        return Session(self, None, presented, stage)

    # The sessions of a user

    async def devices(self, user: str) -> list[Device]:
        """Return the live sessions of *user*, the last seen first.

        Raises `SessionUnavailable`, and `TypeError` or `ValueError` for what is no user's name.
        """
        return await self.users.devices(user)

    async def sign_out(self, user: str, id: str) -> bool:
        """End the session *id* of *user*; return whether there was one.

        An id of somebody else's ends nothing. Raises as `devices` does.
        """
        return await self.users.sign_out(user, id)

    async def sign_out_everywhere(self, user: str, keep: Session | None = None) -> int:
        """End every session of *user* but *keep*; return how many there were.

        A sign-in that began before is stopped, too: it is answered 409. One of the same request
        that comes afterwards goes on. It ends sessions of this manager's only: of several managers,
        over one store or more, ask each. Raises as `devices` does.
        """
        return await self.users.sign_out_everywhere(user, kept_id(keep))

    async def ended(self, keys: Sequence[RecordKey]) -> set[RecordKey]:
        """Return those of *keys* that open nothing by now.

        Raises `SessionUnavailable`.
        """
        now = self.clock()
        ids = list({id for id, _ in keys})
        unsure = set(self._undoer.pending)
        each = await self._gateway.load_each(ids, opened=False)  # one is never another's trouble
        found = dict(zip(ids, each, strict=True))
        unsure.update(self._undoer.pending)  # a rotation that is being undone ends nothing
        ended = set()
        for id, secret_hash in keys:
            record = found[id]
            if (
                record is None
                or not self.timeouts.is_alive(record, now)
                or not (id in unsure or compare_digest(record.secret_hash, secret_hash))
            ):
                ended.add((id, secret_hash))
        return ended

    # Reading

    async def _choose(
        self, tokens: list[str], now: float, since: float
    ) -> tuple[Record | None, Standing, tuple[Record, ...]]:
        """Return what several tokens lead to: a record, what its token is, all that are open."""
        ids, secrets = zip(*map(token.decode, tokens), strict=True)
        hashes = [token.hash_secret(self.cookie.name, secret) for secret in secrets]
        found = zip(hashes, await self._undoer.load_each(ids, hashes, since), strict=True)
        record, standing, several = choose(
            [(h, r) for h, r in found if r is not None and self.timeouts.is_alive(r, now)], now
        )
        if several:
            self._warnings.several(several, now)
            for found_open in several:
                self.events.tell_seldom(EventKind.SEVERAL_TOKENS, found_open)
        return record, standing, several
