"""The statements for each database."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Table

from stores.sql.mysql_statements import MySQLStatements
from stores.sql.postgresql_statements import PostgreSQLStatements
from stores.sql.statements import SQLiteStatements, Statements

STATEMENTS: dict[str, Callable[[Table], Statements]] = {
    "postgresql": PostgreSQLStatements,
    "mysql": MySQLStatements,
    "mariadb": MySQLStatements,
    "sqlite": SQLiteStatements,
}
