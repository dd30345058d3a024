"""One value, sealed and opened: AES-256-GCM under a key of its record.

A sealed value is text, whatever is in it::

    sealed:0002:base64(nonce of 12 bytes, ciphertext of the value's JSON text, tag of 16 bytes)

0002 is the number of the master key. The name under which the record keeps the value is associated
data, and the key is the record's own, so that a value opens in its own place alone.

Nonces are random. A key may seal 2**32 values before two nonces of one key are the same with a
probability of 2**-32 (NIST SP 800-38D); here it is a session that would have to be written so
often, 3,500 times a second for 14 days. What others' keys have sealed does not count.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stores.collector import LARGE, collector_paused
from stores.contract import JSON
from stores.encrypted.keys import MasterKeys
from stores.json_text import decode, encode

PREFIX = "sealed:"
NONCE, TAG = 12, 16
"""Bytes of each."""

ADDED = 52
"""Bytes by which each value grows at least, as JSON text; a third of its own come on top."""

CACHED = 256
"""Records whose keys are kept at hand, 2.5 kB each: who writes has just read."""


class CannotOpen(Exception):
    """A value does not open; the text says why, and nothing of the value."""


class Sealer:
    """Seals and opens the values of records. *accept_plain* takes a plain value as it is."""

    def __init__(self, keys: MasterKeys, accept_plain: bool = False) -> None:
        self._keys = keys
        self._accept_plain = accept_plain
        self._numbers = {f"{number:04}": number for number in keys.numbers}
        self._seals = f"{keys.seals:04}"
        self._head = f"{PREFIX}{self._seals}:"
        self._cipher = lru_cache(maxsize=CACHED)(self._make_cipher)

    def _make_cipher(self, number: str, id: bytes) -> AESGCM:
        return AESGCM(self._keys.key_of(self._numbers[number], id))

    def seal(self, id: bytes, data: Mapping[str, JSON]) -> dict[str, str]:
        """Return *data* with each value sealed for record *id*.

        Raises `ValueError`, `TypeError` or `RecursionError` for what is not JSON.
        """
        if not data:
            return {}
        encrypt, head = self._cipher(self._seals, id).encrypt, self._head
        sealed: dict[str, str] = {}
        for name, value in data.items():
            nonce = os.urandom(NONCE)
            box = nonce + encrypt(nonce, encode(value).encode(), name.encode())
            sealed[name] = head + binascii.b2a_base64(box, newline=False).decode("ascii")
        return sealed

    def open(self, id: bytes, data: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return *data* of record *id* with each value opened. Raises `CannotOpen`."""
        opened: dict[str, Any] = {}
        texts: dict[str, bytes] = {}
        for name, value in data.items():
            number, box = _parts_of(value)
            if box:
                opened[name] = None  # its place
                texts[name] = self._open(id, name, number, box)
            elif self._accept_plain:
                opened[name] = value
            else:
                raise CannotOpen("a value is not sealed")
        opened.update(zip(texts, _decode([*texts.values()]), strict=True))
        return opened

    def is_current(self, value: JSON) -> bool:
        """Tell whether *value* is sealed with the key that seals now."""
        return _parts_of(value)[0] == self._seals

    def _open(self, id: bytes, name: str, number: str, box: bytes) -> bytes:
        if number not in self._numbers:
            raise CannotOpen(f"a value is sealed with key {int(number)}, which is not there")
        try:
            return self._cipher(number, id).decrypt(box[:NONCE], box[NONCE:], name.encode())
        except (InvalidTag, UnicodeEncodeError):
            raise CannotOpen(
                f"a value does not open with key {int(number)}: that was another one, or somebody "
                "changed the value, or moved it"
            ) from None


def _parts_of(value: JSON) -> tuple[str, bytes]:
    """Return the key's number and what is sealed; nothing of either for what is a plain value."""
    if type(value) is str and value[:7] == PREFIX and value[11:12] == ":":
        number = value[7:11]
        try:
            box = binascii.a2b_base64(value[12:], strict_mode=True)
        except ValueError:
            return "", b""
        if len(box) > NONCE + TAG and number.isascii() and number.isdigit():
            return number, box
    return "", b""


def _decode(texts: list[bytes]) -> list[Any]:
    # One call of the decoder for all values: a call for each costs more than the decoding.
    text = b"[%b]" % b",".join(texts)
    try:
        if len(text) < LARGE:
            return list(decode(text.decode()))
        with collector_paused():
            return list(decode(text.decode()))
    except (ValueError, RecursionError):
        raise CannotOpen("a sealed value is not JSON") from None
