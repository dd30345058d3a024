"""Generated keys and values: those a session must keep as they are, and those it must refuse."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import random
import sys
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

MAX_DEPTH = 64


class _Number(enum.IntEnum):
    ONE = 1


class _Text(str):
    __slots__ = ()


class _Word(enum.StrEnum):
    A = "a"


class _Pair(NamedTuple):
    one: int
    two: int


class _Float(float):
    pass


TEXTS = [
    *("", " ", "\0", "a\0b", "\n", "\r\n", "\t", "\x7f", "\x80", "\x9f", "\xa0", "\xad", "\ufeff"),
    *(".", "..", "a.b", "$", "$set", "$where", "%", "%00", "%2E", "%24", "%%", "_id", "__proto__"),
    *("null", "true", "NaN", "-0", "1e999", '"', "'", "\\", "\\u0000", "\\ud800", "</script>"),
    *("\u2028", "\u2029", "\ufdd0", "\uffff", "\ufffd", "\U0010ffff", "e\u0301", "é", "ﬁ", "İ"),
    *("\N{GRINNING FACE}", "日本", "\u202e", "\u200b", "'; DROP TABLE", "{{7*7}}", "d:x", "data"),
]
NUMBERS: list[int | float] = [
    *(0, 1, -1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32, 2**53, 2**53 + 1, -(2**53) - 1),
    *(2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1, 10**18, 255, 256, 65_536),
    *(0.0, -0.0, 1.0, -1.0, 0.1, 1e16, 1e22, 1e23, 2.0**53, 2.0**63, -(2.0**63), 1e308, 1e-7),
    *(sys.float_info.max, sys.float_info.min, sys.float_info.epsilon, 5e-324, 123456789.123456789),
]


class HostileValues:
    """Makes keys and values, the same for the same *seed*."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def text(self) -> str:
        """Return a text of Unicode characters from anywhere."""
        pick = self._random.random()
        if pick < 0.3:
            return self._random.choice(TEXTS)
        if pick < 0.4:
            return self._random.choice(TEXTS) + self._random.choice(TEXTS)
        return "".join(self._character() for _ in range(self._random.choice([1, 2, 3, 8, 30])))

    def value(self, depth: int = 0) -> Any:
        """Return something that a session keeps."""
        pick = self._random.random()
        if depth < 6 and pick < (0.35 if depth else 0.5):
            size = self._random.choice([0, 1, 1, 2, 3])
            if self._random.random() < 0.5:
                return [self.value(depth + 1) for _ in range(size)]
            return {self.text(): self.value(depth + 1) for _ in range(size)}
        if pick > 0.995 and not depth:
            return self._deep(MAX_DEPTH)
        return self._leaf()

    def refused(self) -> tuple[Any, str, type[Exception]]:
        """Return a value that no session keeps, the path to what is wrong in it, and the error."""
        random = self._random
        pick = random.random()
        if pick < 0.05:
            levels = MAX_DEPTH + random.choice([1, 2, 50])
            return self._deep(levels), "", ValueError
        if pick < 0.2:
            key, error = random.choice(self._bad_keys())
            value: Any = {key: self.value(3)}
        elif pick < 0.5:
            value, error = random.choice(self._bad_values()), ValueError
        else:
            value, error = random.choice(self._bad_types()), TypeError
        path = ""
        for _ in range(random.choice([0, 1, 1, 2, 3, 10])):
            before = [self.value(4) for _ in range(random.randrange(3))]
            if random.random() < 0.5:
                path = f"[{len(before)}]{path}"
                value = [*before, value, self.value(4)]
            else:
                # A key that the other items do not have: they must not take the value's place.
                key = self.text() + "'here\""
                path = f"[{key!r}]{path}"
                value = {**{self.text(): item for item in before}, key: value, "z": 1}
        return value, path, error

    def refused_key(self) -> tuple[Any, type[Exception]]:
        """Return what is no key of a session, and the error."""
        return self._random.choice(self._bad_keys())

    def _leaf(self) -> Any:
        random = self._random
        ways: list[Callable[[], Any]] = [
            self.text,
            self.text,
            lambda: random.choice(NUMBERS),
            lambda: random.choice([None, True, False]),
            lambda: random.randrange(-(2**63), 2**63),
            lambda: random.uniform(-1e6, 1e6),
            lambda: random.uniform(-1, 1) * 10.0 ** random.randrange(-300, 300),
        ]
        return random.choice(ways)()

    def _deep(self, levels: int) -> Any:
        value = self._leaf()
        for _ in range(levels):
            value = [value] if self._random.random() < 0.5 else {self.text(): value}
        return value

    def _character(self) -> str:
        most = self._random.choice([0x80, 0x100, 0x3000, 0x10000, 0x110000])
        code = self._random.randrange(most)
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)

    def _surrogate(self) -> str:
        return self.text() + chr(self._random.randrange(0xD800, 0xE000)) + self.text()

    def _bad_keys(self) -> list[tuple[Any, type[Exception]]]:
        types: list[Any] = [1, 0, True, None, 1.5, b"a", (1,), _Text("a"), _Word.A, _Number.ONE]
        return [*((key, TypeError) for key in types), (self._surrogate(), ValueError)]

    def _bad_values(self) -> list[Any]:
        return [
            *(float("nan"), float("inf"), -float("inf")),
            *(
                2**63,
                -(2**63) - 1,
                2**64,
                10**400,
                -(10**30),
                self._random.getrandbits(200) | 2**64,
            ),
            *(self._surrogate(), self._surrogate(), "\udc80", "\ud83d"),
        ]

    def _bad_types(self) -> list[Any]:
        return [
            *(b"", b"bytes", bytearray(b"a"), memoryview(b"a"), (), (1, 2), {1}, frozenset()),
            *(object(), object, len, lambda: 0, ..., 1j, range(3), iter(()), NotImplemented),
            *(decimal.Decimal(1), fractions.Fraction(1, 2), uuid.UUID(int=1)),
            *(dt.datetime(2025, 1, 1), dt.date(2025, 1, 1), dt.timedelta(1)),
            *(_Number.ONE, _Text("a"), _Word.A, _Pair(1, 2), _Float(1)),
            *(collections.OrderedDict(a=1), collections.defaultdict(int), collections.Counter("a")),
            *(collections.deque([1]), collections.ChainMap({}), ValueError("x")),
        ]
