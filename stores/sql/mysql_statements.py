"""The statements on the table of sessions for MySQL and MariaDB.

The driver writes values into the statement's text. How text and bytes must be quoted there depends
on the session's sql_mode and charset, so none is sent: each goes as hexadecimal digits, which
nothing can take for SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table, bindparam, func, literal_column, types

from stores.contract import MAX_DATA, Record
from stores.sql.rows import Row
from stores.sql.statements import Statements

STATEMENT_SIZE = 1_000_000
"""Characters of values in one statement of many rows."""

REST = 8192
"""Characters of a statement that are not data."""


class HexBinary(types.TypeDecorator[bytes]):
    """Bytes that are sent as hexadecimal digits."""

    impl = LargeBinary
    cache_ok = True

    def bind_processor(self, dialect: Any) -> Any:
        return bytes.hex

    def bind_expression(self, bindparam: Any) -> Any:
        return func.unhex(bindparam, type_=self)


class MySQLStatements(Statements):
    # READ COMMITTED does not lock the gaps between rows, into which others insert. A replica, which
    # may lack the row, refuses READ WRITE.
    begin = ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION READ WRITE")

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._statement_size = STATEMENT_SIZE
        names = ", ".join(self.names)
        self._row = f"({', '.join(_placeholder(c) for c in table.columns)})"
        # No client has a part in the names.
        self._head = f"INSERT INTO {table.name} ({names}) VALUES "  # noqa: S608
        new = ", ".join(f"{name} = VALUES({name})" for name in self.names if name != "id")
        self._or_update = f" ON DUPLICATE KEY UPDATE {new}"
        self._touch_one = f"UPDATE {table.name} SET expires = %s, seen = %s WHERE id = UNHEX(%s)"  # noqa: S608

    def measure(self, connection: Connection) -> None:
        # The server cuts the connection of who sends more, which would fail the whole batch.
        packet = int(connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar() or 0)
        self.largest = min(MAX_DATA, (packet - REST) // 2)
        self._statement_size = min(STATEMENT_SIZE, packet - REST)

    def insert(self, connection: Connection, rows: Iterable[Row]) -> None:
        self._write(connection, rows, "")

    def update(self, connection: Connection, rows: Iterable[Row]) -> None:
        self._write(connection, rows, self._or_update)

    def touch(self, connection: Connection, records: Iterable[Record]) -> None:
        for record in records:
            values = (record.expires, record.seen, record.id.hex())
            connection.exec_driver_sql(self._touch_one, values)

    def server_time(self) -> Sequence[Any]:
        return (func.unix_timestamp(),)

    def estimate(self, connection: Connection) -> int | None:
        rows = connection.exec_driver_sql(
            "SELECT TABLE_ROWS FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
            (self.table.name,),
        )
        return rows.scalar()

    def _write(self, connection: Connection, rows: Iterable[Row], tail: str) -> None:
        for values in _statements_of(rows, self._statement_size):
            rows_here = ", ".join([self._row] * (len(values) // len(self.names)))
            connection.exec_driver_sql(self._head + rows_here + tail, tuple(values))

    def _size(self, column: Any) -> Any:
        return func.length(column)

    def _text(self, column: Any) -> Any:
        # As bytes of UTF-8, whatever the connection's charset cannot hold.
        return literal_column(f"CAST(CONVERT({column.name} USING utf8mb4) AS BINARY)")

    def _an_id(self, name: str) -> Any:
        return bindparam(name, type_=HexBinary)

    def _id_is_listed(self) -> Any:
        return self.table.c.id.in_(bindparam("ids", expanding=True, type_=HexBinary))


def _placeholder(column: Any) -> str:
    if isinstance(column.type, types.Text):
        return "CONVERT(UNHEX(%s) USING utf8mb4)"
    return "UNHEX(%s)" if isinstance(column.type, LargeBinary) else "%s"


def _statements_of(rows: Iterable[Row], most: int) -> Iterator[list[Any]]:
    """Yield the values of each statement, text and bytes as hexadecimal digits."""
    values: list[Any] = []
    size = 0
    for row in rows:
        digits = [
            value.hex()
            if type(value) is bytes
            else value.encode().hex()
            if type(value) is str
            else value
            for value in row
        ]
        length = sum(len(value) for value in digits if type(value) is str)
        if values and size + length > most:
            yield values
            values, size = [], 0
        values += digits
        size += length
    yield values
