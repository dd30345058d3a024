"""Whether a record that a store returned is one: a third party's store may err in its types."""

from __future__ import annotations

from collections.abc import Mapping

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
    "seen": (*NUMBER, NONE),
}
"""Of what decides who may see a record, and of what is shown to him."""


def is_sound(id: bytes, record: Record) -> bool:
    """Tell whether *record* is that of *id* and its parts have their types."""
    own_id, secret_hash, created, expires, data, user, _, former_hash, rotated, _, seen = record
    return (
        own_id == id
        and isinstance(secret_hash, bytes)
        and isinstance(created, NUMBER)
        and isinstance(expires, NUMBER)
        and (type(data) is dict or isinstance(data, Mapping))
        and (user is None or isinstance(user, str))
        and (former_hash is None or isinstance(former_hash, bytes))
        and (rotated is None or isinstance(rotated, NUMBER))
        and (seen is None or isinstance(seen, NUMBER))
    )


def flaw_of(record: Record) -> str:
    """Return what is wrong with a record that is not sound, without any value of it."""
    for name, types in TYPES.items():
        value = getattr(record, name)
        if not isinstance(value, types):
            return f"load() returned a record whose {name} is a {type(value).__name__}"
    return "load() returned a record of another id"
