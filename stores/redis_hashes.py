"""From a record to the fields of a hash and back, all of it text."""

from __future__ import annotations

import json
from collections.abc import Mapping

from stores.contract import JSON, Record, Update

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


def fields_of(record: Record) -> list[bytes]:
    """Return the fields of a new record: name, value, name, value, ..."""
    fields = [
        *(b"secret", record.secret_hash.hex().encode()),
        *(b"created", _number(record.created)),
        *(b"expires", _number(record.expires)),
        *(b"persistent", b"1" if record.persistent else b"0"),
    ]
    if record.user is not None:
        fields += (b"user", record.user.encode())
    if record.former_hash is not None:
        fields += (b"former", record.former_hash.hex().encode())
    if record.rotated is not None:
        fields += (b"rotated", _number(record.rotated))
    return fields + _data_fields(record.data)


def _data_fields(data: Mapping[str, JSON]) -> list[bytes]:
    fields: list[bytes] = []
    for key, value in data.items():
        fields += (b"d:" + key.encode(), _encode(value).encode())
    return fields


def arguments_of(update: Update) -> list[bytes | int]:
    """Return what the update script takes: conditions, fields to set after their count, fields to
    remove.
    """
    written = _data_fields(update.set)
    removed = [b"d:" + key.encode() for key in update.unset]
    expected = secret = b""
    rotation = update.rotation
    if rotation is not None:
        expected = rotation.expected_hash.hex().encode()
        secret = rotation.secret_hash.hex().encode()
        written += (b"secret", secret, b"former", expected, b"rotated", _number(rotation.rotated))
        written += (b"persistent", b"1" if rotation.persistent else b"0")
        if rotation.user is None:
            removed.append(b"user")
        else:
            written += (b"user", rotation.user.encode())
    expires = b"" if update.expires is None else _number(update.expires)
    return [expected, secret, expires, len(written), *written, *removed]


def record_of(id: bytes, fields: Mapping[bytes, bytes]) -> Record:
    keys, texts = [], []
    for field, text in fields.items():
        if field.startswith(b"d:"):
            keys.append(field[2:].decode())
            texts.append(text)
    user = fields.get(b"user")
    former = fields.get(b"former")
    rotated = fields.get(b"rotated")
    return Record(
        id=id,
        secret_hash=bytes.fromhex(fields[b"secret"].decode()),
        created=float(fields[b"created"]),
        expires=float(fields[b"expires"]),
        # All values in one go: a call of the decoder for each would take longer than its work.
        data=dict(zip(keys, _decode((b"[%b]" % b",".join(texts)).decode()), strict=True)),
        user=None if user is None else user.decode(),
        persistent=fields[b"persistent"] == b"1",
        former_hash=None if former is None else bytes.fromhex(former.decode()),
        rotated=None if rotated is None else float(rotated),
    )


def _number(seconds: float) -> bytes:
    return repr(float(seconds)).encode()  # the shortest text that reads back as the same number
