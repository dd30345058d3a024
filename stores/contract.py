"""The store contract: records, changes to them, and the operations of a store.

A store knows nothing of HTTP, tokens or time-outs. It keeps records under their 16-byte id and
applies changes to them, many at a time. `app.sessions.manager.SessionManager` decides who may see a
record, and for how long.
"""

from __future__ import annotations

import abc
import enum
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

MAX_DATA = 4 * 1024 * 1024
"""Bytes of a record's data, as JSON text in UTF-8, that every store can read back.

What is larger is `Unreadable`: decoding it would hold up every other request.
"""

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""The time of the loop's clock at which the caller of a store operation gives it up.

It may be nearer than the store's `timeout`: a request has waited before. What a store can refuse by
it, when it comes late, overwrites nothing that was acknowledged meanwhile.
"""


class ConfigurationError(ValueError):
    """A setting that cannot work. Its text names the setting and the mend, and no secret."""


def check_bound(name: str, value: object, least: int) -> None:
    """Raise `ConfigurationError` unless *value* is a whole number, *least* or more."""
    if type(value) is not int or value < least:
        raise ConfigurationError(f"{name} is {value!r:.60}: give a whole number, {least} at least")


class StoreUnavailable(Exception):
    """The store cannot be reached, is too slow, or refuses the operation.

    The text is logged, so it has no value, secret or password.
    """


class Record(NamedTuple):
    """One session in a store. Readers share it, so nobody modifies it in place."""

    id: bytes
    """Primary key: 16 bytes, never changes."""
    secret_hash: bytes
    """SHA-256 of the secret half of the current token: 32 bytes."""
    created: float
    """Unix time in seconds; a store keeps times to the millisecond or better."""
    expires: float
    """Unix time in seconds at which the record expires, unless an update extends it."""
    data: Mapping[str, JSON]
    user: str | None = None
    """The user who signed in; `None` for an anonymous session."""
    persistent: bool = True
    """Whether the client's cookie outlives its browser session."""
    former_hash: bytes | None = None
    """SHA-256 of the secret that the last rotation replaced."""
    rotated: float | None = None
    """Unix time in seconds of the last rotation."""
    authenticated: float | None = None
    """Unix time in seconds at which the user last proved who he is."""
    seen: float | None = None
    """Unix time in seconds of the last request that wrote or touched; `None` in older records."""

    def __repr__(self) -> str:
        return f"<Record {self.id.hex()}>"


class Unreadable(NamedTuple):
    """Stands in the place of a record that is there and cannot be read."""

    reason: str
    """For the log: what is wrong, without any value of the record."""


class Unopened(StoreUnavailable):
    """Stands in the place of a record some value of which is sealed and does not open.

    The right key may come back, so it is no end of a session, as `Unreadable` is: who presents it
    is told 503. Nobody removes it unless he names it.
    """

    def __init__(self, reason: str, record: Record) -> None:
        super().__init__(reason)
        self.record = record
        """All that is in clear: its data are the values as they are kept."""


SEALED = re.compile(r"sealed:[0-9]{4}:[A-Za-z0-9+/]{38,}={0,2}")
"""The whole text of a value as `EncryptedStore` seals it: known without any key."""

NO_SECRET = bytes(32)
"""`Record.secret_hash` of a record that no token opens: it lists the sessions of a user.

A key of its data that is 22 characters long is a session's id, in base64url.
"""

ENDED = b"\xff" * 32
"""`Record.secret_hash` of a mark that a session leaves when it ends while sessions move.

No token has it, for nobody finds a secret with this hash. It is no session.
"""

NO_SESSION = frozenset({NO_SECRET, ENDED})
"""`Record.secret_hash` of all that is in a store and is no session."""

NEVER_AUTHENTICATED = 0.0
"""`Rotation.authenticated` that takes the proof back; whoever reads it takes it for `None`."""

NEVER_ROTATED = 0.0
"""`Rotation.expected_rotated` for a record whose token was never replaced."""


