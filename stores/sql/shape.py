"""Creating the table of sessions, and checking one that exists."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Connection, Double, Table, inspect, types

from stores.contract import ConfigurationError


def create_table(connection: Connection, table: Table) -> None:
    """Create the table and its index unless they exist.

    Raises `ConfigurationError` when the table has another schema. Raises an error of the database
    when another process creates the same at this moment; a repetition succeeds.
    """
    if not inspect(connection).has_table(table.name):
        table.create(connection, checkfirst=False)
        return
    inspector = inspect(connection)
    if difference := _difference(inspector, table):
        raise ConfigurationError(
            f'the table "{table.name}" exists but is not a session table: {difference}; '
            "choose another name (table=...), or remove the table"
        )
    present = {tuple(index["column_names"]) for index in inspector.get_indexes(table.name)}
    for index in table.indexes:
        if not any(names[:1] == ("expires",) for names in present):
            index.create(connection)


def _difference(inspector: Any, table: Table) -> str:
    """Return how the table that exists differs from *table*; "" when the store can use it."""
    existing = {c["name"]: c for c in inspector.get_columns(table.name)}
    key = inspector.get_pk_constraint(table.name)["constrained_columns"]
    if key != ["id"]:
        return "its primary key is not id"
    for column in table.columns:
        if column.name not in existing:
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
