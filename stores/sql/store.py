"""Sessions in PostgreSQL, MySQL, MariaDB or SQLite, through SQLAlchemy Core.

One row a session, see `stores.sql.table`. One transaction applies a batch of changes: it locks the
rows, the store changes them here, and the transaction writes them back. So the condition and the
change are one step.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from stores.contract import (
    Change,
    ConfigurationError,
    Count,
    Outcome,
    Page,
    Record,
    Store,
    StoreUnavailable,
    Unreadable,
)
from stores.cursor import count_in_steps, id_after, page_of
from stores.sql.attempt import Attempt
from stores.sql.batch import Batch
from stores.sql.clock import compare_clocks
from stores.sql.dialects import STATEMENTS
from stores.sql.engine import Engine, make_engine, use_engine
from stores.sql.errors import is_worth_repeating
from stores.sql.names import DATABASES
from stores.sql.own_engine import check_engine, name_of
from stores.sql.running import RowRefused, Runner
from stores.sql.shape import prepare_table
from stores.sql.sqlite_file import WatchedFile
from stores.sql.statements import Statements
from stores.sql.table import define_table
from stores.sql.url import SQLUrl

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

OVERHEARD = (
    "store %s: sessions may cross the network in plain text; write sslmode=verify-full with "
    "sslrootcert=file (PostgreSQL), ssl=true or ssl_ca=file (MySQL, MariaDB) into its URL"
)


class SQLStore(Store):
    """Keeps records in one table of a database.

    *source* is a URL (`postgresql://`, `mysql://`, `mariadb://` with a database, or
    `sqlite:///file`), or an `AsyncEngine` of the application's own. The store does not close such
    an engine, nor change its settings (logging, lock waits, SQLite's `synchronous`). Opening the
    store creates *table* unless it exists; without it, that is the one that the URL names
    (`?table=`), else `sessions`. *timeout* bounds a whole operation, in seconds.

    Raises `ConfigurationError` for a bad URL, an engine that cannot be used, a bad name of a table,
    and a missing driver.
    """

    timeout: float

    def __init__(
        self,
        source: str | AsyncEngine,
        *,
        table: str | None = None,
        timeout: float = 2.0,
    ) -> None:
        self.timeout = timeout
        self._url = SQLUrl(source) if isinstance(source, str) else None
        self._source: Any = source
        if self._url is not None:
            self._name, dialect = self._url.name, self._url.scheme
            table = self._url.table if table is None else table
        else:
            engine = check_engine(source)
            self._name, dialect = name_of(engine), engine.dialect.name
        self._database = DATABASES[dialect]
        self._statements: Statements = STATEMENTS[dialect](define_table(_checked(table)))
        file = None if self._url is None else self._url.file
        self._file = None if file is None else WatchedFile(file)
        self._runner: Runner | None = None  # set while the store is open

    @property
    def name(self) -> str:
        return self._name

    async def open(self) -> None:
        if self._file is not None:
            self._file.make()
        if self._runner is None:
            if self._url is not None and self._url.may_be_overheard:
                log.warning(OVERHEARD, self._name)
            self._runner = Runner(self._make_engine, self._database, self.timeout, self._prepare)
        await self._run(self._prepare)
        await self._run(lambda a: compare_clocks(a, self._statements, self._database))

    async def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.close()

    async def ping(self) -> None:
        await self.load([bytes(16)])

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record | Unreadable]:
        if not ids:
            return {}
        return await self._run(
            lambda attempt: self._statements.load(attempt.connection, ids, lock=False)
        )

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        if not changes:
            return []
        if self._file is not None and self._file.is_another():
            self._go_on_with(self._file)
        try:
            return await self._run(lambda attempt: self._apply(attempt, changes))
        except RowRefused as error:
            if len(changes) == 1:
                return [error]
        # Nothing was written, for the sake of one change: each by itself then.
        return [(await self.write([change]))[0] for change in changes]

    async def sweep(self, now: float, limit: int) -> int:
        def remove(attempt: Attempt) -> int:
            with attempt.transaction(self._statements.begin):
                ids = self._statements.lock_expired(attempt.connection, now, limit)
                self._statements.delete(attempt.connection, sorted(ids))
            return len(ids)

        return await self._run(remove)

    async def scan(self, after: str | None = None, limit: int = 500) -> Page:
        behind = id_after(after)
        found = await self._run(lambda a: self._statements.scan(a.connection, behind, limit))
        return page_of(found, limit)

    async def count(self, *, exact: bool = False) -> Count:
        if not exact:
            estimate = await self._run(lambda a: self._statements.estimate(a.connection))
            if estimate is not None:
                return Count(estimate, False)

        async def step(after: bytes, limit: int) -> tuple[int, bytes | None]:
            return await self._run(
                lambda a: self._statements.count_behind(a.connection, after, limit)
            )

        return Count(await count_in_steps(step), True)

    def _go_on_with(self, file: WatchedFile) -> None:
        """Use the file that is there now, rather than the one that connections have open."""
        if self._runner is None:
            return
        try:
            file.make()
        except ConfigurationError as error:
            raise StoreUnavailable(str(error)) from None
        log.error(
            "store %s: somebody removed or replaced its file, which ends the sessions that were in "
            "it; the store goes on with the file that is there now, or a new one",
            self._name,
        )
        self._runner.renew()

    def _make_engine(self, pooled: bool) -> Engine:
        if self._url is None:
            return use_engine(self._source, self.timeout, pooled=pooled)
        return make_engine(self._url, self.timeout, pooled=pooled)

    async def _run(self, work: Callable[[Attempt], Answer]) -> Answer:
        if self._runner is None:
            raise StoreUnavailable("the SQL store is not open")
        return await self._runner.run(work)

    # Work in a connection. SQLAlchemy runs it in a greenlet, which waits for the driver.

    def _prepare(self, attempt: Attempt) -> None:
        if self._url is None and self._database == "PostgreSQL":
            from stores.sql.postgresql import check_own_engine

            check_own_engine(attempt)
        if self._file is not None:
            # So readers and a writer do not wait for each other. The file keeps this mode.
            attempt.connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        for last in (False, False, True):
            try:
                prepare_table(attempt, self._statements.table)
                return self._statements.measure(attempt.connection)
            except DBAPIError as error:
                if last or error.connection_invalidated or is_worth_repeating(error):
                    raise
                # Another process has created the same meanwhile.

    def _apply(
        self, attempt: Attempt, changes: Sequence[Change]
    ) -> list[Outcome | StoreUnavailable]:
        statements, connection = self._statements, attempt.connection
        ids = sorted({change.id for change in changes})
        with attempt.transaction(statements.begin):
            batch = Batch(changes, statements.load(connection, ids, lock=True), statements.largest)
            batch.write(statements, connection)
        return batch.outcomes


def _checked(table: str | None) -> str:
    """Return the name of the table; raise `ConfigurationError` for a bad one."""
    if table is None:
        return "sessions"
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,49}", table):
        raise ConfigurationError(
            "the table's name must have 1 to 50 characters, which are small letters, digits "
            "and underscores, and must not begin with a digit"
        )
    return table
