"""Sessions in SQL databases: the contract, what is in the table, and what a store is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stores import Store
from stores.sql import SQLStore
from tests.store_contract import StoreContract


class TestPostgreSQLStore(StoreContract):
    @pytest.fixture
    def store(self, postgres: Any) -> Store:
        return SQLStore(postgres.url)


class TestMariaDBStore(StoreContract):
    @pytest.fixture
    def store(self, mariadb: Any) -> Store:
        return SQLStore(mariadb.url)


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return SQLStore(f"sqlite:///{tmp_path}/sessions.db")
