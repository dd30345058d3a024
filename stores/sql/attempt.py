"""One operation in a connection of an SQL database, with its transaction."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from stores.contract import ConfigurationError, StoreUnavailable
from stores.sql.driver import Text, fetch
from stores.sql.engine import Engine
from stores.sql.errors import may_work_elsewhere

Answer = TypeVar("Answer")


class Attempt:
    """Does the work of one operation, once or again."""

    connection: Connection

    def __init__(self) -> None:
        self.committing = False
        """Whether the transaction may have been committed."""
        self.repeated_because = ""
        """Why the work was repeated; "" when it was not."""
        self.connected = False
        """Whether there was a connection."""
        self.given_up = False
        """Whether nobody waits for it any more: it must not commit, nor be repeated."""
        self.engine: Engine
        self._driver: Any = None
        self._in_sqlite = self._in_postgresql = False

    async def run(self, engine: Engine, work: Callable[[Attempt], Answer]) -> Answer:
        """Return what *work* returns in a connection of *engine*."""
        self.engine = engine
        dialect = engine.connectable.dialect.name
        self._in_sqlite, self._in_postgresql = dialect == "sqlite", dialect == "postgresql"
        async with engine.slots:
            return await self._run(engine, work)

    async def _run(self, engine: Engine, work: Callable[[Attempt], Answer]) -> Answer:
        try:
            connection = await engine.connect()
        except OSError:  # some are a ValueError, too
            raise
        except (ValueError, TypeError, RuntimeError) as error:
            # Without TLS, MySQL 8 needs it to send a password.
            hint = "install cryptography" if "cryptography" in str(error) else type(error).__name__
            raise ConfigurationError(
                f"the driver cannot connect with the store's settings ({hint})"
            ) from None
        kept = False
        try:
            answer = await connection.run_sync(self._work_in, work)
            if not self.given_up:
                await engine.keep(connection)
                kept = True
            return answer
        except DBAPIError as error:
            if may_work_elsewhere(error):
                await connection.invalidate()  # the next connection finds the server anew
            if connection.invalidated:
                await engine.close_idle()  # the pool knows whether they are dead, too
            raise
        finally:
            self._driver = None
            if not kept:
                await connection.close()

    def _work_in(self, connection: Connection, work: Callable[[Attempt], Answer]) -> Answer:
        self.connection = connection
        self.connected = True
        self._driver = connection.connection.driver_connection
        return work(self)

    @contextmanager
    def transaction(self, begin: Sequence[str] = ()) -> Iterator[None]:
        """Begin a transaction by the statements *begin*; commit it, or roll it back on an error.

        An engine may have other statements for that. Without any, one in autocommit mode needs no
        transaction; for another, SQLAlchemy begins it.
        """
        connection = self.connection
        try:
            for statement in self.engine.begin if begin and self.engine.begin else begin:
                self._execute(statement)
            yield
            if self.given_up:
                raise StoreUnavailable("nobody waits for this operation any more")
            self.committing = bool(begin)
            if not self.engine.autocommit:
                connection.commit()
            elif begin:
                self._execute("COMMIT")
            self.committing = False
        except BaseException:
            if not connection.invalidated:  # else it has ended, and the server rolls back
                self._roll_back(bool(begin))
            raise

    def _execute(self, statement: str) -> None:
        if self._in_postgresql:
            fetch(self.connection, Text(statement))
        else:
            self.connection.exec_driver_sql(statement)

    def _roll_back(self, begun: bool) -> None:
        """Roll back; an error of this tells nothing that the first one does not."""
        try:
            if not self.engine.autocommit:
                self.connection.rollback()
            elif begun:
                self._execute("ROLLBACK")
        except Exception:
            if not self.connection.invalidated:
                self.connection.invalidate()
        except BaseException:
            self.connection.invalidate()
            raise

    def give_up(self, task: asyncio.Task[Any]) -> None:
        """Let *task*, which does the work, end without a commit."""
        self.given_up = True
        # A cancelled statement of SQLite leaves a cursor behind, which keeps the file locked; a
        # cancelled opening leaves the file open. Both end by themselves, and then the task does.
        if self._in_sqlite:
            return
        self._terminate_connection()
        task.cancel()

    def _terminate_connection(self) -> None:
        """Close the connection to a server that does not answer, at once."""
        # asyncpg has terminate(), asyncmy has close().
        driver = self._driver
        for name in ("terminate", "close"):
            method = getattr(driver, name, None)
            if method is not None and not inspect.iscoroutinefunction(method):
                method()
                return
