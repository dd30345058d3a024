"""Going through all records: a part of `tests.store_contract`.

The store may have records of other tests, which come and go.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stores.contract import ConfigurationError, Create, Delete, Outcome, Page, Record, Store, Update
from tests.helpers.records import make_record, same_record

SMALL = 7
"""Records of a step; a store may return some more."""


async def pages_of(store: Store, limit: int = SMALL, after: str | None = None) -> list[Page]:
    """Return all steps of a scan."""
    pages = [await store.scan(after, limit)]
    while (after := pages[-1].after) is not None:
        # As from a file.
        pages.append(await store.scan(json.loads(json.dumps(after)), limit))
    return pages


def ids_of(pages: list[Page]) -> list[bytes]:
    return [id for page in pages for id in page.found]


class ScansContract:
    """Scans, and counts."""

    @pytest.fixture
    def present(self, io_loop: Any, opened: Store) -> Iterator[list[Record]]:
        """Records that are there throughout, among them some that no session has."""
        now = time.time()
        full = make_record(data={"n": 1}, user="ada", seen=now, authenticated=now)
        of_user = make_record(secret_hash=bytes(32), data={"x": {"in": 5.5}})
        records = [full, of_user, *(make_record(data={"n": n}) for n in range(58))]
        io_loop.run_sync(lambda: opened.write([Create(record) for record in records]))
        yield records
        io_loop.run_sync(lambda: opened.write([Delete(record.id) for record in records]))

    @pytest.mark.gen_test(timeout=30)
    async def test_a_scan_returns_each_record_once(
        self, opened: Store, present: list[Record]
    ) -> None:
        pages = await pages_of(opened)
        assert len(pages) > 2
        found = {id: record for page in pages for id, record in page.found.items()}
        assert len(found) == len(ids_of(pages))
        for record in present:
            here = found[record.id]
            assert isinstance(here, Record)
            assert same_record(record, here)
        assert not any(page.anew for page in pages)

    @pytest.mark.gen_test(timeout=30)
    async def test_changes_meanwhile_hide_and_repeat_nothing(
        self, opened: Store, present: list[Record]
    ) -> None:
        others = [make_record() for _ in range(200)]
        await opened.write([Create(record) for record in others[:100]])
        after, ids = None, list[bytes]()
        for n in range(10_000):
            page = await opened.scan(after, SMALL)
            ids += page.found
            after = page.after
            if after is None:
                break
            if n < 10:
                part = slice(10 * n, 10 * n + 10)
                assert await opened.write([Create(r) for r in others[100:][part]])
                assert await opened.write([Delete(r.id) for r in others[part]])
                assert await opened.write([Update(present[n].id, {"n": n}, seen=time.time())])
        assert len(set(ids)) == len(ids)
        assert {record.id for record in present} <= set(ids)
        await opened.write([Delete(record.id) for record in others])

    @pytest.mark.gen_test(timeout=30)
    async def test_a_scan_goes_on_where_it_was(self, opened: Store, present: list[Record]) -> None:
        """The caller is another one, and the store was opened anew."""
        first = await opened.scan(None, SMALL)
        assert first.after is not None
        if opened.shared:
            await opened.close()
            await opened.open()
        rest = await pages_of(opened, SMALL, first.after)
        again = await pages_of(opened, SMALL, first.after)
        assert set(ids_of(rest)) == set(ids_of(again))
        assert {record.id for record in present} <= {*first.found, *ids_of(rest)}
        assert not set(first.found) & set(ids_of(rest))

    @pytest.mark.gen_test(timeout=30)
    async def test_a_place_that_is_none_is_refused(self, opened: Store) -> None:
        for after in ("", "x", "g" * 32, "../0", "slot.16384.", "é"):
            with pytest.raises(ConfigurationError, match="go on"):
                await opened.scan(after, SMALL)

    @pytest.mark.gen_test(timeout=30)
    async def test_an_exact_count_counts_each_record(
        self, opened: Store, present: list[Record]
    ) -> None:
        before = await opened.count(exact=True)
        assert before.is_exact
        assert before.number >= len(present)
        more = [make_record() for _ in range(30)]
        assert await opened.write([Create(r) for r in more]) == [Outcome.DONE] * 30
        after = await opened.count(exact=True)
        assert after.number - before.number == 30
        estimate = await opened.count()
        assert estimate.number >= 0
        assert estimate.number == after.number or not estimate.is_exact
        await opened.write([Delete(r.id) for r in more])
