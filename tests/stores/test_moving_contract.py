"""The contract over two stores, from one to the other in each direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from stores import (
    MemoryStore,
    MongoStore,
    MovingStore,
    RedisStore,
    SQLStore,
    Store,
    StoreUnavailable,
)
from stores.contract import Change, Create, Outcome
from tests.helpers.steps import PATIENCE
from tests.store_contract import StoreContract

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")


class BeginsInOld(MovingStore):
    """Every record begins in the old store, so that each change has to move it."""

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        creates = [i for i, change in enumerate(changes) if isinstance(change, Create)]
        others = [i for i in range(len(changes)) if i not in set(creates)]
        begun = await self.old.write([changes[i] for i in creates])
        told = await super().write([changes[i] for i in others])
        outcomes = dict(zip([*creates, *others], [*begun, *told], strict=True))
        return [outcomes[i] for i in range(len(changes))]


STORES: Mapping[str, Callable[[pytest.FixtureRequest], Store]] = {
    "memory": lambda _: MemoryStore(),
    "mongodb": lambda r: MongoStore(r.getfixturevalue("mongod").url, timeout=PATIENCE),
    "valkey": lambda r: RedisStore(r.getfixturevalue("valkey").url, timeout=PATIENCE),
    "postgres": lambda r: SQLStore(r.getfixturevalue("postgres").url, timeout=PATIENCE),
    "mariadb": lambda r: SQLStore(r.getfixturevalue("mariadb").url, timeout=PATIENCE),
}
"""Each makes a store, which may take its time: a test opens two, on a busy machine."""


class _OfTwo(StoreContract):
    kind = MovingStore
    moves = True
    names = ("memory", "memory")

    @pytest.fixture
    def store(self, request: pytest.FixtureRequest) -> Store:
        new, old = (STORES[name](request) for name in self.names)
        store = self.kind(new, old, moves=self.moves)
        if self.kind is BeginsInOld:
            store.expires_itself = old.expires_itself
        return store


class TestMemoryStores(_OfTwo):
    pass


class TestMemoryStoresEachRecordIsMoved(_OfTwo):
    kind = BeginsInOld


class TestMemoryStoresBeforeTheMove(_OfTwo):
    moves = False


class TestMongoDBToPostgreSQL(_OfTwo):
    kind = BeginsInOld
    names = ("postgres", "mongodb")
    # Which values there are makes a difference to the stores, not to a move.
    test_any_key_is_kept_changed_and_removed = None  # type: ignore[assignment]
    test_any_value_comes_back_equal_and_of_its_type = None


@pytest.mark.faults
class TestMongoDBToPostgreSQLWithAllValues(_OfTwo):
    kind = BeginsInOld
    names = ("postgres", "mongodb")


@pytest.mark.faults
class TestPostgreSQLToMongoDB(_OfTwo):
    kind = BeginsInOld
    names = ("mongodb", "postgres")


@pytest.mark.faults
class TestMongoDBToValkey(_OfTwo):
    kind = BeginsInOld
    names = ("valkey", "mongodb")


@pytest.mark.faults
class TestValkeyToMariaDB(_OfTwo):
    names = ("mariadb", "valkey")


@pytest.mark.faults
class TestPostgreSQLToValkeyBeforeTheMove(_OfTwo):
    moves = False
    names = ("valkey", "postgres")
