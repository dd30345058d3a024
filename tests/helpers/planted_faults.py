"""Faults of the lists of users' sessions, to be planted: a checker has to find each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pytest

from app.sessions.admission import ADMITTED, FENCED, Admission, Admissions, Entrance
from app.sessions.closing import Closer
from app.sessions.events import EventKind
from app.sessions.rotation import Undoer
from app.sessions.user_record import Fence
from app.sessions.users import Users
from stores.contract import Change, Outcome

Plant = Callable[[pytest.MonkeyPatch], None]


def no_fence(patch: pytest.MonkeyPatch) -> None:
    async def raise_fence(users: Users, user: str, keep: Any, since: Any) -> None:
        record = await users.listing(user, since)
        if not record.entries:  # there has to be a record
            await before(users, user, keep, since)

    before = Users.raise_fence
    patch.setattr(Users, "raise_fence", raise_fence)


def fence_after_the_look(patch: pytest.MonkeyPatch) -> None:
    async def everywhere(
        users: Users, user: str, keep: bytes | None = None, since: float | None = None
    ) -> int:
        listing = await users.listing(user, since)
        ids = [id for id in listing.entries if id != keep]
        alive, _ = await users.alive(user, ids, since)
        await users.raise_fence(user, keep, since)
        await users.end(user, [record.id for record in alive], (), EventKind.REVOKED, since)
        return len(alive)

    patch.setattr(Users, "sign_out_everywhere", everywhere)


def no_look_after_the_write(patch: pytest.MonkeyPatch) -> None:
    async def admit(*_: object) -> object:
        return ADMITTED

    patch.setattr(Admissions, "_admit", admit)


def look_before_the_write(patch: pytest.MonkeyPatch) -> None:
    async def write(
        admissions: Admissions, change: Change, entrance: Entrance | None, since: float
    ) -> tuple[Outcome, Admission]:
        if entrance is None:
            return await before(admissions, change, None, since)
        listing = await admissions._users.listing(entrance.user, since)
        is_fenced = any(admissions._stops(fence, entrance) for fence in listing.fences)
        outcomes = await admissions._gateway.write_all([change, entrance.join], since)
        return outcomes[0], FENCED if is_fenced else ADMITTED

    before = Admissions.write
    patch.setattr(Admissions, "write", write)


def leave_before_delete(patch: pytest.MonkeyPatch) -> None:
    async def end(
        users: Users,
        user: str,
        ids: Sequence[bytes],
        lost: Sequence[bytes],
        kind: EventKind | None,
        since: float | None = None,
        fences: Collection[str] = (),
    ) -> None:
        if ids:
            await users.unlist(user, ids, since)
        await before(users, user, ids, lost, kind, since, fences)

    before = Users.end
    patch.setattr(Users, "end", end)


def undo_missing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Undoer, "undo", lambda *_: None)


def withdrawal_missing(patch: pytest.MonkeyPatch) -> None:
    async def remove(*_: object) -> None:
        pass

    patch.setattr(Admissions, "remove", remove)


def limit_of(more: int) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        def begin(admissions: Admissions, *arguments: Any) -> None:
            before(admissions, *arguments)
            admissions._max_per_user += more

        before = Admissions.__init__
        patch.setattr(Admissions, "__init__", begin)

    return plant


def fences_of_others_do_not_count(patch: pytest.MonkeyPatch) -> None:
    def stops(fence: Fence, at: float, began: float | None) -> bool:
        return began is not None and before(fence, float("inf"), began)

    before = Fence.stops
    patch.setattr(Fence, "stops", stops)


def fences_by_the_end_of_the_sign_in(patch: pytest.MonkeyPatch) -> None:
    def of_new(admissions: Admissions, pending: Any, record: Any) -> Any:
        presented = pending.presented._replace(
            at=admissions._users._clock(), began=time.monotonic()
        )
        return before(admissions, pending._replace(presented=presented), record)

    before = Admissions.of_new
    patch.setattr(Admissions, "of_new", of_new)


def kept_session_ended(patch: pytest.MonkeyPatch) -> None:
    async def everywhere(users: Users, user: str, keep: Any = None, since: Any = None) -> int:
        return await before(users, user, None, since)

    before = Users.sign_out_everywhere
    patch.setattr(Users, "sign_out_everywhere", everywhere)


def sign_out_not_awaited(patch: pytest.MonkeyPatch) -> None:
    async def later(closer: Closer, *arguments: Any) -> None:
        await asyncio.sleep(0.1)
        await before(closer, *arguments)

    async def end(*arguments: Any) -> None:
        running.add(asyncio.ensure_future(later(*arguments)))

    running: set[asyncio.Future[None]] = set()
    before = Closer.end
    patch.setattr(Closer, "end", end)


FAULTS: Mapping[str, Plant] = {
    "no fence": no_fence,
    "fence after the look": fence_after_the_look,
    "no look after the write": no_look_after_the_write,
    "look before the write": look_before_the_write,
    "leave before delete": leave_before_delete,
    "undo missing": undo_missing,
    "withdrawal missing": withdrawal_missing,
    "one session too many": limit_of(1),
    "one session too few": limit_of(-1),
    "fences of others do not count": fences_of_others_do_not_count,
    "fences by the end of the sign-in": fences_by_the_end_of_the_sign_in,
    "kept session ended": kept_session_ended,
    "sign-out not awaited": sign_out_not_awaited,
}
