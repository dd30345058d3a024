"""Whether a record that a store returned is one: a third party's store may err in its types."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from stores.contract import Record

NUMBER = (float, int)
NONE = type(None)
TYPES: Mapping[str, tuple[type, ...]] = {
    "secret_hash": (bytes,),
    "created": NUMBER,
    "expires": NUMBER,
    "data": (Mapping,),
    "user": (str, NONE),
    "former_hash": (bytes, NONE),
    "rotated": (*NUMBER, NONE),
    "authenticated": (*NUMBER, NONE),
    "seen": (*NUMBER, NONE),
}
"""Of what decides who may see a record, and of what is shown to him."""

EARLIEST = datetime(1, 1, 2, tzinfo=UTC).timestamp()
"""Unix time in seconds; what is before it, or after `LATEST`, is no date."""

LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()

TIMES = tuple(name for name, types in TYPES.items() if float in types)


def is_sound(id: bytes, record: Record) -> bool:
    """Tell whether *record* is that of *id*, its parts have their types and its times are dates."""
    own_id, secret, created, expires, data, user, _, former, rotated, proved, seen = record
    return (
        own_id == id
        and isinstance(secret, bytes)
        and (type(created) is float or isinstance(created, NUMBER))
        and EARLIEST <= created <= LATEST
        and (type(expires) is float or isinstance(expires, NUMBER))
        and EARLIEST <= expires <= LATEST
        and (type(data) is dict or isinstance(data, Mapping))
        and (user is None or type(user) is str or isinstance(user, str))
        and (former is None or isinstance(former, bytes))
        and (
            rotated is None
            or (
                (type(rotated) is float or isinstance(rotated, NUMBER))
                and EARLIEST <= rotated <= LATEST
            )
        )
        and (
            proved is None
            or (
                (type(proved) is float or isinstance(proved, NUMBER))
                and EARLIEST <= proved <= LATEST
            )
        )
        and (
            seen is None
            or ((type(seen) is float or isinstance(seen, NUMBER)) and EARLIEST <= seen <= LATEST)
        )
    )


def flaw_of(record: Record) -> str:
    """Return what is wrong with a record that is not sound, without any value of it."""
    for name, types in TYPES.items():
        value = getattr(record, name)
        if not isinstance(value, types):
            return f"load() returned a record whose {name} is a {type(value).__name__}"
    for name in TIMES:
        value = getattr(record, name)
        if value is not None and not EARLIEST <= value <= LATEST:
            return f"its time {name} is out of range: no date is so early or so late"
    return "load() returned a record of another id"


def clamped(time: float) -> float:
    """Return the nearest time that is a date, so that whoever shows it can."""
    return min(max(time, EARLIEST), LATEST)