class Rotation(NamedTuple):
    """Replaces the token's secret, on condition that it is still the expected one."""

    expected_hash: bytes
    """SHA-256 of the secret that the request presented; it becomes `Record.former_hash`."""
    secret_hash: bytes
    """SHA-256 of the new secret."""
    rotated: float
    user: str | None
    persistent: bool
    expected_rotated: float | None = None
    """`Record.rotated` as the request read it, `NEVER_ROTATED` for `None`: another value is a
    conflict, too. `None` accepts any value."""
    authenticated: float | None = None
    """Becomes `Record.authenticated`, unless it is `None`, which leaves that as it is."""

    def expects(self, record: Record) -> bool:
        """Tell whether *record* is in the state that this rotation replaces."""
        return self.expected_hash == record.secret_hash and (
            self.expected_rotated is None
            or self.expected_rotated == (record.rotated or NEVER_ROTATED)
        )

    def __repr__(self) -> str:
        return "<Rotation>"


class Create(NamedTuple):
    """Inserts a record.

    Outcome: `DONE`; `EXISTS` when the id exists (nothing is changed); `TOO_LARGE` when the store
    cannot keep a record of this size.
    """

    record: Record

    @property
    def id(self) -> bytes:
        """The new record's id."""
        return self.record.id

    def __repr__(self) -> str:
        return f"<Create {self.id.hex()}>"


class Update(NamedTuple):
    """Changes a record if it exists; never creates it, except by *or_create*.

    All parts apply together or not at all. Outcome: `DONE`; `MISSING` when the record does not
    exist; `CONFLICT` when *rotation* or *expected* expects another state than the record's;
    `TOO_LARGE` when the record would pass *limit*, or what the store can keep.
    """

    id: bytes
    set: Mapping[str, JSON] = {}
    """Top-level keys to write, with their values; the caller never changes these values again."""
    unset: Sequence[str] = ()
    """Top-level keys to remove; a key that does not exist is no error."""
    expires: float | None = None
    """The new expiry, in Unix time in seconds; an earlier one than the record's has no effect."""
    rotation: Rotation | None = None
    seen: float | None = None
    """Becomes `Record.seen`; an earlier one than the record's has no effect."""
    limit: int | None = None
    """Bytes that the record's data may take after *set*, as JSON text in UTF-8.

    What would pass it is refused, what stays below half of it is not; between them the store's own
    measure decides. An update without *set* is never refused.
    """
    or_create: Record | None = None
    """The record to begin with when there is none, in one step with the update."""
    uncounted: int = 0
    """Bytes of each of the record's values that do not count against *limit*.

    A store that wraps another one gives the bytes that it adds to each. All of the data may take
    `MAX_DATA` at most, whatever counts.
    """
    expected: Mapping[str, JSON] = {}
    """Top-level keys and the values that the record must still have there, or it is a conflict.

    Values are equal when their JSON text is: 1 is not 1.0, and keys have an order.
    """

    def applied_to(self, record: Record) -> Record:
        """Return *record* after this update; the caller has checked what it expects."""
        id, secret_hash, created, expires, data, user = record[:6]
        persistent, former_hash, rotated, authenticated, seen = record[6:]
        if self.set or self.unset:
            data = {**data, **self.set}
            for key in self.unset:
                data.pop(key, None)
        if self.expires is not None and self.expires > expires:
            expires = self.expires
        if self.seen is not None and (seen is None or self.seen > seen):
            seen = self.seen
        if self.rotation is not None:
            former_hash, secret_hash, rotated, user, persistent, _, proved = self.rotation
            if proved is not None:
                authenticated = proved
        rest = (persistent, former_hash, rotated, authenticated, seen)
        return Record(id, secret_hash, created, expires, data, user, *rest)

    def __repr__(self) -> str:
        return f"<Update {self.id.hex()}>"


class Delete(NamedTuple):
    """Removes a record. Outcome: always `DONE`, also when the record does not exist."""

    id: bytes

    def __repr__(self) -> str:
        return f"<Delete {self.id.hex()}>"


Change: TypeAlias = Create | Update | Delete


class Outcome(enum.Enum):
    """The result of one change."""

    DONE = "done"
    EXISTS = "exists"
    MISSING = "missing"
    CONFLICT = "conflict"
    TOO_LARGE = "too large"


class Page(NamedTuple):
    """One step of a scan."""

    found: Mapping[bytes, Record | Unreadable | Unopened]
    """Records by their ids; none may be there although more follow."""
    after: str | None
    """Where the next step begins: text for a file. `None` when this step was the last one."""
    anew: bool = False
    """Whether the store had to begin again, so that what came before comes once more."""


