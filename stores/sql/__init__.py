"""Sessions in PostgreSQL, MySQL, MariaDB or SQLite."""

import sqlalchemy as sqlalchemy

# isort: split
# SQLAlchemy's part for asyncio raises an ImportError without greenlet that names no package.
import greenlet as greenlet  # type: ignore[import-untyped]

from stores.sql.store import SQLStore as SQLStore
