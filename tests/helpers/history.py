"""What many clients did and saw, and whether sessions that keep their promises allow it.

Every change writes a value of its own, so that what was read tells who wrote it. Times are numbers
of one counter. An operation takes effect at some moment between its beginning and its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

ABSENT = "(absent)"


@dataclass
class Operation:
    """One request: what it was to do, when, and what came of it."""

    number: int
    kind: str
    """read, set, delete, regenerate, sign-in, sign-out or fail (a set, then status 500)."""
    key: str
    token: str | None
    """What the client presented."""
    start: int
    end: int = 0
    status: int = 0
    """Of the response; 200 acknowledges."""
    session: str | None = None
    """The id under which the session was loaded; known if the status is 200."""
    seen: dict[str, Any] = field(default_factory=dict)
    """All that was read when the session was loaded, the user as `@user`."""
    token_set: str | None = None
    """The token in the response's cookie."""
    removed: bool = False
    """Whether the response removed the cookie."""
    id_set: str | None = None
    """The id of the session that `token_set` belongs to."""
    user: str | None = None
    """Who signs in."""
    late: bool = False
    """Whether it lasted longer than the grace: what it did may be dropped, with status 200."""
    settled: float = float("inf")
    """When its rotation, which had no answer, was undone."""

    @property
    def done(self) -> bool:
        return self.status == 200

    @property
    def may_have_written(self) -> bool:
        """Whether its change may be there although it was not acknowledged."""
        return False

    @property
    def written_to(self) -> str | None:
        """The id of the session that it writes to."""
        # A sign-in that comes second to another user's begins a session of its own.
        return self.id_set if self.session is None or self.kind == "sign-in" else self.session

    @property
    def ends(self) -> bool:
        """Whether it ends the session that it loaded: by signing out, or in as another user."""
        if self.kind == "sign-in":
            return self.seen.get("@user") not in (None, self.user)
        return self.kind == "sign-out"

    @property
    def writes(self) -> dict[str, Any]:
        """What it writes, to the session that it loaded or, without one, to the one it begins."""
        if self.kind == "set":
            return {self.key: self.number}
        if self.kind == "sign-in":
            return {"@user": self.user}
        return {self.key: ABSENT} if self.kind == "delete" else {}

    def __str__(self) -> str:
        token = self.token and self.token[:6] + ".." + self.token[-4:]
        new = self.token_set and self.token_set[:6] + ".." + self.token_set[-4:]
        cookie = "removed" if self.removed else new
        return (
            f"{self.start:5}-{self.end:<5} #{self.number} {self.kind} {self.key} with {token}: "
            f"{self.status} saw {self.session and self.session[:6]} {self.seen} cookie {cookie}"
        )


def violations(history: list[Operation]) -> Iterator[str]:
    """Tell what in *history* must not be."""
    ended: dict[str, int] = {}
    for operation in history:
        if operation.done and operation.ends and operation.session and not operation.late:
            end = ended.get(operation.session, operation.end)
            ended[operation.session] = min(end, operation.end)
    yield from _cookies(history)
    yield from _life(history, ended)
    yield from wrong_values(history)


def _cookies(history: list[Operation]) -> Iterator[str]:
    for o in history:
        if o.status in (409, 500, 503) and (o.token_set or o.removed):
            yield f"#{o.number} answered {o.status} with a session cookie"
        if o.removed and o.kind != "sign-out":
            yield f"#{o.number} removed the cookie without being asked to"
        if o.token_set and (
            o.kind in ("read", "delete", "sign-out") or (o.kind == "set" and o.session)
        ):
            yield f"#{o.number}, a {o.kind}, set a session cookie"
    rotated: dict[str, Operation] = {}
    for o in history:
        if o.token is not None and o.token_set and o.session is not None and o.session == o.id_set:
            other = rotated.setdefault(o.token, o)
            if other is not o and not _may_both_rotate(o, other, history):
                yield f"#{o.number} replaced a token that another had replaced"
    given = [o.token_set for o in history if o.token_set]
    if len(given) != len(set(given)):
        yield "a token was given twice"


def _may_both_rotate(a: Operation, b: Operation, history: list[Operation]) -> bool:
    """Tell whether both may replace one token: sign-ins of one user may, whoever came first."""
    if a.kind == b.kind:
        return a.kind == "sign-in" and a.user == b.user
    sign_in = a if a.kind == "sign-in" else b
    return sign_in.seen.get("@user") == sign_in.user or any(
        o is not sign_in and o.done and o.id_set == sign_in.id_set and o.user == sign_in.user
        for o in history
    )


