"""From an error of redis-py to its reason."""

from __future__ import annotations

from redis.exceptions import RedisClusterException, ResponseError

_EXPLAINED = {
    "WRONGTYPE": "a key with the store's prefix is of another type; set another prefix",
    "MOVED": "the server belongs to a cluster; write redis+cluster://",
    "OOM": "its memory is full; raise maxmemory",
    "READONLY": "it is a replica; name the primary",
    "MISCONF": "it cannot save to its disk",
    "LOADING": "it is loading its data",
    "MASTERDOWN": "it is a replica without a primary",
    "CLUSTERDOWN": "nodes of the cluster are missing",
    "NOAUTH": "it asks for a password",
    "NOPERM": "its user may not do this",
    "LATE": "the write reached it after its deadline",
}

_HINTS = {
    "This instance has cluster support disabled": "it is no cluster; write redis://",
    "max number of clients reached": "it has too many clients",
    "Error compiling script": "it must be Redis 7 or later, or Valkey",
}


def concerns_one_key(error: Exception) -> bool:
    """Tell whether the server refused a command because of what is in its key."""
    return _code_of(error) == "WRONGTYPE"


def reason_of(error: BaseException) -> str:
    """Return the reason by code and type: the server's text may quote values."""
    if isinstance(error, RedisClusterException) and (error.__cause__ or error.__context__):
        return reason_of(error.__cause__ or error.__context__ or error)
    code = _code_of(error)
    if code is None:
        return f"Redis does not answer ({type(error).__name__})"
    text = str(error)
    hint = _EXPLAINED.get(code) or next((h for t, h in _HINTS.items() if t in text), "")
    return f"Redis refused: {code}" + (f" ({hint})" if hint else "")


def _code_of(error: BaseException) -> str | None:
    """Return the code of an error that the server answered; `None` of any other."""
    code: str | None = getattr(error, "status_code", None)
    if code is None and isinstance(error, ResponseError):
        word = str(error).partition(" ")[0]
        code = word if word.isascii() and word.isupper() else "ERR"
    return code
