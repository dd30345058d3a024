"""Generated `Cookie` headers: near-tokens, broken ones, and what clients and proxies make of them.

The generator is seeded, so that a failure can be had again; what a header means is worked out here
by other means than the application's.
"""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Callable, Sequence
from urllib.parse import quote

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LAST = "AQgw"
CONTROLS = "".join(map(chr, range(0x20))) + "\x7f"
ANY_BYTE = "".join(map(chr, range(0x100)))
SEPARATORS = ["; ", ";", " ; ", ";\t", ";;", "; ;", ", ", ",", "&", "\x00", ";\xa0"]
NAMES = ["session"] * 6 + [
    "Session",
    "session ",
    "\tsession",
    "xsession",
    "session2",
    "",
    "$Version",
]


def tokens_in(header: str, name: str = "session") -> list[str]:
    """Return the different tokens that a header presents; none if there are more than 16."""
    tokens: dict[str, None] = {}
    for pair in header.split(";"):
        key, equals, value = pair.partition("=")
        if equals and key.strip(" \t") == name and is_token(value.strip(" \t")):
            tokens[value.strip(" \t")] = None
    return list(tokens) if len(tokens) <= 16 else []


def is_token(text: str) -> bool:
    """Tell whether *text* is the one spelling of forty bytes in base64url."""
    if not text.isascii():
        return False
    try:
        raw = base64.b64decode(text.encode() + b"==", b"-_", validate=True)
    except ValueError:
        return False
    return len(raw) == 40 and base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text


def id_of(token: str) -> bytes:
    """Return the record id in a token."""
    return base64.urlsafe_b64decode(token + "==")[:16]


class HostileCookies:
    """Makes headers out of *real* tokens and out of nothing."""

    def __init__(self, seed: int, real: Sequence[str]) -> None:
        self._random = random.Random(seed)
        self._real = real
        self._changes: list[Callable[[str], str]] = [
            self._truncated,
            self._extended,
            self._flipped,
            self._quoted,
            self._encoded,
            self._with_a_sign,
            self._with_bits_beyond,
            self._with_another_secret,
            self._with_another_id,
            self._in_blanks,
            self._twice,
            lambda token: token.encode("latin-1").swapcase().decode("latin-1"),
            lambda token: token.replace("-", "+").replace("_", "/"),
            lambda token: token[::-1],
        ]

    def header(self) -> str:
        """Return the value of a `Cookie` header, each character a byte."""
        number = self._random.choice([1, 1, 1, 1, 2, 2, 3, 5, 6, 40])
        separator = self._random.choice(SEPARATORS[:4] if number > 1 else SEPARATORS)
        if self._random.random() < 0.1:
            separator = self._random.choice(SEPARATORS)
        return separator.join(self._pair() for _ in range(number))

    def _pair(self) -> str:
        pick = self._random.random()
        if pick < 0.05:
            return self._junk(ANY_BYTE, 200)
        equals = (
            "=" if pick < 0.9 else self._random.choice(["", "==", " = ", "=\t", ":", "=session="])
        )
        return self._random.choice(NAMES) + equals + self._value()

    def _value(self) -> str:
        pick = self._random.random()
        if pick < 0.15:
            return self._random.choice(self._real)
        if pick < 0.25:
            return self._unknown()
        if pick < 0.3:
            return self._junk(ANY_BYTE, 120)
        if pick < 0.35:
            return self._junk(ALPHABET, 120)
        value = self._random.choice(self._real) if pick < 0.7 else self._unknown()
        for _ in range(self._random.choice([1, 1, 1, 2])):
            value = self._random.choice(self._changes)(value)
        return value

    def _unknown(self) -> str:
        return self._text(ALPHABET, 53) + self._random.choice(LAST)

    def _junk(self, signs: str, most: int) -> str:
        return self._text(signs, self._random.randrange(most))

    def _text(self, signs: str, length: int) -> str:
        return "".join(self._random.choices(signs, k=length))

    # Changes that make of a token nearly one

    def _truncated(self, token: str) -> str:
        cut = self._random.randrange(len(token) + 1)
        return self._random.choice([token[:cut], token[cut:], token[:-1], token[1:]])

    def _extended(self, token: str) -> str:
        sign = self._random.choice(["A", "=", "==", ".", ",", "%", "\\", "\xa0", "\x85", "\x1f"])
        return self._random.choice([token + sign, sign + token])

    def _flipped(self, token: str) -> str:
        if not token:
            return token
        at = self._random.randrange(len(token))
        flipped = chr(ord(token[at]) ^ 1 << self._random.randrange(8))
        return token[:at] + flipped + token[at + 1 :]

    def _quoted(self, token: str) -> str:
        quotes = ['"{}"', "'{}'", '"{}', '{}"', '\\"{}\\"', "({})", "<{}>"]
        return self._random.choice(quotes).format(token)

    def _encoded(self, token: str) -> str:
        raw = token.encode("latin-1")
        ways: list[Callable[[], str]] = [
            lambda: quote(token),
            lambda: "".join(f"%{byte:02X}" for byte in raw),
            lambda: base64.b64encode(raw).decode(),
            lambda: base64.urlsafe_b64encode(raw).decode(),
            raw.hex,
            lambda: token.encode("utf-16").decode("latin-1"),
            lambda: "".join(f"\\{byte:03o}" for byte in raw),
        ]
        return self._random.choice(ways)()

    def _with_a_sign(self, token: str) -> str:
        at = self._random.randrange(len(token) + 1)
        sign = self._random.choice(CONTROLS + ANY_BYTE)
        return token[:at] + sign + token[at + self._random.randrange(2) :]

    def _with_bits_beyond(self, token: str) -> str:
        return token[:-1] + self._random.choice("BCDRhx")

    def _with_another_secret(self, token: str) -> str:
        return token[:22] + self._unknown()[22:]

    def _with_another_id(self, token: str) -> str:
        return self._unknown()[:22] + token[22:]

    def _in_blanks(self, token: str) -> str:
        return self._junk(" \t", 4) + token + self._junk(" \t", 4)

    def _twice(self, token: str) -> str:
        return token + self._random.choice(["", ",", " ", "; session="]) + token


def seed() -> int:
    """Return what the generators begin with: always the same, or FUZZ_SEED."""
    return int(os.environ.get("FUZZ_SEED", "20"))
