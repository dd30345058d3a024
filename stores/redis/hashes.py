"""Records as hashes whose fields are text, and updates as arguments of the script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stores.contract import JSON, Record, Update
from stores.json_text import decode, encode


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
        fields += (b"d:" + key.encode(), encode(value).encode())
    return fields


def arguments_of(update: Update) -> list[bytes]:
    """Return the arguments of the update script, see `stores.redis.scripts.UPDATE`."""
    written = _data_fields(update.set)
    removed = [b"d:" + key.encode() for key in update.unset]
    expected = b""
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
    return [expected, expires, b"%d" % len(written), *written, *removed]


def record_of(id: bytes, answer: Sequence[bytes] | Mapping[bytes, bytes]) -> Record:
    """Return the record of a hash, as RESP 2 (name, value, ...) or RESP 3 (a mapping) gives it."""
    if isinstance(answer, Mapping):
        fields = dict(answer)
    else:
        fields = dict(zip(answer[::2], answer[1::2], strict=True))
    pop = fields.pop
    secret, created, expires = pop(b"secret"), pop(b"created"), pop(b"expires")
    persistent, user = pop(b"persistent"), pop(b"user", None)
    former, rotated = pop(b"former", None), pop(b"rotated", None)
    return Record(
        id,
        bytes.fromhex(secret.decode()),
        float(created),
        float(expires),
        _data(fields),
        None if user is None else user.decode(),
        persistent == b"1",
        None if former is None else bytes.fromhex(former.decode()),
        None if rotated is None else float(rotated),
    )


def _data(fields: Mapping[bytes, bytes]) -> dict[str, JSON]:
    if not fields:
        return {}
    # One call of the decoder for all values: a call for each costs more than the decoding.
    values = decode(f"[{b','.join(fields.values()).decode()}]")
    return dict(zip([field[2:].decode() for field in fields], values, strict=True))


def _number(seconds: float) -> bytes:
    return repr(float(seconds)).encode()  # the shortest text that reads back as the same number
