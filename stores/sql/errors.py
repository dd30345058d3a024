"""From an error of a database to what it means for an operation."""

from __future__ import annotations

from typing import Any

READ_ONLY = "it is read-only: write to the primary"

_HINTS = {
    # PostgreSQL, by SQLSTATE
    "25006": READ_ONLY,
    "28000": "user name or password",
    "28P01": "user name or password",
    "3D000": "no such database",
    "42501": "the user has no right to do this",
    "42P01": "the table does not exist",
    "53100": "its disk is full",
    "53300": "it has too many clients",
    "55P03": "another process holds a lock on the session",
    "57P03": "it is starting or stopping",
    # MySQL and MariaDB, by number
    "1040": "it has too many clients",
    "1044": "the user has no right to do this",
    "1045": "user name or password",
    "1049": "no such database",
    "1114": "its disk is full",
    "1142": "the user has no right to do this",
    "1146": "the table does not exist",
    "1153": "the session is larger than max_allowed_packet",
    "1205": "another process holds a lock on the session",
    "1290": READ_ONLY,
    "1792": READ_ONLY,
    "1836": READ_ONLY,
    "2003": "it cannot be reached",
    # SQLite, by name
    "SQLITE_BUSY": "another process holds the lock",
    "SQLITE_CANTOPEN": "the file cannot be opened",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_NOTADB": "the file is not a database",
    "SQLITE_READONLY": "the file or its directory is read-only",
}

_WORTH_REPEATING = frozenset(
    {
        *("40001", "40P01", "23505"),  # serialization, deadlock, a concurrent insert of the id
        *("1213", "1205", "1020", "1062"),  # deadlock, lock wait, changed row, concurrent insert
        *("SQLITE_BUSY", "SQLITE_LOCKED"),
    }
)


def code_of(error: BaseException) -> str:
    """Return the database's code of the error: an SQLSTATE, number or name; "" without one."""
    original: Any = getattr(error, "orig", None) or error
    if original.args and type(original.args[0]) is int and not isinstance(original, OSError):
        return str(original.args[0])
    if state := getattr(original, "sqlstate", None):
        return str(state)
    if name := getattr(original, "sqlite_errorname", None):
        # An extended name begins with the plain one: SQLITE_BUSY_SNAPSHOT.
        return "_".join(str(name).split("_")[:2])
    return ""


def is_worth_repeating(error: BaseException) -> bool:
    """Tell whether a concurrent transaction caused the error, so that a repetition may succeed."""
    return code_of(error) in _WORTH_REPEATING


def may_work_elsewhere(error: BaseException) -> bool:
    """Tell whether the server's role has changed, so that another server may do the work."""
    code = code_of(error)
    return _HINTS.get(code) == READ_ONLY or code.startswith("57P")


def reason_of(error: BaseException, database: str) -> str:
    """Return the reason by code and type: the database's text may quote values."""
    code = code_of(error)
    if not code:
        original: Any = getattr(error, "orig", None) or error
        original = getattr(original, "driver_exception", None) or original
        return f"{database} does not answer ({type(original).__name__})"
    hint = _HINTS.get(code)
    return f"{database} refused: {code}" + (f" ({hint})" if hint else "")
