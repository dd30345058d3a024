"""The contract over sealed values, in each of the stores.

Keys and values mean the same to each database when they are sealed, so that the quick run tries all
of them in two stores only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from stores import EncryptedStore, Store
from tests.helpers.every_store import STORES
from tests.store_contract import StoreContract
from tests.store_contract_conditions import ConditionsContract
from tests.store_contract_expectations import ExpectationsContract
from tests.store_contract_updates import UpdatesContract

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

QUICK = ("mongodb", "sqlite")
DATABASES = (*QUICK, "postgres", "mariadb")


def sealed(request: pytest.FixtureRequest) -> Store:
    inner = STORES[request.param](request)
    return EncryptedStore(inner, keys={7: os.urandom(32), 3: os.urandom(32)})


class TestEncryptedStore(StoreContract):
    @pytest.fixture(params=["memory", "valkey"])
    def store(self, request: pytest.FixtureRequest) -> Store:
        return sealed(request)


class TestEncryptedChanges(UpdatesContract, ConditionsContract, ExpectationsContract):
    @pytest.fixture(params=QUICK)
    def opened(self, request: pytest.FixtureRequest, io_loop: Any) -> Iterator[Store]:
        store = sealed(request)
        io_loop.run_sync(store.open)
        yield store
        io_loop.run_sync(store.close)


@pytest.mark.faults
class TestEncryptedInEveryStore(StoreContract):
    @pytest.fixture(params=DATABASES)
    def store(self, request: pytest.FixtureRequest) -> Store:
        return sealed(request)
