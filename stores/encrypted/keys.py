"""Master keys: checked when they are given, never shown; each record's key is made of them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping

from stores.contract import ConfigurationError

LENGTH = 32
"""Bytes of a master key, and of a record's."""

LARGEST_NUMBER = 9999
"""So that each number is four digits in a sealed value, and all values grow by the same."""

LEAST_DIFFERENT = 10
"""Different bytes of a key: a random one has fewer once in 10**20 times, a placeholder always."""

MEND = "give 32 random bytes, as `openssl rand -base64 32` writes them"

_LABEL = b"session values, key of a record, 1\0"


class MasterKeys:
    """Keys by their numbers, one of which seals; all of them open.

    *keys* are bytes, or text in base64 or hexadecimal digits. *seal_with* is the number of the key
    that seals, by default the highest. Raises `ConfigurationError`, whose text shows no key.
    """

    def __init__(self, keys: Mapping[int, bytes | str], seal_with: int | None = None) -> None:
        if not isinstance(keys, Mapping) or not keys:
            raise ConfigurationError(f"keys are missing: write keys={{1: key}} and {MEND}")
        self._keys = {_checked(number): _bytes_of(number, key) for number, key in keys.items()}
        by_key: dict[bytes, int] = {}
        for number, key in self._keys.items():
            if by_key.setdefault(key, number) != number:
                raise ConfigurationError(
                    f"the keys {by_key[key]} and {number} are the same: {MEND} for the newer one"
                )
        self.seals = max(self._keys) if seal_with is None else seal_with
        """The number of the key that seals."""
        if self.seals not in self._keys or isinstance(seal_with, bool):
            raise ConfigurationError(f"seal_with is {seal_with!r:.20}, and there is no such key")

    @property
    def numbers(self) -> list[int]:
        """The numbers of all keys, the highest first."""
        return sorted(self._keys, reverse=True)

    def key_of(self, number: int, id: bytes) -> bytes:
        """Return the key with which master key *number* seals the values of record *id*.

        It is HKDF's second step (RFC 5869, one block). Master keys are random, so that its first
        step, which makes a uniform key of something else, is left out.
        """
        return hmac.digest(self._keys[number], _LABEL + id + b"\1", hashlib.sha256)

    def __repr__(self) -> str:
        return f"<MasterKeys {', '.join(map(str, self.numbers))}; {self.seals} seals>"


def read_keys(text: str) -> dict[int, str]:
    """Return the keys that a text lists as NUMBER:KEY, with lines, spaces or commas between.

    What follows `#` in a line is a comment. Raises `ConfigurationError`, which names the line.
    """
    keys: dict[int, str] = {}
    for n, line in enumerate(text.splitlines(), 1):
        for word in line.partition("#")[0].replace(",", " ").split():
            number, colon, key = word.partition(":")
            if not (colon and key and re.fullmatch(r"[0-9]{1,9}", number)):
                raise ConfigurationError(
                    f"line {n} of the keys is not NUMBER:KEY, as in 1:KEY; for the key, {MEND}"
                )
            if int(number) in keys:
                raise ConfigurationError(f"key {int(number)} is there twice, again in line {n}")
            keys[int(number)] = key
    if not keys:
        raise ConfigurationError(f"the keys are an empty list: write 1:KEY; for the key, {MEND}")
    return keys


def _checked(number: object) -> int:
    if type(number) is not int or not 1 <= number <= LARGEST_NUMBER:
        # It may be a key that somebody wrote in the place of its number.
        what = number if type(number) is int and abs(number) < 10**9 else "of another kind"
        raise ConfigurationError(
            f"the number of a key is {what}: give a whole one, 1 to {LARGEST_NUMBER}"
        )
    return number


def _bytes_of(number: int, key: object) -> bytes:
    if isinstance(key, str):
        decoded = _decoded(key.strip())
        if decoded is None:
            raise ConfigurationError(
                f"key {number} is neither base64 nor hexadecimal digits: {MEND}"
            )
        key = decoded
    if not isinstance(key, bytes):
        raise ConfigurationError(f"key {number} is of type {type(key).__name__}: {MEND}")
    if len(key) != LENGTH:
        raise ConfigurationError(f"key {number} is {len(key)} bytes long: {MEND}")
    if len(set(key)) < LEAST_DIFFERENT:
        raise ConfigurationError(f"key {number} is not random: {MEND}")
    return key


def _decoded(text: str) -> bytes | None:
    """Return the bytes of base64 (of either alphabet, padded or not) or hexadecimal digits."""
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        return bytes.fromhex(text)
    try:
        text = text.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
