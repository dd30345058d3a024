"""Sessions in PostgreSQL, MySQL, MariaDB or SQLite."""

from stores.sql.store import SQLStore as SQLStore
