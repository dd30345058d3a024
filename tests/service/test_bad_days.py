"""Bad days of the database servers while the service runs."""

from __future__ import annotations

import os

from stores.redis.client import MAX_CONNECTIONS
from stores.sql.engine import MAX_CONNECTIONS as SQL_CONNECTIONS
from tests.helpers.bad_days import BadDays
from tests.helpers.database_servers import MariaDB, Mongod, Postgres, Valkey


class TestMongoDB(BadDays):
    kind = Mongod
    programs = ("mongod",)
    max_connections = 5 * (os.cpu_count() or 1) + 3  # motor's threads, and the monitor

    def url(self, port: int) -> str:
        return f"mongodb://127.0.0.1:{port}/bad_days?directConnection=true"


class TestValkey(BadDays):
    kind = Valkey
    programs = ("valkey-server",)
    max_connections = MAX_CONNECTIONS

    def url(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}/0"


class TestPostgreSQL(BadDays):
    kind = Postgres
    programs = ("postgres", "initdb")
    max_connections = SQL_CONNECTIONS

    def url(self, port: int) -> str:
        return f"postgresql://test@127.0.0.1:{port}/postgres"


class TestMariaDB(BadDays):
    kind = MariaDB
    programs = ("mariadbd", "mariadb-install-db")
    max_connections = SQL_CONNECTIONS

    def url(self, port: int) -> str:
        return f"mariadb://test@127.0.0.1:{port}/test"