def _life(history: list[Operation], ended: dict[str, int]) -> Iterator[str]:
    given = {o.token_set: o for o in history if o.token_set}
    for o in history:
        if o.session is not None and o.start > ended.get(o.session, o.start):
            yield f"#{o.number} saw the session {o.session} after its end"
        if o.token is None or not o.done:
            continue
        giver = given.get(o.token)
        if giver is None:
            yield f"#{o.number} has a token that was never given"
            continue
        others = [r for r in _replacing(giver.id_set, history) if r not in (giver, o)]
        if o.session is None:
            unsettled = any(
                r.status == 503
                and r.token in given
                and given[r.token].id_set == giver.id_set
                and r.start < o.end
                and o.start < r.settled
                for r in history
            )
            if not unsettled and not any(r.start < o.end and r.end > giver.start for r in others):
                yield f"#{o.number} did not see {giver.id_set}, neither ended nor replaced"
            continue
        if o.session != giver.id_set:
            yield f"#{o.number} saw the session {o.session} with a token of {giver.id_set}"
        for r in others:
            if r.token == o.token and r.end < o.start:
                yield f"#{o.number} opened a session with a token that #{r.number} had replaced"
        may_drop = o.late or any(r.ends for r in others)
        if o.kind == "regenerate" and not o.token_set and not may_drop:
            yield f"#{o.number} got no new token, though nobody ended {o.session}"


def _replacing(id: str | None, history: list[Operation]) -> list[Operation]:
    """Return what was acknowledged and makes a token of the session *id* useless.

    A sign-in that another one overtook is sent no cookie, and has replaced the token all the same.
    """
    kinds = ("regenerate", "sign-in", "sign-out")
    return [
        o
        for o in history
        if o.done
        and (o.session == id or (o.kind == "sign-in" and o.id_set == id))
        and o.kind in kinds
        and (o.ends or o.kind != "sign-in" or o.id_set in (id, None))
    ]


def wrong_values(history: Sequence[Operation]) -> Iterator[str]:
    """Tell who saw a value that nobody had written, or that had been overwritten before."""
    writers: dict[str, list[Operation]] = {}
    readers: dict[str, list[Operation]] = {}
    for o in history:
        if o.written_to is not None:
            writers.setdefault(o.written_to, []).append(o)
        if o.session is not None and o.done:
            readers.setdefault(o.session, []).append(o)
    for id, here in readers.items():
        wrote = writers.get(id, [])
        keys = {key for o in wrote for key in o.writes} | {key for o in here for key in o.seen}
        for key in sorted(keys):
            yield from _register(id, key, wrote, here)


def _register(id: str, key: str, here: list[Operation], readers: list[Operation]) -> Iterator[str]:
    """Check one key of one session: each value read was written, and not overwritten before."""
    writers = [o for o in here if key in o.writes and o.done]
    unsure = [o for o in here if key in o.writes and not o.done and o.may_have_written]
    seen_at: dict[int, int] = {}  # number of a writer -> when somebody had seen its value
    for o in readers:
        value = o.seen.get(key, ABSENT)
        for w in writers:
            if w.writes[key] == value and value != ABSENT and w.start < o.end:
                seen_at[w.number] = min(seen_at.get(w.number, o.end), o.end)
    for o in readers:
        value = o.seen.get(key, ABSENT)
        sources = [(w.start, w.end) for w in writers if w.writes[key] == value]
        sources += [(w.start, o.end) for w in unsure if w.writes[key] == value]
        if value == ABSENT:
            sources.append((-1, -1))  # before the first
        sources = [s for s in sources if s[0] < o.end]
        if not sources:
            yield f"#{o.number} saw {key}={value} of {id}, which nobody had written with success"
            continue
        if not any(_possible(source, o, writers, seen_at) for source in sources):
            yield f"#{o.number} saw {key}={value} of {id}, which had been overwritten before"


def _possible(
    source: tuple[int, int], reader: Operation, writers: list[Operation], seen_at: dict[int, int]
) -> bool:
    """Tell whether nothing was certainly written after *source* and before *reader* began."""
    return not any(
        w.start > source[1] and min(w.end, seen_at.get(w.number, w.end)) < reader.start
        for w in writers
        if w is not reader and not w.late
    )


def report(seed: int, history: Iterable[Operation], found: list[str]) -> str:
    """Return a text to reproduce and to understand a failure by."""
    lines = [f"seed {seed}: {len(found)} violations", *found, "", "history:"]
    return "\n".join([*lines, *(str(o) for o in sorted(history, key=lambda o: o.start))])
