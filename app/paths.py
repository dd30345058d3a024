"""Path templates: `users/<int:id>` as a Tornado matcher that also builds the path back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from uuid import UUID

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher

from app.path_notation import parse
from app.path_split import Splitter
from stores.contract import ConfigurationError

_INTEGER = re.compile(r"-?[0-9]{1,4000}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# In the sample of a path that `covers` looks at: a segment's text, and text with slashes.
_ANY_TEXT, _ANY_PATH = "\0", "\1"


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError
    return int(text)


def _uuid(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise ValueError
    return UUID(text)


CONVERTERS: Mapping[str, Callable[[str], object] | None] = {
    "": None,
    "int": _integer,
    "uuid": _uuid,
    "path": None,
}
"""What becomes of a parameter's decoded text. All but `path` take no slash."""


class PathTemplate(Matcher):
    """Matches a whole path, in time linear in its length. Raises `ConfigurationError`.

    Each parameter takes one character or more. Of several ways to split a path the one is taken
    that gives the most to the first parameter, then to the second, and so on, whether it converts
    or not. Arguments are then percent-decoded. What is not UTF-8, or does not convert, does not
    match.
    """

    def __init__(self, template: str) -> None:
        self.template = template
        self.converters: dict[str, Callable[[str], object]] = {}
        self.parameters: list[str] = []
        self._literals: list[str] = []
        self._takes_slashes: list[bool] = []
        shape = ""
        for literal, converter, name in parse(template):
            shape += literal
            self._literals.append(literal)
            if name is None:
                continue
            self._add_parameter(converter, name)
            shape += f"<{converter}>"
        self.shape = shape
        """The template without its parameters' names: equal for two that match the same paths."""
        self._prefix = self._literals[0]
        self._split = Splitter(["", *self._literals[1:]], self._takes_slashes).split

    def _add_parameter(self, converter: str, name: str) -> None:
        if converter not in CONVERTERS:
            known = ", ".join(f"<{key}:...>" for key in CONVERTERS if key)
            mend = f"write <{name}:{converter}>" if name in CONVERTERS else f"use <...>, {known}"
            raise ConfigurationError(f"{self.template}: unknown converter {converter!r}; {mend}")
        if not name.isidentifier():
            raise ConfigurationError(f"{self.template}: {name!r} is not a parameter name")
        if name in self.parameters:
            raise ConfigurationError(f"{self.template}: the parameter {name!r} is declared twice")
        self.parameters.append(name)
        self._takes_slashes.append(converter == "path")
        convert = CONVERTERS[converter]
        if convert is not None:
            self.converters[name] = convert

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        path = request.path
        if not self.parameters:
            return {} if path == self._prefix else None
        arguments = self.arguments(path)
        return None if arguments is None else {"path_args": [], "path_kwargs": arguments}

    def arguments(self, path: str) -> dict[str, str] | None:
        """Return the arguments, decoded but not converted, or `None` if *path* does not match."""
        texts = self._texts(path)
        if texts is None:
            return None
        arguments = {}
        try:
            for name, text in zip(self.parameters, texts, strict=True):
                decoded = unquote_to_bytes(text).decode()
                if name in self.converters:
                    self.converters[name](decoded)
                arguments[name] = decoded
        except ValueError:  # UnicodeDecodeError, too
            return None
        return arguments

    def covers(self, other: PathTemplate) -> bool:
        """Tell whether this template takes every path that *other* takes.

        Always right when it says so; of two with converters it does not.
        """
        if self.converters or not self.parameters:
            return False
        sample = other._join([_ANY_PATH if path else _ANY_TEXT for path in other._takes_slashes])
        texts = self._texts(sample)
        return texts is not None and not any(
            _ANY_PATH in text
            for text, takes_slashes in zip(texts, self._takes_slashes, strict=True)
            if not takes_slashes
        )

    def reverse(self, *args: Any) -> str:
        """Return the path for these arguments, in the template's order.

        It leads back to them. Raises `ValueError` where none does.
        """
        if len(args) != len(self.parameters):
            raise TypeError(
                f"{self.template} takes {len(self.parameters)} arguments, not {len(args)}"
            )
        values = [str(value) for value in args]
        separators = {character for literal in self._literals[1:] for character in literal}
        for encoded in ("", "".join(separators)):
            path = self._join(
                [
                    _quote(value, "/" if takes_slashes else "", encoded)
                    for value, takes_slashes in zip(values, self._takes_slashes, strict=True)
                ]
            )
            # To a browser, what begins with two slashes is the name of another site.
            path = f"/%2F{path[2:]}" if path.startswith("//") else path
            if self.arguments(path) == dict(zip(self.parameters, values, strict=True)):
                return path
        raise ValueError(f"{self.template}: no path leads to {', '.join(map(repr, values))}")

    def _texts(self, path: str) -> list[str] | None:
        if not path.startswith(self._prefix):
            return None
        return self._split(path[len(self._prefix) :])

    def _join(self, texts: list[str]) -> str:
        return self._literals[0] + "".join(
            text + literal for text, literal in zip(texts, self._literals[1:], strict=True)
        )


def _quote(text: str, safe: str, encoded: str) -> str:
    """Percent-encode *text*, the characters of *encoded* too, though a path may have them."""
    if not encoded:
        return quote(text, safe=safe)
    return "".join(
        f"%{ord(character):02X}" if character in encoded else quote(character, safe=safe)
        for character in text
    )