class Resealed(NamedTuple):
    """One step of sealing values anew."""

    after: str | None
    """Where the next step begins, as `Page.after`; `None` when this step was the last one."""
    anew: bool
    """As `Page.anew`."""
    key: int
    """The number of the key that seals."""
    records: int
    """Records that were looked at."""
    changed: int
    """Those of them of which values were sealed anew."""
    left: Mapping[bytes, str]
    """Ids of those that have values which another key sealed, or none, each with the reason."""


class Count(NamedTuple):
    """How many records there are, expired and unreadable ones among them."""

    number: int
    is_exact: bool


class Store(abc.ABC):
    """Keeps records. Every operation takes many at a time.

    Making a store checks its settings and its driver, and raises `ConfigurationError` for what
    cannot work. It opens no connection and needs no running loop. Any operation may raise
    `StoreUnavailable`; each change it was given may then have been applied or not.
    """

    timeout: float | None = 2.0
    """Seconds that one operation may take; `None` for a store that never waits.

    The gateway (`app.sessions.gateway`) enforces it: it gives up every call that takes longer. A
    store bounds its own work too, so that a call that was given up holds no connection.
    """

    shared: bool = True
    """Whether all processes that open this store see the same records."""

    expires_itself: bool = False
    """Whether the server removes expired records by itself; `sweep` is then never called."""

    @property
    def on_evict(self) -> set[Callable[[Record], None]] | None:
        """Whom to call with each record that the store ends early, for it is full.

        Its values may be sealed. `None` for a store that cannot tell. Nothing that is called here
        raises.
        """
        return None

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The address of the records: a URL without user name and password. It is logged."""

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect, and create what the records need (an index, a table).

        It is called in the loop that uses the store, before any other operation, and again after a
        failure. Raises `StoreUnavailable` when the server cannot be reached, `ConfigurationError`
        when the table or collection that exists has another schema.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Close every connection that the store opened; a no-op when it is not open."""

    @abc.abstractmethod
    async def ping(self) -> None:
        """Return when the store answers; raise `StoreUnavailable` when it does not."""

    @abc.abstractmethod
    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        """Return the records with these ids; leave out an id without a record.

        An expired record may be returned or left out; the caller checks. `Unreadable` stands in the
        place of a record that cannot be decoded, or that is too large to be: an error of one record
        is never another's. When one of several servers fails, its error may stand in the place of
        each of its records. `Unopened` stands in the place of a record that is sealed with a key
        that is not there.
        """

    @abc.abstractmethod
    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        """Apply the changes and return their outcomes, in the order given.

        An error that concerns one change alone stands in its outcome's place: a change that the
        store refuses is never another's.

        Each change is atomic, and durable by the store's own measure when this returns. Changes of
        one call are concurrent: they may be applied in any order, and two `Update` of one record
        that set different keys both take effect.
        """

    async def sweep(self, now: float, limit: int) -> int:
        """Remove at most *limit* records that expired before *now*; return how many were removed.

        A store with `expires_itself` keeps this default, which does nothing.
        """
        return 0

    async def scan(self, after: str | None = None, limit: int = 500) -> Page:
        """Return the next records, about *limit* of them, behind those of the step before.

        *after* is that step's `Page.after`, `None` for the first one. From there to the last step,
        every record that is there throughout comes once; one that comes or goes meanwhile may come,
        once. The caller and the server may be restarted between two steps. Raises
        `ConfigurationError` for an *after* that is none of this store's.

        A store of before this method keeps this default: it serves, and commands cannot list it.
        """
        raise StoreUnavailable("it cannot list its sessions, for it has no method scan()")

    async def count(self, *, exact: bool = False) -> Count:
        """Return how many records there are: an estimate where that is cheaper, unless *exact*.

        An exact count works in steps, each of which takes at most `timeout`. This default scans.
        """
        number, page = 0, await self.scan()
        while True:
            number = len(page.found) + (0 if page.anew else number)
            if page.after is None:
                return Count(number, True)
            page = await self.scan(page.after)


@runtime_checkable
class Resealing(Protocol):
    """A store that seals values, and can do so anew with another key."""

    async def reseal(self, after: str | None = None, limit: int = 100) -> Resealed:
        """Seal anew what another key than the present one sealed, in about *limit* records.

        It is one step of a scan, see `Store.scan`. No request that writes meanwhile loses its
        change. A step that fails can be done again. Raises `StoreUnavailable`.
        """
