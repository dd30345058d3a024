"""Records as hashes whose fields are text, and updates as arguments of the script."""

from __future__ import annotations

import json
import math
from binascii import unhexlify
from collections.abc import Mapping, Sequence

from stores.applying import apply_change
from stores.contract import JSON, MAX_DATA, Outcome, Record, Unreadable, Update
from stores.json_text import decode, encode
from stores.redis.scripts import CODES

MAX_FIELDS = MAX_DATA // 7
"""Fields of a record; data of `MAX_DATA` bytes has fewer, for most names take three characters."""


def fields_of(record: Record, behind: float) -> list[bytes]:
    """Return the expiry of a new record's key, and its fields: name, value, name, value, ...

    *behind* is the number of seconds by which our clock is behind the server's.
    """
    data, size = _data_fields(record.data)
    fields = [
        _milliseconds(record.expires + behind),
        *(b"secret", record.secret_hash.hex().encode()),
        *(b"created", _number(record.created)),
        *(b"expires", _number(record.expires)),
        *(b"persistent", b"1" if record.persistent else b"0"),
        *(b"size", b"%d" % (size + 2)),
    ]
    if record.user is not None:
        fields += (b"user", record.user.encode())
    if record.former_hash is not None:
        fields += (b"former", record.former_hash.hex().encode())
    for name, time in (
        (b"rotated", record.rotated),
        (b"authenticated", record.authenticated),
        (b"seen", record.seen),
    ):
        if time is not None:
            fields += (name, _number(time))
    return fields + data


def _data_fields(data: Mapping[str, JSON]) -> tuple[list[bytes], int]:
    """Return the fields, and the bytes that they take as JSON."""
    fields: list[bytes] = []
    size = 0
    for key, value in data.items():
        name, text = b"d:" + key.encode(), encode(value).encode()
        fields += (name, text)
        size += len(name) + len(text) + 2  # two quotes, a colon and a comma, without "d:"
        if not key.isidentifier():
            size += len(encode(key)) - len(key) - 2  # what is escaped
    return fields, size


def arguments_of(update: Update, behind: float) -> list[bytes]:
    """Return the arguments of the update script but the deadline.

    See `stores.redis.scripts`, and `fields_of` for *behind*.
    """
    written, size = _data_fields(update.set)
    removed = [b"d:" + key.encode() for key in update.unset]
    rotation = update.rotation
    if rotation is not None:
        written += (
            *(b"secret", rotation.secret_hash.hex().encode()),
            *(b"former", rotation.expected_hash.hex().encode()),
            *(b"rotated", _number(rotation.rotated)),
            *(b"persistent", b"1" if rotation.persistent else b"0"),
        )
        if rotation.user is None:
            removed.append(b"user")
        else:
            written += (b"user", rotation.user.encode())
        if rotation.authenticated is not None:
            written += (b"authenticated", _number(rotation.authenticated))
    if update.set:
        written += (b"size", b"%d" % size)
    limit = b"" if update.limit is None else b"%d" % update.limit
    if limit and update.uncounted:
        limit += b" %d" % update.uncounted
    return [
        limit,
        b"%d" % len(written),
        b"%d" % len(removed),
        *written,
        *removed,
        *_conditions(update, behind),
        *_expected(update.expected),
    ]


def _conditions(update: Update, behind: float) -> Sequence[bytes]:
    """Return what an update has besides values; most have nothing, which costs no word."""
    _, _, _, expires, rotation, seen, _, or_create, *_ = update
    if expires is None and rotation is None and seen is None and or_create is None:
        return ()
    created: list[bytes] = []
    if_absent = Outcome.MISSING
    if or_create is not None:
        if_absent, record = apply_change(None, update)
        if record is not None:
            created = fields_of(record, behind)
    return (
        b"" if rotation is None else rotation.expected_hash.hex().encode(),
        _number(None if rotation is None else rotation.expected_rotated),
        _number(expires),
        b"" if expires is None else _milliseconds(expires + behind),
        _number(seen),
        CODES[if_absent],
        *created,
    )


def _expected(values: Mapping[str, JSON]) -> Sequence[bytes]:
    """Return the words that `EXPECTING_UPDATE` takes, and no other script."""
    if not values:
        return ()
    return (*_data_fields(values)[0], b"%d" % len(values))


def record_of(id: bytes, answer: Sequence[bytes] | Mapping[bytes, bytes]) -> Record | Unreadable:
    """Return the record of a hash, as RESP 2 (name, value, ...) or RESP 3 (a mapping) gives it."""
    try:
        return _record_of(id, answer)
    except KeyError as error:
        return Unreadable(f"its hash has no field {error.args[0].decode()!r}")
    except json.JSONDecodeError:
        return Unreadable("a value in its hash is not JSON")
    except UnicodeDecodeError:
        return Unreadable("a text in its hash is not UTF-8")
    except RecursionError:
        return Unreadable("a value in its hash is nested too deeply")
    except _TooLarge:
        return Unreadable(f"its hash is larger than {MAX_DATA} bytes or {MAX_FIELDS} fields")
    except ValueError:
        return Unreadable("a field of its hash is garbled")


class _TooLarge(Exception):
    """The record would take too long to decode."""


def _record_of(id: bytes, answer: Sequence[bytes] | Mapping[bytes, bytes]) -> Record:
    if len(answer) > 2 * MAX_FIELDS:
        raise _TooLarge
    if type(answer) is dict:
        fields = dict(answer)
    else:
        words = iter(answer)
        fields = dict(zip(words, words, strict=True))
    pop = fields.pop
    secret = unhexlify(pop(b"secret"))
    created, expires = float(pop(b"created")), float(pop(b"expires"))
    persistent, user = pop(b"persistent"), pop(b"user", None)
    former, rotated = pop(b"former", None), _time(pop(b"rotated", None))
    authenticated, seen = _time(pop(b"authenticated", None)), _time(pop(b"seen", None))
    pop(b"size", None)
    total = created + expires + (rotated or 0.0) + (authenticated or 0.0) + (seen or 0.0)
    if len(secret) != 32 or total - total:  # one of them is infinite or NaN
        raise ValueError
    return Record(
        id,
        secret,
        created,
        expires,
        _data(fields),
        None if user is None else user.decode(),
        persistent == b"1",
        None if former is None else unhexlify(former),
        rotated,
        authenticated,
        seen,
    )


def _data(fields: Mapping[bytes, bytes]) -> dict[str, JSON]:
    if not fields:
        return {}
    # One call of the decoder for all values: a call for each costs more than the decoding.
    text = b"[%b]" % b",".join(fields.values())
    if len(text) > MAX_DATA:
        raise _TooLarge
    data: dict[str, JSON] = {}
    for field, value in zip(fields, decode(text.decode()), strict=True):
        data[field[2:].decode()] = value
    return data


def _time(text: bytes | None) -> float | None:
    return None if text is None else float(text)


def _milliseconds(seconds: float) -> bytes:
    return b"%d" % math.ceil(seconds * 1000)


def _number(seconds: float | None) -> bytes:
    # The shortest text that reads back as the same number.
    return b"" if seconds is None else repr(float(seconds)).encode()
