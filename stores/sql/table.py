"""The table of sessions.

One row a session, the data as JSON text, times as Unix time in seconds::

    select encode(id, 'hex'), to_timestamp(expires), user_name, data from sessions;
    3b1f…  2025-11-24 10:00:00.25+00  ada  {"name":"Ada","cart":[{"sku":"x","price":9.5}]}

Text rather than a JSON type: those refuse NUL (PostgreSQL), or change numbers on the way (MySQL).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Double, Index, LargeBinary, MetaData, Table, Text, types
from sqlalchemy.dialects import mysql

ADDED_LATER = ("authenticated", "seen")
"""Columns that a table of an earlier version lacks; they are added when the store is opened."""


def define_table(name: str) -> Table:
    """Return the table, whose columns are in the order of `Record`'s fields."""
    # By default, MySQL may ignore case in comparisons and refuse emoji.
    options: dict[str, Any] = {
        f"{dialect}_{key}": value
        for dialect in ("mysql", "mariadb")
        for key, value in (
            ("engine", "InnoDB"),
            ("charset", "utf8mb4"),
            ("collate", "utf8mb4_bin"),
        )
    }
    text = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
    table: Table = Table(
        name,
        MetaData(),
        Column("id", _binary(16), primary_key=True),
        Column("secret", _binary(32), nullable=False),
        Column("created", Double, nullable=False),
        Column("expires", Double, nullable=False),
        Column("data", text, nullable=False),
        Column("user_name", text),
        Column("persistent", Boolean, nullable=False),
        Column("former", _binary(32)),
        Column("rotated", Double),
        Column("authenticated", Double),
        Column("seen", Double),
        **options,
    )
    Index(f"{name}_expires", table.c.expires)
    return table


def _binary(length: int) -> types.TypeEngine[bytes]:
    return LargeBinary().with_variant(mysql.BINARY(length), "mysql", "mariadb")
