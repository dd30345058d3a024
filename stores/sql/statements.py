"""The statements on the table of sessions, each made and compiled once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    LargeBinary,
    Table,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    select,
    type_coerce,
    types,
    update,
)

from stores.contract import MAX_DATA, Record, Unreadable
from stores.sql.rows import Row, record_of

CHUNK = 1000
"""Values in one list of a statement; SQLite takes 32,766."""

ID_BYTES = 16


class Statements:
    """The statements for any database.

    A transaction first locks the rows that it changes, in the order of their ids, so that two
    transactions never deadlock.
    """

    begin: Sequence[str] = ("BEGIN",)
    largest = MAX_DATA
    """The most bytes that the data of a record may take."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.names = [c.name for c in table.columns]
        records = select(*(self._as_it_is(name) for name in self.names))
        self._load = records.where(self._id_is_listed())
        self._lock = self._load.order_by(table.c.id).with_for_update()
        behind = table.c.id > self._an_id("after")
        self._scan = (
            records.where(behind).order_by(table.c.id).limit(bindparam("limit", type_=Integer))
        )
        self._last_of = (
            select(table.c.id)
            .where(behind)
            .order_by(table.c.id)
            .limit(1)
            .offset(bindparam("offset", type_=Integer))
        )
        self._count = select(func.count()).select_from(table).where(behind)
        now = bindparam("now", type_=types.Double)
        self._expired = (
            select(table.c.id)
            .where(table.c.expires < now, *(table.c.expires < t for t in self.server_time()))
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
            .values(expires=bindparam("expires_"), seen=bindparam("seen_"))
        )
        self._delete = delete(table).where(self._id_is_listed())

    def measure(self, connection: Connection) -> None:
        """Learn the server's limits."""

    def load(
        self, connection: Connection, ids: Sequence[bytes], *, lock: bool
    ) -> dict[bytes, Record | Unreadable]:
        statement = self._lock if lock else self._load
        return {
            row[0]: record_of(row)
            for chunk in self._chunks(ids)
            for row in connection.execute(statement, {"ids": chunk})
        }

    def scan(
        self, connection: Connection, after: bytes, limit: int
    ) -> dict[bytes, Record | Unreadable]:
        """Return the first *limit* records behind this id, in the order of the ids."""
        rows = connection.execute(self._scan, {"after": after, "limit": limit})
        return {
            row[0]: record_of(row) if len(row[0]) == ID_BYTES else Unreadable("its id is no id")
            for row in rows
        }

    def count_behind(
        self, connection: Connection, after: bytes, limit: int
    ) -> tuple[int, bytes | None]:
        """Return how many rows are behind this id, and `None`; or *limit*, and its last id."""
        values = {"after": after, "offset": limit - 1}
        for id in connection.scalars(self._last_of, values):
            return limit, id
        return connection.scalar(self._count, {"after": after}) or 0, None

    def estimate(self, connection: Connection) -> int | None:
        """Return about how many rows there are; `None` if the database does not know."""
        return None

    def lock_expired(self, connection: Connection, now: float, limit: int) -> list[bytes]:
        """Lock expired rows that no other transaction has locked; return their ids.

        A row must have expired by the server's clock too: this one may be fast.
        """
        return list(connection.scalars(self._expired, {"now": now, "limit": limit}))

    def insert(self, connection: Connection, rows: Iterable[Row]) -> None:
        connection.execute(self._insert, [dict(zip(self.names, row, strict=True)) for row in rows])

    def update(self, connection: Connection, rows: Iterable[Row]) -> None:
        """Write rows that exist and are locked."""
        names = [f"{name}_" for name in self.names]
        connection.execute(self._update, [dict(zip(names, row, strict=True)) for row in rows])

    def rewrite(self, connection: Connection, rows: Iterable[Row]) -> None:
        """Write rows that exist and are locked, and differ in data, expiry and last use alone."""
        self.update(connection, rows)

    def touch(self, connection: Connection, records: Iterable[Record]) -> None:
        """Write only the times of rows that exist and are locked."""
        connection.execute(
            self._touch, [{"id_": r.id, "expires_": r.expires, "seen_": r.seen} for r in records]
        )

    def delete(self, connection: Connection, ids: Sequence[bytes]) -> None:
        for chunk in self._chunks(ids):
            connection.execute(self._delete, {"ids": chunk})

    def server_time(self) -> Sequence[Any]:
        """Return the expression for the server's Unix time, if its clock is another."""
        return ()

    def _size(self, column: Any) -> Any:
        return func.octet_length(column)

    def _text(self, column: Any) -> Any:
        return column

    def _as_it_is(self, name: str) -> Any:
        """Select a column as the driver gives it: a conversion would fail for all rows at once."""
        column = self.table.c[name]
        if name == "data":
            text = self._text(column)
            return case((self._size(column) <= literal_column(str(MAX_DATA)), text)).label(name)
        if name == "user_name":
            return self._text(column).label(name)
        return type_coerce(column, types.NullType).label(name)

    def _an_id(self, name: str) -> Any:
        return bindparam(name, type_=LargeBinary)

    def _id_is_listed(self) -> Any:
        return self.table.c.id.in_(bindparam("ids", expanding=True))

    def _chunks(self, ids: Sequence[bytes]) -> Iterable[list[bytes]]:
        return (list(ids[i : i + CHUNK]) for i in range(0, len(ids), CHUNK))


class SQLiteStatements(Statements):
    begin = ("BEGIN IMMEDIATE",)  # locks the whole file for writing

    def _size(self, column: Any) -> Any:
        return func.length(self._text(column))

    def _text(self, column: Any) -> Any:
        # As bytes: of text that is not UTF-8, the driver would make an error for all rows.
        return type_coerce(cast(column, LargeBinary), types.NullType)
