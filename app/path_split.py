"""What each parameter of a path template takes from a path, found in time linear in the path.

The first parameter takes as much as it can while the rest still matches, then the second, and so
on: `<name>.<ext>` splits `a.tar.gz` into `a.tar` and `gz`. A greedy regular expression chooses the
same, but searches for it by trial. Here each literal has its last possible place, looked for from
the right, and no place is tried twice. Only `<path:...>` takes a slash, so that the search for all
else stays between two slashes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Segment = tuple[str, ...]
"""The literals between two slashes; a parameter stands between each two of them."""

Block = tuple[Segment, ...]
"""The segments before, between or after the parameters that take slashes."""

NOTHING: Block = (("",),)

Places = list[int]
"""Where each literal begins and ends, in order; a parameter takes what is between two."""


class Splitter:
    """Splits a path among the parameters that stand between *literals*.

    *takes_slashes* says of each parameter whether it takes them.
    """

    def __init__(self, literals: Sequence[str], takes_slashes: Sequence[bool]) -> None:
        self._blocks = _blocks(literals, takes_slashes)
        self._simple = _simple(self._blocks)
        self.is_simple = self._simple is not None
        """Whether no segment has two parameters, and none takes slashes: there is one split."""

    def split(self, path: str) -> list[str] | None:
        """Return what each parameter takes, or `None` if *path* does not match."""
        if self._simple is not None:
            match = self._simple.fullmatch(path)
            return None if match is None else list(match.groups())
        places: Places = []
        high = len(path)
        for index in range(len(self._blocks) - 1, -1, -1):
            if high < 0:
                return None
            at_high = index == len(self._blocks) - 1
            found = _find(self._blocks[index], path[:high], at_low=index == 0, at_high=at_high)
            if found is None:
                return None
            places = found + places
            high = found[0] - 1  # the parameter before takes one character at least
        return [path[places[i] : places[i + 1]] for i in range(1, len(places) - 1, 2)]


def _blocks(literals: Sequence[str], takes_slashes: Sequence[bool]) -> tuple[Block, ...]:
    blocks = [[[""]]]
    for literal, slashes in zip(literals, [*takes_slashes, None], strict=True):
        head, *tail = literal.split("/")
        blocks[-1][-1][-1] += head
        blocks[-1] += [[part] for part in tail]
        if slashes:
            blocks.append([[""]])
        elif slashes is not None:
            blocks[-1][-1].append("")
    return tuple(tuple(tuple(segment) for segment in block) for block in blocks)


def _simple(blocks: tuple[Block, ...]) -> re.Pattern[str] | None:
    """Return an expression for what one can match in linear time: one parameter a segment."""
    block, *others = blocks
    if others or any(len(literals) > 2 for literals in block):
        return None
    return re.compile("/".join("([^/]+)".join(map(re.escape, literals)) for literals in block))


def _find(block: Block, path: str, *, at_low: bool, at_high: bool) -> Places | None:
    """Place *block* in *path*: at its beginning, at its end, or else as far right as can be."""
    if block == NOTHING:
        return [0, 0] if at_low else [len(path), len(path)]
    segments = path.split("/")
    last = len(segments) - len(block)
    if last < 0 or (at_low and at_high and last):
        return None
    for first in (0,) if at_low else (last,) if at_high else range(last, -1, -1):
        window = segments[first : first + len(block)]
        places = _place_block(block, window, at_low=at_low, at_high=at_high)
        if places is not None:
            offset = sum(map(len, segments[:first])) + first  # with a slash after each
            return [offset + place for place in places] if offset else places
    return None


def _place_block(
    block: Block, segments: Sequence[str], *, at_low: bool, at_high: bool
) -> Places | None:
    """Place each segment of *block* in its own of the path's; the inner ones have to fill it."""
    last = len(block) - 1
    places: Places = []
    offset = 0
    for index, (literals, segment) in enumerate(zip(block, segments, strict=True)):
        found = _place(
            literals, segment, at_low=at_low or index > 0, at_high=at_high or index < last
        )
        if found is None:
            return None
        if index:  # what is between is a slash, not a parameter
            del places[-1], found[0]
        places += [offset + place for place in found] if offset else found
        offset += len(segment) + 1
    return places


def _place(literals: Segment, text: str, *, at_low: bool, at_high: bool) -> Places | None:
    """Place *literals* in *text*, each as far right as can be."""
    last = len(literals) - 1
    if last == 0 and at_low and at_high:
        return [0, len(text)] if text == literals[0] else None
    places: Places = []
    high = len(text)
    for index in range(last, -1, -1):
        literal = literals[index]
        if high < 0:
            return None
        if index == 0 and at_low:
            start = 0 if text.startswith(literal, 0, high) else -1
        elif index == last and at_high:
            start = high - len(literal) if text.endswith(literal) else -1
        else:
            start = text.rfind(literal, 0, high)
        if start < 0:
            return None
        places += (start + len(literal), start)
        high = start - 1  # the parameter before takes one character at least
    places.reverse()
    return places
