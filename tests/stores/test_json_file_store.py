"""The example of a store of one's own: it is short, and passes the suite as its reader would."""

from __future__ import annotations

from pathlib import Path

import pytest

import examples.json_file_store
from examples.json_file_store import JSONFileStore
from stores import Store, StoreUnavailable
from stores.contract import Create
from tests.helpers.records import make_record
from tests.store_contract import StoreContract


class TestJSONFileStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return JSONFileStore(tmp_path / "sessions.json")


def test_it_is_short_enough_to_be_read_at_once() -> None:
    lines = Path(examples.json_file_store.__file__).read_text().splitlines()
    assert len(lines) < 66


@pytest.mark.gen_test
async def test_its_sessions_outlive_the_process(tmp_path: Path) -> None:
    record = make_record(data={"name": "Ada"})
    store = JSONFileStore(tmp_path / "sessions.json")
    await store.open()
    await store.write([Create(record)])
    another = JSONFileStore(tmp_path / "sessions.json")
    await another.open()
    assert await another.load([record.id]) == {record.id: record}


@pytest.mark.gen_test
async def test_a_folder_that_is_gone_is_an_error_not_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    store = JSONFileStore(tmp_path / "folder" / "sessions.json")
    await store.open()
    (tmp_path / "folder").rmdir()
    with pytest.raises(StoreUnavailable):
        await store.ping()
    with pytest.raises(StoreUnavailable):
        await store.write([Create(make_record())])
