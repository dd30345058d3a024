"""One server of each kind for all tests, started when the first of them asks for it.

A test uses a database, collection or key prefix of its own; one that stops a server starts its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import Chromium
from tests.database_servers import (
    MariaDB,
    Mongod,
    MongoReplicaSet,
    Postgres,
    Valkey,
    ValkeyCluster,
)
from tests.servers import missing

PROGRAMS: dict[Any, tuple[str, ...]] = {
    Mongod: ("mongod",),
    MongoReplicaSet: ("mongod",),
    Valkey: ("valkey-server",),
    ValkeyCluster: ("valkey-server",),
    Postgres: ("postgres", "initdb"),
    MariaDB: ("mariadbd", "mariadb-install-db"),
    Chromium: ("chromium",),
}


def _run(kind: Callable[[Path], Any], factory: pytest.TempPathFactory) -> Iterator[Any]:
    if reason := missing(*PROGRAMS[kind]):
        pytest.skip(reason)
    server = kind(factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """MongoDB, a replica set of one."""
    yield from _run(Mongod, tmp_path_factory)


@pytest.fixture(scope="session")
def mongo_replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoReplicaSet]:
    """MongoDB, a replica set of three."""
    yield from _run(MongoReplicaSet, tmp_path_factory)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Valkey, one node."""
    yield from _run(Valkey, tmp_path_factory)


@pytest.fixture(scope="session")
def valkey_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """Valkey, a cluster of three nodes."""
    yield from _run(ValkeyCluster, tmp_path_factory)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """PostgreSQL."""
    yield from _run(Postgres, tmp_path_factory)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """MariaDB."""
    yield from _run(MariaDB, tmp_path_factory)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser; each test opens a window with a cookie jar of its own."""
    yield from _run(Chromium, tmp_path_factory)


@pytest.fixture
def own_chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser for a test that ends it or is about its profile."""
    yield from _run(Chromium, tmp_path_factory)
