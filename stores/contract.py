"""The store contract: records, changes to them, and the operations of a store.

A store knows nothing of HTTP, tokens or time-outs. It keeps records under their 16-byte id and
applies changes to them, many at a time. `app.sessions.manager.SessionManager` decides who may see a
record, and for how long.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"


class ConfigurationError(ValueError):
    """A setting that cannot work. Its text names the setting and the mend, and no secret."""


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

    def __repr__(self) -> str:
        return f"<Record {self.id.hex()}>"


class Rotation(NamedTuple):
    """Replaces the token's secret, on condition that it is still the expected one."""

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
    """Inserts a record. Outcome: `DONE`; `EXISTS` when the id exists (nothing is changed)."""

    record: Record

    @property
    def id(self) -> bytes:
        return self.record.id

    def __repr__(self) -> str:
        return f"<Create {self.id.hex()}>"


class Update(NamedTuple):
    """Changes a record if it exists; never creates it.

    All parts apply together or not at all. Outcome: `DONE`; `MISSING` when the record does not
    exist; `CONFLICT` when *rotation* expects another secret than the record has.
    """

    id: bytes
    set: Mapping[str, JSON] = {}
    """Top-level keys to write, with their values; the caller never changes these values again."""
    unset: Sequence[str] = ()
    """Top-level keys to remove; a key that does not exist is no error."""
    expires: float | None = None
    """The new expiry, in Unix time in seconds; an earlier one than the record's has no effect."""
    rotation: Rotation | None = None

    def applied_to(self, record: Record) -> Record:
        """Return *record* after this update; the caller has checked what a rotation expects."""
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
    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record | StoreUnavailable]:
        """Return the records with these ids; leave out an id without a record.

        An expired record may be returned or left out; the caller checks. When one of several
        servers fails, its error may stand in the place of each of its records.
        """

    @abc.abstractmethod
    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        """Apply the changes and return their outcomes, in the order given.

        When the outcome of one change alone is unknown, its error stands in the outcome's place.

        Each change is atomic, and durable by the store's own measure when this returns. Changes of
        one call are concurrent: they may be applied in any order, and two `Update` of one record
        that set different keys both take effect.
        """

    async def sweep(self, now: float, limit: int) -> int:
        """Remove at most *limit* records that expired before *now*; return how many were removed.

        A store whose server removes expired records keeps this default, which does nothing.
        """
        return 0
