"""The table of sessions: its shape, the statements on it, and its rows as records.

One row a session, the data as JSON text, times as Unix time in seconds::

    select encode(id, 'hex'), to_timestamp(expires), user_name, data from sessions;
    3b1f…  2025-11-24 10:00:00.25+00  ada  {"name":"Ada","cart":[{"sku":"x","price":9.5}]}

Text rather than a JSON type: those refuse NUL (PostgreSQL), or change numbers on the way (MySQL).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    any_,
    bindparam,
    column,
    delete,
    func,
    insert,
    select,
    types,
    update,
)
from sqlalchemy.dialects import mysql, postgresql

from stores.contract import Record
from stores.json_text import decode, encode

Row: TypeAlias = tuple[Any, ...]

CHUNK = 1000
"""Values in one list of a statement; SQLite takes 32,766."""


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
        **options,
    )
    Index(f"{name}_expires", table.c.expires)
    return table


def _binary(length: int) -> types.TypeEngine[bytes]:
    return LargeBinary().with_variant(mysql.BINARY(length), "mysql", "mariadb")


# Rows


def row_of(record: Record) -> Row:
    id, secret_hash, created, expires, data, user, persistent, former_hash, rotated = record
    if user is not None:
        user = user.replace("\\", r"\\").replace("\0", r"\0")  # PostgreSQL's text has no NUL
    return id, secret_hash, created, expires, encode(data), user, persistent, former_hash, rotated


def record_of(row: Sequence[Any]) -> Record:
    id, secret_hash, created, expires, data, user, persistent, former_hash, rotated = row
    if user is not None and "\\" in user:
        user = re.sub(r"\\(.)", lambda match: "\0" if match[1] == "0" else match[1], user)
    return Record(
        id, secret_hash, created, expires, decode(data), user, persistent, former_hash, rotated
    )


# Statements


class Statements:
    """The statements for any database, each made and compiled once.

    A transaction first locks the rows that it changes, in the order of their ids, so that two
    transactions never deadlock.
    """

    begin: Sequence[str] = ("BEGIN",)

    def __init__(self, table: Table) -> None:
        self.table = table
        self.names = [c.name for c in table.columns]
        self._load = select(table).where(self._id_is_listed())
        self._lock = self._load.order_by(table.c.id).with_for_update()
        self._expired = (
            select(table.c.id)
            .where(table.c.expires < bindparam("now"))
            .order_by(table.c.expires)
            .limit(bindparam("limit", type_=Integer))
            .with_for_update(skip_locked=True)
        )
        self._insert: Any = insert(table)
        self._update: Any = (
            update(table)
            .where(table.c.id == bindparam("id_"))
            .values({name: bindparam(f"{name}_") for name in self.names if name != "id"})
        )
        self._touch: Any = (
            update(table)
            .where(table.c.id == bindparam("id_"))
            .values(expires=bindparam("expires_"))
        )
        self._delete = delete(table).where(self._id_is_listed())

    def load(self, connection: Connection, ids: Sequence[bytes], *, lock: bool) -> list[Record]:
        statement = self._lock if lock else self._load
        return [
            record_of(row)
            for chunk in self._chunks(ids)
            for row in connection.execute(statement, {"ids": chunk})
        ]

    def lock_expired(self, connection: Connection, now: float, limit: int) -> list[bytes]:
        """Lock expired rows that no other transaction has locked; return their ids."""
        return list(connection.scalars(self._expired, {"now": now, "limit": limit}))

    def insert(self, connection: Connection, records: Iterable[Record]) -> None:
        connection.execute(
            self._insert, [dict(zip(self.names, row_of(r), strict=True)) for r in records]
        )

    def update(self, connection: Connection, records: Iterable[Record]) -> None:
        """Write rows that exist and are locked."""
        names = [f"{name}_" for name in self.names]
        connection.execute(
            self._update, [dict(zip(names, row_of(r), strict=True)) for r in records]
        )

    def touch(self, connection: Connection, records: Iterable[Record]) -> None:
        """Write only the expiry of rows that exist and are locked."""
        connection.execute(self._touch, [{"id_": r.id, "expires_": r.expires} for r in records])

    def delete(self, connection: Connection, ids: Sequence[bytes]) -> None:
        for chunk in self._chunks(ids):
            connection.execute(self._delete, {"ids": chunk})

    def _id_is_listed(self) -> Any:
        return self.table.c.id.in_(bindparam("ids", expanding=True))

    def _chunks(self, ids: Sequence[bytes]) -> Iterable[list[bytes]]:
        return (list(ids[i : i + CHUNK]) for i in range(0, len(ids), CHUNK))


class SQLiteStatements(Statements):
    begin = ("BEGIN IMMEDIATE",)  # locks the whole file for writing


class MySQLStatements(Statements):
    # READ COMMITTED does not lock the gaps between rows, into which others insert. A replica, which
    # may lack the row, refuses READ WRITE.
    begin = ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION READ WRITE")

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        # The driver sends many rows in one statement for an INSERT only.
        self._update = mysql.insert(table).on_duplicate_key_update(
            {name: func.values(table.c[name]) for name in self.names if name != "id"}
        )

    def update(self, connection: Connection, records: Iterable[Record]) -> None:
        connection.execute(
            self._update, [dict(zip(self.names, row_of(r), strict=True)) for r in records]
        )


class PostgreSQLStatements(Statements):
    """Takes rows as one array a column, so that each statement is prepared once for all sizes.

    The plan is made once too, perhaps while the table is small. The condition on the ids beside the
    join makes it use the key, also when the table has grown.
    """

    begin = ("BEGIN ISOLATION LEVEL READ COMMITTED",)

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        new = self._unnest(self.names)
        self._insert = insert(table).from_select(self.names, select(new))
        self._update = (
            update(table)
            .where(table.c.id == new.c.id, self._id_is_listed())
            .values({name: new.c[name] for name in self.names if name != "id"})
        )
        new = self._unnest(["id", "expires"])
        self._touch = (
            update(table)
            .where(table.c.id == new.c.id, self._id_is_listed())
            .values(expires=new.c.expires)
        )

    def insert(self, connection: Connection, records: Iterable[Record]) -> None:
        connection.execute(self._insert, self._arrays(records))

    def update(self, connection: Connection, records: Iterable[Record]) -> None:
        connection.execute(self._update, self._arrays(records))

    def touch(self, connection: Connection, records: Iterable[Record]) -> None:
        ids, expires = zip(*((r.id, r.expires) for r in records), strict=True)
        connection.execute(self._touch, {"ids": ids, "expiress": expires})

    def _arrays(self, records: Iterable[Record]) -> dict[str, Any]:
        columns = zip(*map(row_of, records), strict=True)
        return dict(zip((f"{name}s" for name in self.names), columns, strict=True))

    def _unnest(self, names: Sequence[str]) -> Any:
        columns = [self.table.c[name] for name in names]
        arrays = [
            bindparam(f"{c.name}s", type_=postgresql.ARRAY(c.type, dimensions=1)) for c in columns
        ]
        return (
            func.unnest(*arrays)
            .table_valued(*(column(c.name, c.type) for c in columns))
            .render_derived()
        )

    def _id_is_listed(self) -> Any:
        ids = bindparam("ids", type_=postgresql.ARRAY(LargeBinary, dimensions=1))
        return self.table.c.id == any_(ids)

    def _chunks(self, ids: Sequence[bytes]) -> Iterable[list[bytes]]:
        return (list(ids),)


STATEMENTS: dict[str, Callable[[Table], Statements]] = {
    "postgresql": PostgreSQLStatements,
    "mysql": MySQLStatements,
    "mariadb": MySQLStatements,
    "sqlite": SQLiteStatements,
}
