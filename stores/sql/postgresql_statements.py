"""The statements on the table of sessions for PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Double,
    LargeBinary,
    Table,
    any_,
    bindparam,
    column,
    func,
    insert,
    literal_column,
    select,
    types,
    update,
)
from sqlalchemy.dialects import postgresql

from stores.contract import Record, Unreadable
from stores.sql.driver import compiled, fetch
from stores.sql.rows import Row, record_of
from stores.sql.statements import Statements


class PostgreSQLStatements(Statements):
    """Takes rows as one array a column, so that each statement is prepared once for all sizes.

    The plan is made once too, perhaps while the table is small. The condition on the ids beside the
    join makes it use the key, also when the table has grown.
    """

    begin = ("BEGIN ISOLATION LEVEL READ COMMITTED",)

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        new = self._unnest(self.names)
        self._load_text, self._lock_text = compiled(self._load), compiled(self._lock)
        self._insert = insert(table).from_select(self.names, select(new))
        self._update = compiled(
            update(table)
            .where(table.c.id == new.c.id, self._id_is_listed())
            .values({name: new.c[name] for name in self.names if name != "id"})
        )
        new = self._unnest(["id", "expires", "data", "seen"])
        self._rewrite = compiled(
            update(table)
            .where(table.c.id == new.c.id, self._id_is_listed())
            .values(expires=new.c.expires, data=new.c.data, seen=new.c.seen)
        )
        new = self._unnest(["id", "expires", "seen"])
        self._touch = compiled(
            update(table)
            .where(table.c.id == new.c.id, self._id_is_listed())
            .values(expires=new.c.expires, seen=new.c.seen)
        )

    def load(
        self, connection: Connection, ids: Sequence[bytes], *, lock: bool
    ) -> dict[bytes, Record | Unreadable]:
        text = self._lock_text if lock else self._load_text
        return {row[0]: record_of(row) for row in fetch(connection, text, {"ids": ids})}

    def insert(self, connection: Connection, rows: Iterable[Row]) -> None:
        connection.execute(self._insert, self._arrays(rows))

    def update(self, connection: Connection, rows: Iterable[Row]) -> None:
        fetch(connection, self._update, self._arrays(rows))

    def rewrite(self, connection: Connection, rows: Iterable[Row]) -> None:
        # The driver takes its time with each value of an array.
        fetch(connection, self._rewrite, self._arrays(rows))

    def touch(self, connection: Connection, records: Iterable[Record]) -> None:
        ids, expires, seen = zip(*((r.id, r.expires, r.seen) for r in records), strict=True)
        fetch(connection, self._touch, {"ids": ids, "expiress": expires, "seens": seen})

    def server_time(self) -> Sequence[Any]:
        return (func.date_part(literal_column("'epoch'"), func.now(), type_=Double),)

    def estimate(self, connection: Connection) -> int | None:
        # Rows a page, as they were counted last, and the pages that there are by now.
        rows = connection.exec_driver_sql(
            "SELECT round(reltuples / relpages * pg_relation_size(oid) "
            "/ current_setting('block_size')::int)::bigint "
            "FROM pg_class WHERE oid = to_regclass($1) AND reltuples >= 0 AND relpages > 0",
            (self.table.name,),
        )
        return rows.scalar()

    def _text(self, column: Any) -> Any:
        # As bytes of UTF-8: of bytes that are not, which a database without an encoding takes, the
        # driver would make an error for all rows.
        encoding = "CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END"
        return func.convert_to(column, literal_column(encoding), type_=types.NullType)

    def _arrays(self, rows: Iterable[Row]) -> dict[str, Any]:
        columns = zip(*rows, strict=True)
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
