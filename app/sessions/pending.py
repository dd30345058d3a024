"""What passes between a session and its manager."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import TYPE_CHECKING, NamedTuple, Protocol

from app.sessions.cookie import Cookie
from app.sessions.deeds import Deed
from app.sessions.users import Users
from stores.contract import JSON, Record

if TYPE_CHECKING:
    from app.sessions.commits import Commits


class Client(Protocol):
    """What a request says of its client; looked at by a sign-in only."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def remote_ip(self) -> str | None: ...


class Presented(NamedTuple):
    """What a request came with."""

    at: float
    """Unix time in seconds."""
    cookie: bool = False
    """Whether the client holds a cookie of the name, of whatever value, that may be removed."""
    over_tls: bool = False
    withheld: bool = False
    """Whether the browser keeps its cookie back, for the request is another site's."""
    waited: float = 0.0
    """Seconds that the store took to load."""
    several: tuple[Record, ...] = ()
    """The records that the tokens open, where there are several: none of them is the session."""
    replaced: Record | None = None
    """The record whose former token it is, within the grace."""
    began: float = 0.0
    """The moment (`time.monotonic`) at which it began to be loaded."""
    client: Client | None = None
    deeds: Set[Deed] = frozenset()
    """What the request itself has done to the sessions of users, in whichever of its tasks."""

    def __repr__(self) -> str:
        return "<Presented>"


class Pending(NamedTuple):
    """What a request wants to have saved of one session."""

    presented: Presented
    record: Record | None
    """What the store has acknowledged; `None` for a session that is not saved yet."""
    changed: dict[str, JSON]
    removed: list[str]
    rotate: bool
    """Whether the client gets a new token."""
    signs_in: bool
    """Whether it gets that for a sign-in, which no state of the former token refuses."""
    ended: bool
    """Whether *record* is to be deleted; what was changed then begins a new one."""
    user: str | None
    persistent: bool
    cookie_to_remove: bool
    """Whether the client holds a cookie that an ended session leaves behind."""
    extend_from: float
    """Unix time in seconds from which the idle time counts."""
    confirm: bool
    """Whether to ask first if the token still opens the record."""
    waited: float
    """Seconds that the request has waited for the store so far."""
    label: str | None = None
    """What a sign-in wants the session to be called among the user's devices."""
    authenticated: float | None = None
    """Unix time in seconds at which the user proved who he is, if he did in this request."""

    @property
    def begins(self) -> bool:
        """Whether there is something to begin a session with, where none goes on."""
        return self.user is not None or bool(self.changed)

    def anew(self, data: Mapping[str, JSON]) -> Pending:
        """Return the same of a session that begins with *data*, for the one before has ended."""
        presented = self.presented._replace(several=())
        return self._replace(presented=presented, record=None, changed={**data})

    def __repr__(self) -> str:
        return "<Pending>"


class Saved(NamedTuple):
    """What became of a `Pending`."""

    record: Record | None
    """The record as the store has it now; `None` where there is none."""
    cookie: str | None = None
    """`Set-Cookie` value that the client is to be sent."""
    gone: bool = False
    """Whether another request ended the session meanwhile; nothing was saved then."""

    def __repr__(self) -> str:
        return "<Saved>"


class Keeper(Protocol):
    """What a session asks of its manager."""

    cookie: Cookie
    clock: Callable[[], float]
    users: Users
    commits: Commits

    async def save(self, pending: Pending) -> Saved:
        """Have the store acknowledge what is pending."""

    async def reload(self, record: Record, since: float | None = None) -> Record | None:
        """Return *record* as the store has it now, if it is alive under the same token.

        *since* is the moment (`time.monotonic`) from which the store's time counts.
        """
