"""What a client of a crowd does, and what is known of the sessions that it is about.

A request takes effect between its beginning and its end, if it was answered 200; if it was not, it
may do so later, or never. A rotation without an answer is undone until it is `settled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from app.sessions import token
from tests.helpers.history import Operation

NEVER = 1 << 60

SIGN_INS = {"sign-in", "password"}
ROTATING = {*SIGN_INS, "regenerate", "confirm", "others"}
"""What replaces the token of the session that it loads."""
ENDING_ALL = {"everywhere", "password", "keep", "others"}
"""What raises a fence; the last two keep the session that they load."""
ENDING_ONE = {"device", "end"}
LISTING = {"devices", "device"}

GONE = 499
"""Status of a request whose client left."""


@dataclass
class Deed(Operation):
    """One request of the crowd, or one call of the manager.

    *kind* is read, set, regenerate, confirm, sign-in, sign-out, devices, device (ends one of them),
    others, keep (everywhere but here), password (everywhere, then a sign-in); or, by the manager,
    everywhere or end (one session).
    """

    process: int = 0
    began: int = NEVER
    """When its session was loaded, or the manager called; `NEVER` if it did not come to that."""
    target: str | None = None
    """The session that it ends, or keeps."""
    result: int | None = None
    listed: Sequence[str] | None = None

    @property
    def signs_in(self) -> bool:
        return self.kind in SIGN_INS

    @property
    def loaded(self) -> bool:
        return self.token is not None and self.began != NEVER

    @property
    def over(self) -> int:
        """When nothing of it happens any more."""
        return self.end if self.done else NEVER

    @property
    def presented(self) -> str | None:
        """The id of the session that its token is, or was, of."""
        return None if self.token is None else id_of(self.token)

    @property
    def may_have_written(self) -> bool:
        return self.kind == "set"

    @property
    def written_to(self) -> str | None:
        if not self.done:
            return self.session or self.presented
        return self.id_set if self.session is None or self.signs_in else self.session

    @property
    def writes(self) -> dict[str, Any]:
        if self.kind == "set":
            return {self.key: self.number}
        return {"@user": self.user} if self.signs_in else {}

    @property
    def replaces(self) -> str | None:
        """The id of the session whose token it has certainly replaced."""
        if self.kind in ROTATING and self.token_set:
            return self.id_set
        return self.id_set if self.signs_in and self.done else None

    def __str__(self) -> str:
        more: dict[str, object] = {
            "user": self.user,
            "at": self.process,
            "target": self.target and self.target[:6],
        }
        more |= {"result": self.result, "settled": self.settled if not self.done else None}
        words = [f"{name}={value}" for name, value in more.items() if value is not None]
        if self.listed is not None:
            words.append(f"listed={[id[:6] for id in self.listed]}")
        return f"{super().__str__()} {' '.join(words)} loaded {self.began}"


def id_of(value: str) -> str:
    """Return the public id of the session that a token is of."""
    return token.public_id(token.decode(value)[0])


@dataclass
class Known:
    """A session that a client got a token of."""

    id: str
    requests: list[Deed] = field(default_factory=list)
    """That presented a token of it."""
    sign_ins: list[Deed] = field(default_factory=list)
    """That may have made it a user's."""
    aimed: list[Deed] = field(default_factory=list)
    """That were to end it by its id."""
    ended: int = NEVER
    """When it had certainly ended."""

    @cached_property
    def users(self) -> set[str | None]:
        return {o.user for o in self.sign_ins}

    @cached_property
    def began(self) -> int:
        """When its first sign-in did."""
        return min((o.start for o in self.sign_ins), default=NEVER)

    def alive_at(self, user: str | None, start: int, end: int) -> bool:
        """Tell whether it was certainly a live session of *user* from *start* to *end*."""
        return any(
            o.done and o.id_set == self.id and o.user == user and o.end < start
            for o in self.sign_ins
        ) and any(
            o.session == self.id and o.start > end and o.seen.get("@user") == user
            for o in self.requests
        )
