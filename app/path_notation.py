"""How a path template is written: literals, `<name>` and `<converter:name>`, nothing else.

What means a parameter elsewhere (`:name`, `{id}`, `(\\d+)`, `.*`) is refused: as a literal it would
never be found. RFC 3986 lets some of its characters stand in a path. Whoever wants one writes it
percent-encoded: the template `%3Aname` matches the path `:name`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from stores.contract import ConfigurationError

NOTATION = "a parameter is written <name>, <int:name>, <uuid:name> or <path:name>"

_PARAMETER = re.compile(r"<(?:([^<>:]*):)?([^<>:]*)>")
_PLACE = "\0"  # of a parameter

_FOREIGN = re.compile(
    r"""
    (?<![^\W_]) (?<![\0:)]) :+ (?=[^\W\d])   # :name, x-:name, not a:b or <id>:verb
    | ://                                    # a whole URL
    | (?<![^/]) \(                           # (group)
    | (?<=[^\W_]|\0) \( (?![\0'\d)])         # name(s), <id>(.json), not Foo_(bar), Users(<id>)
    | \.[+]                                  # .+
    | (?<=\0) [+] (?=/|\Z)                   # <name>+
    | \$ (?=/|\Z)                            # end$
    | [\\^|{}\[\]*?<>#]                      # other expressions, globs; a query, a fragment
    | % (?![0-9A-Fa-f]{2})
    """,
    re.VERBOSE,
)
_LEFT_OUT = re.compile(r"(?<![^/])\.\.?(?![^/])")  # a segment . or ..

_IN_PATHS = "-._~!$&'()*+,;=:@"  # RFC 3986, section 3.3, beside letters and digits
_ENCODED = re.compile("%[0-9A-Fa-f]{2}")


def parse(template: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield (literal, converter, parameter name), the last with the rest and no parameter.

    Each literal is as browsers send it. Raises `ConfigurationError` for another notation.
    """
    if not isinstance(template, str):
        raise ConfigurationError(f"{template!r} is not a path; {NOTATION}")
    _check(template)
    start = 0
    for match in _PARAMETER.finditer(template):
        yield literal(template[start : match.start()]), match[1] or "", match[2]
        start = match.end()
    yield literal(template[start:]), "", None


def literal(text: str) -> str:
    """Return *text* as it stands in a request's path, where only what must be is encoded."""
    return _ENCODED.sub(_decode, quote(text, safe=f"/%{_IN_PATHS}"))


def _decode(encoded: re.Match[str]) -> str:
    character = chr(int(encoded[0][1:], 16))
    if character.isascii() and (character.isalnum() or character in _IN_PATHS):
        return character
    return encoded[0].upper()


def _check(template: str) -> None:
    literals = _PARAMETER.sub(_PLACE, template)
    found = _FOREIGN.search(literals)
    if found is not None:
        character = f"%{ord(found[0][0]):02X}"
        raise ConfigurationError(
            f"{template}: {found[0]!r} cannot stand there; {NOTATION}, "
            f"and the character {found[0][0]!r} itself {character}"
        )
    if _LEFT_OUT.search(literal(literals)):
        raise ConfigurationError(
            f"{template}: browsers leave the segments '.' and '..' out of a path; write it without"
        )
