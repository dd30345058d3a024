"""A store as several processes have it: each with a name of its own, over a bad line."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

from app.sessions import user_record
from stores import Store, StoreUnavailable
from stores.contract import (
    JSON,
    NO_SECRET,
    Change,
    Outcome,
    Record,
    Unreadable,
    Update,
)
from tests.helpers.stores_for_tests import SpyStore


class OtherProcess(SpyStore):
    """Lets who uses it raise its fences under the name of another process."""

    def __init__(self, inner: Store, name: str) -> None:
        super().__init__(inner)
        self.timeout = inner.timeout or SpyStore.timeout
        self._name = name

    @property
    def expires_itself(self) -> bool:  # type: ignore[override]
        return self.inner.expires_itself

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        found = await self.inner.load(ids)
        return {id: self._as_here(answer) for id, answer in found.items()}

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        return await self.inner.write([self._as_there(change) for change in changes])

    def _as_here(self, answer: Any) -> Any:
        if not isinstance(answer, Record) or answer.secret_hash != NO_SECRET:
            return answer
        names = {self._name: user_record.PROCESS, user_record.PROCESS: f"not {self._name}"}
        return answer._replace(data=_renamed(answer.data, names))

    def _as_there(self, change: Change) -> Change:
        if not isinstance(change, Update) or change.or_create is None:
            return change
        return change._replace(set=_renamed(change.set, {user_record.PROCESS: self._name}))


def _renamed(data: Mapping[str, JSON], names: Mapping[str, str]) -> Mapping[str, JSON]:
    """Return *data* of a user's record with other names of processes in its fences."""
    return {
        key: {**value, "by": names.get(str(value["by"]), value["by"])}
        if isinstance(value, dict) and "by" in value
        else value
        for key, value in data.items()
    }


class Line:
    """The way of several processes to one store: how rough it is, and whether it is cut."""

    def __init__(self, choice: random.Random, trouble: float) -> None:
        self.choice = choice
        self.trouble = trouble
        """The part of all calls that goes wrong."""
        self.is_cut = False
        self.on_their_way: set[asyncio.Task[None]] = set()
        """Changes that arrive when nobody waits for them any more."""

    async def pause(self) -> None:
        """Pass on: mostly quickly."""
        await asyncio.sleep(self.choice.expovariate(1 / 0.004))
        self.check()

    def check(self) -> None:
        if self.is_cut:
            raise StoreUnavailable("the line is cut")

    def fate(self) -> str:
        """Return what becomes of a call."""
        if self.choice.random() >= self.trouble:
            return "done"
        return self.choice.choice(("refused", "lost", "no answer", "late", "slow", "half done"))

    def send_late(self, store: Store, changes: Sequence[Change]) -> None:
        """Let each of *changes* arrive when it will."""
        for change in changes:
            task = asyncio.ensure_future(self._arrive(store, change))
            self.on_their_way.add(task)
            task.add_done_callback(self.on_their_way.discard)

    async def _arrive(self, store: Store, change: Change) -> None:
        await asyncio.sleep(self.choice.choice((0.01, 0.1, 1.0, 3.0)) * self.choice.random())
        await store.write([change])


class RoughStore(SpyStore):
    """A store over a line; no two items of a call are read or written at the same moment.

    That is what the contract promises, and no more: the changes of one call are made in any order,
    and each record is read at a moment of its own.
    """

    timeout = 2.0

    def __init__(self, inner: Store, line: Line) -> None:
        super().__init__(inner)
        self._line = line

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        fate = await self._set_out()
        found: dict[bytes, Any] = {}
        for id in self._in_any_order(ids):
            found.update(await self.inner.load([id]))
            await self._line.pause()
        if fate != "done":
            raise StoreUnavailable("the answer was lost")
        return found

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        fate = await self._set_out()
        if fate == "late":
            self._line.send_late(self.inner, changes)
            raise StoreUnavailable("no answer in time")
        outcomes: dict[int, Outcome | StoreUnavailable] = {}
        numbers = self._in_any_order(range(len(changes)))
        for number in numbers:
            if fate == "half done" and len(outcomes) >= len(numbers) // 2:
                outcomes[number] = StoreUnavailable("one part of the store is away")
                continue
            outcomes.update(enumerate(await self.inner.write([changes[number]]), number))
            await self._line.pause()
        if fate == "no answer":
            raise StoreUnavailable("the answer was lost")
        return [outcomes[number] for number in range(len(changes))]

    async def _set_out(self) -> str:
        """Return what is to become of a call that has reached the store."""
        fate = self._line.fate()
        if fate == "refused":
            raise StoreUnavailable("not now")
        await self._line.pause()
        if fate == "slow":  # its caller gives it up
            await asyncio.sleep(self._line.choice.random() * 4)
        if fate == "lost":
            raise StoreUnavailable("it never arrived")
        return fate

    def _in_any_order(self, items: Sequence[Any]) -> list[Any]:
        return self._line.choice.sample(items, len(items))
