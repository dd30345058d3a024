"""Copying sessions while others end them, and while a store fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from app import SessionManager, SessionUnavailable
from app.operating import copying
from app.operating.copying import Copier
from stores import MemoryStore, StoreUnavailable
from stores.contract import ENDED, Change, Create, Delete, Outcome, Record, Unreadable, Update
from tests.helpers.records import load_records, make_record, make_rotation
from tests.helpers.steps import until
from tests.helpers.stores_for_tests import FaultyStore


class Pair(NamedTuple):
    """Two stores and a copier between them."""

    source: FaultyStore
    target: FaultyStore
    copier: Copier


@pytest.fixture
def pair(io_loop: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setattr(copying, "PAUSE", 0.001)
    stores = FaultyStore(), FaultyStore()
    source, target = map(SessionManager, stores)
    yield Pair(*stores, Copier(source, target, source.timeouts.is_alive))
    io_loop.run_sync(source.close)
    io_loop.run_sync(target.close)


async def page_of(store: FaultyStore, *records: Record) -> Mapping[bytes, Any]:
    """Put records into the store, and return what a scan of it does."""
    await store.inner.write([Create(record) for record in records])
    return (await store.inner.scan()).found


@pytest.mark.gen_test
async def test_what_ends_at_the_source_alone_is_not_brought_back(pair: Pair) -> None:
    source, target, copier = pair
    ended, rotated, alive, dying = (make_record() for _ in range(4))
    dying = dying._replace(expires=time.time() + 5)
    page = await page_of(source, ended, rotated, alive, dying)
    target.gate["write"] = asyncio.Event()
    work = asyncio.ensure_future(copier.copy(page))
    await until(lambda: target.waiting == 1, "the target to be written to")
    # What expires goes early from a server whose clock is ahead.
    await source.inner.write([Delete(record.id) for record in (ended, rotated, dying)])
    rotation = make_rotation(rotated)
    target.gate.pop("write").set()
    target.gate["write"] = asyncio.Event()
    await until(
        lambda: target.waiting == 1 and [c[0] for c in target.calls].count("write") == 1,
        "the target to be written to again",
    )
    await target.inner.write([Update(rotated.id, rotation=rotation)])
    target.gate.pop("write").set()
    await work
    found = await load_records(target.inner, [r.id for r in (ended, rotated, alive, dying)])
    assert found[ended.id].secret_hash == ENDED
    assert found[rotated.id].secret_hash == rotation.secret_hash
    assert found[alive.id] == alive
    assert found[dying.id] == dying
    assert (copier.tally.copied, copier.tally.ended) == (3, 1)


@pytest.mark.gen_test
async def test_a_moments_trouble_does_not_end_it(pair: Pair) -> None:
    source, target, copier = pair
    page = await page_of(source, *(make_record() for _ in range(20)))
    failures = iter([StoreUnavailable("away")] * 2)

    def fail_twice() -> Exception:
        error = next(failures, None)
        if error is None:
            target.fail.clear()
            return StoreUnavailable("the last time")
        return error

    target.fail["load"] = target.fail["write"] = fail_twice
    await copier.copy(page)
    assert copier.tally.copied == 20
    assert len(await target.inner.load([*page])) == 20


@pytest.mark.gen_test
async def test_a_record_that_is_refused_is_nobody_elses(pair: Pair) -> None:
    source, target, copier = pair
    records = [make_record(data={"n": n}) for n in range(20)]
    page = await page_of(source, *records)

    class Picky(MemoryStore):
        async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
            for change in changes:
                if change.id == records[7].id:
                    raise StoreUnavailable("no such value")
            return await super().write(changes)

    target.inner = Picky()
    await copier.copy({**page, bytes(16): Unreadable("it is garbled")})
    assert len(await target.inner.load([*page])) == 19
    refused = copier.tally.refused
    assert refused.keys() == {records[7].id, bytes(16)}
    assert "no such value" in refused[records[7].id]
    assert "garbled" in refused[bytes(16)]


@pytest.mark.gen_test
async def test_a_target_that_is_away_ends_it(pair: Pair) -> None:
    source, target, copier = pair
    page = await page_of(source, make_record())
    await copier.copy(page)
    target.break_down()
    with pytest.raises(SessionUnavailable, match="out of order"):
        await copier.copy(page)
    target.mend()
    await copier.copy(page)
    assert (copier.tally.copied, copier.tally.there) == (1, 1)
