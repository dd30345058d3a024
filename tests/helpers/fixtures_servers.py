"""One server of each kind for all tests, started when the first of them asks for it.

A test uses a database, collection or key prefix of its own; one that stops a server starts its own.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from tests.helpers.chromium import Chromium
from tests.helpers.database_servers import (
    MariaDB,
    Mongod,
    MongoReplicaSet,
    Postgres,
    Valkey,
    ValkeyCluster,
)
from tests.helpers.servers import missing, until

PROGRAMS: dict[Any, tuple[str, ...]] = {
    Mongod: ("mongod",),
    MongoReplicaSet: ("mongod",),
    Valkey: ("valkey-server",),
    ValkeyCluster: ("valkey-server",),
    Postgres: ("postgres", "initdb"),
    MariaDB: ("mariadbd", "mariadb-install-db"),
    Chromium: ("chromium",),
}


def _run(kind: Callable[[Path], Any]) -> Iterator[Any]:
    if reason := missing(*PROGRAMS[kind]):
        pytest.skip(reason)
    # Not below pytest's folder, whose rights another run changes: some run as another user.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        server = kind(Path(folder) / "server")
        yield server
        server.stop()


@pytest.fixture(scope="session")
def mongod() -> Iterator[Mongod]:
    """MongoDB, a replica set of one."""
    yield from _run(Mongod)


@pytest.fixture
def mongo_collection(mongod: Mongod) -> Iterator[Any]:
    """A collection of the test's own, as an administrator's client has it."""
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongod.url)
    with client:
        database = client[f"test_{os.urandom(6).hex()}"]
        yield database["sessions"]
        client.drop_database(database)


@pytest.fixture(scope="session")
def mongo_replica_set() -> Iterator[MongoReplicaSet]:
    """MongoDB, a replica set of three."""
    yield from _run(MongoReplicaSet)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Valkey, one node."""
    yield from _run(Valkey)


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[ValkeyCluster]:
    """Valkey, a cluster of three nodes."""
    yield from _run(ValkeyCluster)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL."""
    yield from _run(Postgres)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """MariaDB."""
    yield from _run(MariaDB)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """A browser; each test opens a window with a cookie jar of its own."""
    yield from _run(Chromium)


@pytest.fixture
def own_chromium() -> Iterator[Chromium]:
    """A browser for a test that ends it or is about its profile."""
    yield from _run(Chromium)


@pytest.fixture
def sqlite_threads_end(io_loop: Any) -> Iterator[None]:
    """Let the threads of connections that were cut end before the loop that they tell so."""
    yield
    until(
        lambda: not any("_connection_worker_thread" in t.name for t in threading.enumerate()),
        "the threads of aiosqlite to end",
    )
