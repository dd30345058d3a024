"""Creating the table of sessions, checking one that exists, and adding columns to an older one."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Double, Index, Table, inspect, types
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from stores.contract import ConfigurationError
from stores.sql.attempt import Attempt
from stores.sql.errors import is_forbidden
from stores.sql.table import ADDED_LATER

log = logging.getLogger(__name__)


def prepare_table(attempt: Attempt, table: Table) -> None:
    """Create the table, its later columns and its index, each unless it is there.

    Raises `ConfigurationError` when the table has another schema, or when the user may not mend
    what is missing; without the index the store works, so that is a warning. Raises an error of the
    database when another process creates the same at this moment; a repetition succeeds.
    """
    with attempt.transaction():
        inspector = inspect(attempt.connection)
        exists = inspector.has_table(table.name)
        if exists:
            missing = _missing_columns(inspector, table)
            if difference := _difference(inspector, table):
                raise ConfigurationError(
                    f'the table "{table.name}" exists but is not a session table: {difference}; '
                    "choose another name (table=...), or remove the table"
                )
            present = {tuple(i["column_names"]) for i in inspector.get_indexes(table.name)}
    if not exists:
        what = f'the table "{table.name}" does not exist'
        _change(attempt, what, *(CreateTable(table), *map(CreateIndex, table.indexes)))
        return
    for column in missing:
        definition = CreateColumn(column).compile(dialect=attempt.connection.dialect)
        what = f'the table "{table.name}" has no column {column.name}'
        _change(attempt, what, f"ALTER TABLE {table.name} ADD COLUMN {definition}")
    if not any(names[:1] == ("expires",) for names in present):
        for index in table.indexes:
            _create_index(attempt, index)


def statement(connection: Connection, ddl: Any) -> str:
    """Return a statement as one line, to be pasted."""
    text = ddl if isinstance(ddl, str) else str(ddl.compile(dialect=connection.dialect))
    return " ".join(text.split())


def _change(attempt: Attempt, what: str, *statements: Any) -> None:
    lines = [statement(attempt.connection, each) for each in statements]
    try:
        with attempt.transaction():
            for line in lines:
                attempt.connection.exec_driver_sql(line)
    except DBAPIError as error:
        if not is_forbidden(error):
            raise
        raise ConfigurationError(
            f"{what}, and this user may not mend that; as the owner, run: {'; '.join(lines)}"
        ) from None


def _create_index(attempt: Attempt, index: Index) -> None:
    line = statement(attempt.connection, CreateIndex(index))
    try:
        with attempt.transaction():
            attempt.connection.exec_driver_sql(line)
    except DBAPIError as error:
        if not is_forbidden(error):
            raise
        log.warning(
            "the table of sessions has no index by expiry, so that removing expired sessions reads "
            "all of it, and this user may not create it; as the owner, run: %s",
            line,
        )


def _missing_columns(inspector: Any, table: Table) -> list[Column[Any]]:
    present = {column["name"] for column in inspector.get_columns(table.name)}
    return [table.c[name] for name in ADDED_LATER if name not in present]


def _difference(inspector: Any, table: Table) -> str:
    """Return how the table that exists differs from *table*; "" when the store can use it."""
    existing = {c["name"]: c for c in inspector.get_columns(table.name)}
    key = inspector.get_pk_constraint(table.name)["constrained_columns"]
    if key != ["id"]:
        return "its primary key is not id"
    for column in table.columns:
        if column.name not in existing:
            if column.name in ADDED_LATER:
                continue
            return f"it has no column {column.name}"
        if not isinstance(existing[column.name]["type"], _kind(column)):
            return f"its column {column.name} has another type"
        if column.nullable and not existing[column.name]["nullable"]:
            return f"its column {column.name} is NOT NULL"
    for name, column in existing.items():
        if name not in table.columns and not column["nullable"] and column["default"] is None:
            return f"its column {name} has no default"
    return ""


def _kind(column: Column[Any]) -> tuple[type[Any], ...]:
    """Return the types, as SQLAlchemy reads them from a database, that can hold the column."""
    if isinstance(column.type, Boolean):
        return (types.Boolean, types.Integer)
    if isinstance(column.type, Double):
        return (types.Float,)
    if isinstance(column.type, types.Text):
        return (types.String,)
    return (types.LargeBinary, types.BINARY, types.VARBINARY)
