"""Sessions in PostgreSQL, MySQL, MariaDB or SQLite, through SQLAlchemy Core.

One row a session, see `stores.sql.table`. One transaction applies a batch of changes: it locks the
rows, the store changes them here, and the transaction writes them back. So the condition and the
change are one step.
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
from stores.sql.errors import is_worth_repeating, may_work_elsewhere, reason_of
from stores.sql.names import DATABASES
from stores.sql.own_engine import check_engine, name_of
from stores.sql.shape import create_table
from stores.sql.sqlite_file import make_file
from stores.sql.table import STATEMENTS, Statements, define_table
from stores.sql.url import SQLUrl

Answer = TypeVar("Answer")

PAUSE = 0.02
"""The longest pause, in seconds, before a transaction is repeated."""


class SQLStore(Store):
    """Keeps records in one table of a database.

    *source* is a URL (`postgresql://`, `mysql://`, `mariadb://` with a database, or
    `sqlite:///file`), or an `AsyncEngine` of the application's own. The store does not close such
    an engine, nor change its settings (logging, lock waits, SQLite's `synchronous`). Opening the
    store creates *table* unless it exists. *timeout* bounds a whole operation, in seconds.

    Raises `ConfigurationError` for a bad URL, an engine that cannot be used, a bad name of a table,
    and a missing driver.
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
                "the table's name must have 1 to 50 characters, which are small letters, digits "
                "and underscores, and must not begin with a digit"
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
        self._statements: Statements = STATEMENTS[dialect](define_table(table))
        self._engine: AsyncEngine | None = None  # set while the store is open
        self._tasks: set[asyncio.Task[Any]] = set()  # operations, also those past their deadline

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
        await self._run(self._create_table)

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
                ids = self._statements.lock_expired(attempt.connection, now, limit)
                self._statements.delete(attempt.connection, sorted(ids))
            return len(ids)

        return await self._run(remove)

    # Work in a connection. SQLAlchemy runs it in a greenlet, which waits for the driver.

    def _create_table(self, attempt: Attempt) -> None:
        if self._url is not None and self._url.file is not None:
            # So readers and a writer do not wait for each other. The file keeps this mode.
            attempt.connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        for last in (False, False, True):
            try:
                return create_table(attempt.connection, self._statements.table)
            except DBAPIError as error:
                if last or error.connection_invalidated or is_worth_repeating(error):
                    raise
                # Another process has created the table or the index meanwhile.

    def _apply(self, attempt: Attempt, changes: Sequence[Change]) -> list[Outcome]:
        statements, connection = self._statements, attempt.connection
        ids = sorted({change.id for change in changes})
        with attempt.transaction(statements.begin):
            before = {r.id: r for r in statements.load(connection, ids, lock=True)}
            after: dict[bytes, Record | None] = dict(before)
            outcomes = [_apply_one(after, change) for change in changes]
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
        """Do *work* within the deadline; turn every failure into `StoreUnavailable`."""
        if self._engine is None:
            raise StoreUnavailable("the SQL store is not open")
        attempt = Attempt()
        # In a task of its own: a cancelled driver may wait for the server once more.
        task = asyncio.create_task(self._repeat(self._engine, attempt, work))
        self._tasks.add(task)
        task.add_done_callback(self._forget_task)
        try:
            await asyncio.wait((task,), timeout=self.timeout)
        finally:
            if not task.done():
                attempt.terminate_connection()
                task.cancel()
        if not task.done():
            reason = f"{self._database} did not answer within {self.timeout} s"
            raise StoreUnavailable(
                reason + (f"; {attempt.repeated_because}" if attempt.repeated_because else "")
            )
        return task.result()

    def _forget_task(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _repeat(
        self, engine: AsyncEngine, attempt: Attempt, work: Callable[[Attempt], Answer]
    ) -> Answer:
        """Do *work*; repeat it when it was rolled back and a repetition may succeed."""
        renewed = False
        while True:
            try:
                return await attempt.run(engine, work)
            except DBAPIError as error:
                if not attempt.committing:
                    if is_worth_repeating(error):
                        attempt.repeated_because = reason_of(error, self._database)
                        await asyncio.sleep(random.random() * PAUSE)  # noqa: S311
                        continue
                    if not renewed and (error.connection_invalidated or may_work_elsewhere(error)):
                        # The server closed the idle connection, or took another role.
                        renewed = True
                        continue
                raise StoreUnavailable(reason_of(error, self._database)) from None
            except (SQLAlchemyError, OSError) as error:
                raise StoreUnavailable(reason_of(error, self._database)) from None


def _apply_one(records: dict[bytes, Record | None], change: Change) -> Outcome:
    """Apply *change* to the locked *records*, in which `None` stands for a removed one."""
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
