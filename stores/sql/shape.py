"""Making the table of sessions, and finding out whether the one that is there will do."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Connection, Double, Table, inspect, types

from stores.contract import ConfigurationError


def make(connection: Connection, table: Table) -> None:
    """Make the table and its index, where they are not there yet.

    Raises `ConfigurationError` when the table is of another shape, and an error of the database
    when another process makes the same at this moment: try again.
    """
    if not inspect(connection).has_table(table.name):
        table.create(connection, checkfirst=False)
        return
    inspector = inspect(connection)
    if problem := _problem(inspector, table):
        raise ConfigurationError(
            f'the table "{table.name}" is there and is not one of sessions: {problem}; '
            "name another (table=...), or remove it"
        )
    present = {tuple(index["column_names"]) for index in inspector.get_indexes(table.name)}
    for index in table.indexes:
        if not any(names[:1] == ("expires",) for names in present):
            index.create(connection)


def _problem(inspector: Any, table: Table) -> str:
    """Say in what the table that is there differs from *table*; "" when it will do."""
    there = {c["name"]: c for c in inspector.get_columns(table.name)}
    key = inspector.get_pk_constraint(table.name)["constrained_columns"]
    if key != ["id"]:
        return "its primary key is not id"
    for column in table.columns:
        if column.name not in there:
            return f"it has no column {column.name}"
        if not isinstance(there[column.name]["type"], _kind(column)):
            return f"its column {column.name} is of another type"
        if column.nullable and not there[column.name]["nullable"]:
            return f"its column {column.name} takes no NULL"
    for name, column in there.items():
        if name not in table.columns and not column["nullable"] and column["default"] is None:
            return f"its column {name} wants a value"
    return ""


def _kind(column: Column[Any]) -> tuple[type[Any], ...]:
    """Return the types, as a database tells them, that can hold the column's values."""
    if isinstance(column.type, Boolean):
        return (types.Boolean, types.Integer)
    if isinstance(column.type, Double):
        return (types.Float,)
    if isinstance(column.type, types.Text):
        return (types.String,)
    return (types.LargeBinary, types.BINARY, types.VARBINARY)
