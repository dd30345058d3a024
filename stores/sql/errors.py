"""From an error of a database to what it means for an operation."""

from __future__ import annotations

from typing import Any

from stores.sql.unreachable import why_unreachable


class PoolerFound(Exception):
    """A connection leads to a pooler of PostgreSQL, and is to be used in another way."""


READ_ONLY = "it is read-only: write to the primary"
NO_RIGHT = "the user has no right to do this: stores/README.md lists the rights"

_HINTS = {
    # PostgreSQL, by SQLSTATE
    "25006": READ_ONLY,
    "08P01": "it refuses a setting in the URL; or no PostgreSQL is there",
    "28000": "user name, password, or its pg_hba.conf",
    "28P01": "user name or password",
    "3D000": "no such database",
    "42501": NO_RIGHT,
    "42P01": "the table does not exist",
    "53100": "its disk is full",
    "53300": "it has too many clients",
    "55P03": "another process holds a lock on the session",
    "57P03": "it is starting or stopping",
    # MySQL and MariaDB, by number
    "1040": "it has too many clients",
    "1044": "no such database, or the user has no right to it",
    "1045": "user name or password",
    "1049": "no such database",
    "1114": "its disk is full",
    "1142": NO_RIGHT,
    "1146": "the table does not exist",
    "1153": "the session is larger than max_allowed_packet",
    "1130": "it lets no client of this address in",
    "1193": "it is too old: MariaDB 10.6 or MySQL 8.0 is needed",
    "2013": "it closed the connection",
    "3159": "it demands TLS: ssl=true or ssl_ca=file in the URL",
    "1205": "another process holds a lock on the session",
    "1290": READ_ONLY,
    "1792": READ_ONLY,
    "1836": READ_ONLY,
    # SQLite, by name
    "SQLITE_BUSY": "another process holds the lock",
    "SQLITE_CANTOPEN": "the file cannot be opened",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_NOTADB": "the file is not a database",
    "SQLITE_READONLY": "the file or its directory is read-only",
}

_FORBIDDEN = frozenset({"42501", "1044", "1142", "1227", "25006", "SQLITE_READONLY"})
_ABSENT = frozenset({"42P01", "42703", "1146", "1054"})
_REFUSED = frozenset(
    {
        *("22", "23", "54"),  # PostgreSQL, by class: data, constraint, limit
        *("1048", "1153", "1264", "1366", "1406", "3819", "4025"),  # the same of MySQL and MariaDB
        *("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG"),
    }
)
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


def is_forbidden(error: BaseException) -> bool:
    """Tell whether the user has no right to do this."""
    return code_of(error) in _FORBIDDEN


def is_absent(error: BaseException) -> bool:
    """Tell whether the table, or a column of it, does not exist any more."""
    # SQLite has no code for it; these words quote no value.
    words = ("no such table", "no such column", "has no column named")
    text = str(getattr(error, "orig", ""))
    return code_of(error) in _ABSENT or (
        code_of(error) == "SQLITE_ERROR" and any(map(text.__contains__, words))
    )


def refuses_a_row(error: BaseException) -> bool:
    """Tell whether the database cannot keep what is in one of the rows."""
    code = code_of(error)
    return code in _REFUSED or (len(code) == 5 and code[:2] in _REFUSED)


def may_work_elsewhere(error: BaseException) -> bool:
    """Tell whether the server's role has changed, so that another server may do the work."""
    code = code_of(error)
    return _HINTS.get(code) == READ_ONLY or code.startswith("57P")


def reason_of(error: BaseException, database: str) -> str:
    """Return the reason by code and type: the database's text may quote values."""
    code = code_of(error)
    if code in ("", "2003"):  # that is how a driver of MySQL wraps what kept it from connecting
        return f"{database} does not answer: {why_unreachable(error)}"
    hint = _HINTS.get(code)
    return f"{database} refused: {code}" + (f" ({hint})" if hint else "")
