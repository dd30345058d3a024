"""Path templates: `users/<int:id>` as a Tornado matcher that also builds the path back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from uuid import UUID

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher

from stores.contract import ConfigurationError

_PARAMETER = re.compile(r"<(?:([^<>:]*):)?([^<>:]*)>")
_UNRESERVED = "/-._~!$&'()*+,;=:@%"  # what RFC 3986 lets stand in a path

_INTEGER = re.compile(r"-?[0-9]{1,4000}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError
    return int(text)


def _uuid(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise ValueError
    return UUID(text)


CONVERTERS: dict[str, tuple[str, Callable[[str], object] | None]] = {
    "": ("[^/]+", None),
    "int": ("[^/]+", _integer),
    "uuid": ("[^/]+", _uuid),
    "path": (".+", None),
}
"""Name of a converter: (pattern of the undecoded text, conversion of the decoded text)."""


class PathTemplate(Matcher):
    """Matches a whole path. Arguments are percent-decoded; what is not UTF-8, or does not
    convert, does not match. Raises `ConfigurationError`.
    """

    def __init__(self, template: str) -> None:
        self.template = template
        self.converters: dict[str, Callable[[str], object]] = {}
        self.parameters: list[str] = []
        self._pieces: list[tuple[str, str | None]] = []  # (literal, safe characters | None)
        pattern = shape = ""
        for literal, converter, name in _parse(template):
            if re.search("[<>?#]", literal):
                raise ConfigurationError(f"{template}: {literal!r} cannot stand in a path")
            literal = quote(literal, safe=_UNRESERVED)
            pattern += re.escape(literal)
            shape += literal
            self._pieces.append((literal, None))
            if name is None:
                continue
            if converter not in CONVERTERS:
                known = ", ".join(f"<{key}:...>" for key in CONVERTERS if key)
                raise ConfigurationError(
                    f"{template}: unknown converter {converter!r}; there are <...>, {known}"
                )
            if not name.isidentifier() or name in self.parameters:
                raise ConfigurationError(
                    f"{template}: {name!r} is not a parameter name, or stands there twice"
                )
            text, convert = CONVERTERS[converter]
            pattern += f"(?P<{name}>{text})"
            shape += f"<{converter}>"
            self.parameters.append(name)
            self._pieces.append((name, "/" if converter == "path" else ""))
            if convert is not None:
                self.converters[name] = convert
        self.shape = shape
        """The template without its parameters' names: equal for two that match the same paths."""
        self._match = re.compile(pattern, re.DOTALL).fullmatch

    @property
    def fixed(self) -> str | None:
        """The only path that matches, if there are no parameters."""
        return None if self.parameters else self.shape

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        if not self.parameters:
            return {} if request.path == self.shape else None
        arguments = self.arguments(request.path)
        return None if arguments is None else {"path_args": [], "path_kwargs": arguments}

    def arguments(self, path: str) -> dict[str, str] | None:
        """Return the arguments, decoded but not converted, or `None` if *path* does not match."""
        match = self._match(path)
        if match is None:
            return None
        arguments = {}
        try:
            for name, text in match.groupdict().items():
                decoded = unquote_to_bytes(text).decode()
                if name in self.converters:
                    self.converters[name](decoded)
                arguments[name] = decoded
        except ValueError:  # UnicodeDecodeError, too
            return None
        return arguments

    def covers(self, other: PathTemplate) -> bool:
        """Tell whether this template takes every path that *other* takes."""
        # Percent-encoded NUL stands for "any text": nobody writes it into a template.
        sample = "".join(
            piece if safe is None else ("%00/%00" if safe else "%00")
            for piece, safe in other._pieces
        )
        return not self.converters and self._match(sample) is not None

    def reverse(self, *args: Any) -> str:
        """Return the path for these arguments, in the template's order."""
        if len(args) != len(self.parameters):
            raise TypeError(
                f"{self.template} takes {len(self.parameters)} arguments, not {len(args)}"
            )
        values = iter(args)
        path = "".join(
            piece if safe is None else quote(str(next(values)), safe=safe)
            for piece, safe in self._pieces
        )
        # To a browser, what begins with two slashes is the name of another site.
        return f"/%2F{path[2:]}" if path.startswith("//") else path


def _parse(template: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield (literal, converter, parameter name), the last with the rest and no parameter."""
    start = 0
    for match in _PARAMETER.finditer(template):
        yield template[start : match.start()], match[1] or "", match[2]
        start = match.end()
    yield template[start:], "", None
