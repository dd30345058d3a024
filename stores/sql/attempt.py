"""One attempt at an operation in a connection of an SQL database."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from stores.contract import ConfigurationError
from stores.sql.errors import is_misplaced

Answer = TypeVar("Answer")


class Attempt:
    """Work in a connection, done once or again.

    `committing` tells whether the transaction may have been committed; `problem` is why the work
    had to be repeated.
    """

    connection: Connection

    def __init__(self) -> None:
        self.committing = False
        self.problem = ""
        self._driver: Any = None

    async def make(self, engine: AsyncEngine, work: Callable[[Attempt], Answer]) -> Answer:
        try:
            connection = await engine.connect()
        except (ValueError, TypeError, RuntimeError) as error:
            # MySQL 8 wants it for passwords that do not travel over TLS.
            hint = "install cryptography" if "cryptography" in str(error) else type(error).__name__
            raise ConfigurationError(
                f"the driver cannot connect as the store's URL says ({hint})"
            ) from None
        try:
            return await connection.run_sync(self._make, work)
        except DBAPIError as error:
            if is_misplaced(error):
                await connection.invalidate()  # the next attempt asks anew who serves
            raise
        finally:
            self._driver = None
            await connection.close()

    def _make(self, connection: Connection, work: Callable[[Attempt], Answer]) -> Answer:
        self.connection = connection
        self._driver = connection.connection.driver_connection
        return work(self)

    @contextmanager
    def transaction(self, begin: Sequence[str]) -> Iterator[None]:
        connection = self.connection
        for statement in begin:
            connection.exec_driver_sql(statement)
        try:
            yield
            self.committing = True
            connection.exec_driver_sql("COMMIT")
            self.committing = False
        except BaseException:
            if not connection.invalidated:  # else it is cut, and the server undoes all of it
                self._roll_back()
            raise

    def _roll_back(self) -> None:
        try:
            self.connection.exec_driver_sql("ROLLBACK")
        except BaseException:
            if not self.connection.invalidated:
                self.connection.invalidate()
            raise

    def cut(self) -> None:
        """Cut the connection to a server that does not answer, without a farewell."""
        # asyncpg, asyncmy; a thread of SQLite's ends by itself.
        driver = self._driver
        for name in ("terminate", "close"):
            method = getattr(driver, name, None)
            if method is not None and not inspect.iscoroutinefunction(method):
                method()
                return
