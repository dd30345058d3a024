"""Sessions in PostgreSQL, MySQL, MariaDB or SQLite, through SQLAlchemy Core.

One row a session, see `stores.sql.table`. Changes are applied in one transaction a batch: the rows
are locked, changed here, and written back, so that the condition and the change are one step.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from stores.contract import (
    Change,
    ConfigurationError,
    Create,
    Outcome,
    Record,
    Store,
    StoreUnavailable,
    Update,
)
from stores.sql.attempt import Attempt
from stores.sql.engine import make_engine
from stores.sql.errors import is_misplaced, is_transient, reason_of
from stores.sql.names import DATABASES
from stores.sql.own_engine import check_engine, name_of
from stores.sql.shape import make
from stores.sql.sqlite_file import make_file
from stores.sql.table import STATEMENTS, Statements, make_table
from stores.sql.url import SQLUrl

Answer = TypeVar("Answer")

PAUSE = 0.02
"""Seconds within which a transaction is repeated that others were in the way of."""


class SQLStore(Store):
    """Keeps records in one table of a database.

    *source* is a URL (`postgresql://`, `mysql://`, `mariadb://` with a database, or
    `sqlite:///file`), or an `AsyncEngine` of the application's own, which is not closed and keeps
    its own settings (what it logs, how long it waits for a lock, how SQLite writes to disk).
    *table* is made when the store is opened and it is not there. *timeout* is in seconds and holds
    for a whole operation.
    """

    timeout: float

    def __init__(
        self,
        source: str | AsyncEngine,
        *,
        table: str = "sessions",
        timeout: float = 2.0,
    ) -> None:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,49}", table):
            raise ConfigurationError(
                "the table's name must be up to 50 small letters, digits and underscores"
            )
        self.timeout = timeout
        self._url = SQLUrl(source) if isinstance(source, str) else None
        self._source: Any = source
        if self._url is not None:
            self._name, dialect = self._url.name, self._url.scheme
        else:
            engine = check_engine(source)
            self._name, dialect = name_of(engine), engine.dialect.name
        self._database = DATABASES[dialect]
        self._statements: Statements = STATEMENTS[dialect](make_table(table))
        self._engine: AsyncEngine | None = None  # there is one while the store is open
        self._tasks: set[asyncio.Task[Any]] = set()  # operations, those given up among them

    @property
    def name(self) -> str:
        return self._name

    async def open(self) -> None:
        if self._url is not None and self._url.file is not None:
            make_file(self._url.file)
        if self._engine is None:
            if self._url is not None:
                self._engine = make_engine(self._url, self.timeout)
            else:
                self._engine = self._source.execution_options(isolation_level="AUTOCOMMIT")
        await self._run(self._make)

    async def close(self) -> None:
        engine, self._engine = self._engine, None
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.timeout)
        if engine is not None and self._url is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timeout):
                    await engine.dispose()

    async def ping(self) -> None:
        await self.load([bytes(16)])

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record]:
        if not ids:
            return {}
        records = await self._run(
            lambda attempt: self._statements.load(attempt.connection, ids, lock=False)
        )
        return {record.id: record for record in records}

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        if not changes:
            return []
        return await self._run(lambda attempt: self._apply(attempt, changes))

    async def sweep(self, now: float, limit: int) -> int:
        def remove(attempt: Attempt) -> int:
            with attempt.transaction(self._statements.begin):
                ids = self._statements.lock_dead(attempt.connection, now, limit)
                self._statements.delete(attempt.connection, sorted(ids))
            return len(ids)

        return await self._run(remove)

    # What is done in a connection. SQLAlchemy runs it in a greenlet, in which the waiting happens.

    def _make(self, attempt: Attempt) -> None:
        if self._url is not None and self._url.file is not None:
            # Readers and a writer do not wait for each other; the file remembers it.
            attempt.connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        for last in (False, False, True):
            try:
                return make(attempt.connection, self._statements.table)
            except DBAPIError as error:
                if last or error.connection_invalidated or is_transient(error):
                    raise
                # Another process is at it: it has made the table or the index meanwhile.

    def _apply(self, attempt: Attempt, changes: Sequence[Change]) -> list[Outcome]:
        statements, connection = self._statements, attempt.connection
        ids = sorted({change.id for change in changes})
        with attempt.transaction(statements.begin):
            before = {r.id: r for r in statements.load(connection, ids, lock=True)}
            after: dict[bytes, Record | None] = dict(before)
            outcomes = [_apply_to(after, change) for change in changes]
            inserted, updated, touched, deleted = [], [], [], []
            for id in ids:
                old, new = before.get(id), after.get(id)
                if old is new:
                    continue
                if new is None:
                    deleted.append(id)
                elif old is None:
                    inserted.append(new)
                elif old.data is new.data and old.secret_hash == new.secret_hash:
                    touched.append(new)
                else:
                    updated.append(new)
            if inserted:
                statements.insert(connection, inserted)
            if updated:
                statements.update(connection, updated)
            if touched:
                statements.touch(connection, touched)
            if deleted:
                statements.delete(connection, deleted)
        return outcomes

    # Deadline, repetition, errors

    async def _run(self, work: Callable[[Attempt], Answer]) -> Answer:
        """Do *work* within the deadline; let it fail in one way only."""
        if self._engine is None:
            raise StoreUnavailable("the SQL store is not open")
        attempt = Attempt()
        # A task of its own, for a driver that is cancelled may wait for the server once more.
        task = asyncio.create_task(self._repeat(self._engine, attempt, work))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        try:
            await asyncio.wait((task,), timeout=self.timeout)
        finally:
            if not task.done():
                attempt.cut()
                task.cancel()
        if not task.done():
            reason = f"{self._database} did not answer within {self.timeout} s"
            raise StoreUnavailable(reason + (f"; {attempt.problem}" if attempt.problem else ""))
        return task.result()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _repeat(
        self, engine: AsyncEngine, attempt: Attempt, work: Callable[[Attempt], Answer]
    ) -> Answer:
        """Do *work*, again if it was surely undone and there is reason to hope."""
        renewed = False
        while True:
            try:
                return await attempt.make(engine, work)
            except DBAPIError as error:
                if not attempt.committing:
                    if is_transient(error):
                        attempt.problem = reason_of(error, self._database)
                        await asyncio.sleep(random.random() * PAUSE)  # noqa: S311
                        continue
                    if not renewed and (error.connection_invalidated or is_misplaced(error)):
                        # While it lay in the pool, the server closed it or took another role.
                        renewed = True
                        continue
                raise StoreUnavailable(reason_of(error, self._database)) from None
            except (SQLAlchemyError, OSError) as error:
                raise StoreUnavailable(reason_of(error, self._database)) from None


def _apply_to(records: dict[bytes, Record | None], change: Change) -> Outcome:
    """Apply *change* to the locked *records*, where `None` stands for one that is not there."""
    record = records.get(change.id)
    if isinstance(change, Update):
        if record is None:
            return Outcome.MISSING
        rotation = change.rotation
        if rotation is not None and rotation.expected_hash != record.secret_hash:
            return Outcome.CONFLICT
        records[change.id] = change.applied_to(record)
    elif isinstance(change, Create):
        if record is not None:
            return Outcome.EXISTS
        records[change.id] = change.record
    else:
        records[change.id] = None
    return Outcome.DONE
