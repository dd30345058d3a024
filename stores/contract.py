"""What a session store is: the records it keeps and the operations it offers.

A store knows nothing of HTTP, tokens or time-outs. It keeps records under their 16-byte id and
applies changes to them, many at a time. Who may see a record, and for how long, is decided by
`app.sessions.manager.SessionManager`.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"


class ConfigurationError(ValueError):
    """A setting that cannot work; its text names the setting and the mend, and holds no secret."""


class StoreUnavailable(Exception):
    """The store did not do what was asked: unreachable, too slow, refusing.

    The text reaches the log, so it holds no value, secret or password.
    """


class Record(NamedTuple):
    """One session as it is kept. Shared between readers, hence never modified in place."""

    id: bytes
    """Primary key: 16 bytes, never changes."""
    secret_hash: bytes
    """SHA-256 of the secret half of the current token: 32 bytes."""
    created: float
    """Unix time in seconds; a store keeps times to the millisecond or better."""
    expires: float
    """Unix time in seconds from which the record is dead, unless a touch moves it."""
    data: Mapping[str, JSON]
    user: str | None = None
    """Whom the session was signed in as."""
    persistent: bool = True
    """Whether the client's cookie outlives its browser session."""
    former_hash: bytes | None = None
    """SHA-256 of the secret that the last rotation replaced."""
    rotated: float | None = None
    """Unix time in seconds of the last rotation."""

    def __repr__(self) -> str:
        return f"<Record {self.id.hex()}>"


class Rotation(NamedTuple):
    """Replace the token's secret, on condition that it is still the expected one."""

    expected_hash: bytes
    """SHA-256 of the secret that the request presented; it becomes `Record.former_hash`."""
    secret_hash: bytes
    """SHA-256 of the new secret."""
    rotated: float
    user: str | None
    persistent: bool

    def __repr__(self) -> str:
        return "<Rotation>"


class Create(NamedTuple):
    """Insert a record. Outcome: `DONE`, or `EXISTS` when the id is taken (nothing is changed)."""

    record: Record

    @property
    def id(self) -> bytes:
        return self.record.id

    def __repr__(self) -> str:
        return f"<Create {self.id.hex()}>"


class Update(NamedTuple):
    """Change a record if it is there; never create it.

    All parts apply together or not at all. Outcome: `DONE`; `MISSING` when there is no such
    record; `CONFLICT` when *rotation* expects another secret than the record has.
    """

    id: bytes
    set: Mapping[str, JSON] = {}
    """Top-level keys to write, with their values; the store owns these values from now on."""
    unset: Sequence[str] = ()
    """Top-level keys to remove; one that is not there is no error."""
    expires: float | None = None
    """Extend the life to this Unix time in seconds; never shortens it."""
    rotation: Rotation | None = None

    def applied_to(self, record: Record) -> Record:
        """Return *record* as it is after this update; whether a rotation may is not asked here."""
        id, secret_hash, created, expires, data, user, persistent, former_hash, rotated = record
        if self.set or self.unset:
            data = {**data, **self.set}
            for key in self.unset:
                data.pop(key, None)
        if self.expires is not None and self.expires > expires:
            expires = self.expires
        if self.rotation is not None:
            former_hash, secret_hash, rotated, user, persistent = self.rotation
        return Record(
            id, secret_hash, created, expires, data, user, persistent, former_hash, rotated
        )

    def __repr__(self) -> str:
        return f"<Update {self.id.hex()}>"


class Delete(NamedTuple):
    """Remove a record. Outcome: always `DONE`, whether it was there or not."""

    id: bytes

    def __repr__(self) -> str:
        return f"<Delete {self.id.hex()}>"


Change: TypeAlias = Create | Update | Delete


class Outcome(enum.Enum):
    """What became of one change."""

    DONE = "done"
    EXISTS = "exists"
    MISSING = "missing"
    CONFLICT = "conflict"


class Store(abc.ABC):
    """Keeps records. Every operation takes many at a time.

    Constructing a store checks its settings and that its driver is installed, and raises
    `ConfigurationError` otherwise; it opens no connection and needs no running loop. Any operation
    may raise `StoreUnavailable`, after which nothing is known of the changes it was given.
    """

    timeout: float | None = 2.0
    """Seconds that one operation may take; `None` for a store that never waits."""

    shared: bool = True
    """Whether several processes opening this store see the same records."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """Where the records are, for people: a URL without user name and password."""

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect, and make what the records need (an index, a table).

        Called in the loop that uses the store, before any other operation, and again after it
        failed. Raises `StoreUnavailable` when the server cannot be reached, `ConfigurationError`
        when what is there is of another shape.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Let go of every connection the store opened itself; a no-op when it is not open."""

    @abc.abstractmethod
    async def ping(self) -> None:
        """Return when the store answers; raise `StoreUnavailable` when it does not."""

    @abc.abstractmethod
    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record | StoreUnavailable]:
        """Return the records there are of these ids; an unknown id is left out.

        A record past its `expires` may be returned or left out: its reader checks. A store of
        several servers may return the error of one in the place of the records that this one has.
        """

    @abc.abstractmethod
    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        """Apply the changes and return what became of each, in the order given.

        An error in the place of an outcome says that nothing is known of this change alone.

        Each change is atomic and durable by the store's own measure when this returns. Changes of
        one call are concurrent: they may be applied in any order, and two `Update` of one record
        that set different keys both take effect.
        """

    async def sweep(self, now: float, limit: int) -> int:
        """Remove at most *limit* records that expired before *now*; return how many it removed.

        Stores that expire records by themselves leave this as it is.
        """
        return 0
