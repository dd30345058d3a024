"""Statements run by the driver's own cursor.

SQLAlchemy's execution takes as long again as the driver, for each statement. In an application's
own engine it runs them all the same, for whom the application lets look at what it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.exc import DBAPIError

_DIRECT = "sessions_direct"

DIRECT = {_DIRECT: True}
"""Execution options of an engine in which nobody else looks at statements."""

_DIALECT: Any = asyncpg.dialect()  # type: ignore[no-untyped-call]


class Text(NamedTuple):
    """A statement as the driver takes it."""

    sql: str
    names: Sequence[str] = ()
    """Of its parameters, in their order."""


def compiled(statement: Any) -> Text:
    """Return the text of a statement of SQLAlchemy's."""
    made = statement.compile(dialect=_DIALECT)
    return Text(str(made), made.positiontup or ())


def fetch(connection: Connection, text: Text, values: Mapping[str, Any] | None = None) -> list[Any]:
    """Run a statement of PostgreSQL; return its rows. Raises `DBAPIError`, as SQLAlchemy does."""
    parameters = tuple(values[name] for name in text.names) if values else ()
    if _DIRECT not in connection.get_execution_options():
        result = connection.exec_driver_sql(text.sql, parameters)
        return list(result) if result.returns_rows else []
    driver: Any = connection.connection.dbapi_connection
    if not (driver.autocommit or connection.in_transaction()):
        connection.begin()  # the driver does, too, and SQLAlchemy is to end it
    cursor = driver.cursor()
    try:
        cursor.execute(text.sql, parameters)
        rows: list[Any] = cursor.fetchall()
    except Exception as error:
        dialect = connection.dialect
        if not isinstance(error, dialect.loaded_dbapi.Error):
            raise
        if dialect.is_disconnect(error, driver, cursor):
            # SQLAlchemy finds the same, and takes the pool's other connections for dead, too.
            with suppress(DBAPIError):
                connection.exec_driver_sql("SELECT 1")
        raise DBAPIError(None, None, error, True, connection.invalidated) from error
    except BaseException:
        connection.invalidate()  # an answer is still to come
        raise
    finally:
        cursor.close()
    return rows
