"""Sessions in PostgreSQL, MySQL, MariaDB or SQLite."""

# First: without greenlet, SQLAlchemy raises an ImportError that names no package.
import greenlet as greenlet  # type: ignore[import-untyped]

from stores.sql.store import SQLStore as SQLStore
