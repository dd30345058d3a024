"""What each URL scheme stands for: the database, and the driver that SQLAlchemy uses for it."""

DATABASES = {
    "postgresql": "PostgreSQL",
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "sqlite": "SQLite",
}
DRIVERS = {
    "postgresql": "asyncpg",
    "mysql": "asyncmy",
    "mariadb": "asyncmy",
    "sqlite": "aiosqlite",
}
SCHEMES = {"postgres": "postgresql"}
"""Other ways to write a scheme; hosting services write this one."""
